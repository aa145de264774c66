/** Comparing two whole trees, in everything that can be seen of them. */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { allEntries } from '../support/directory-entries.js';
import { lseek, SEEK_DATA, SEEK_HOLE } from '../support/syscalls.js';
import { lgetxattr, llistxattr } from '../support/xattr.js';
import { differencesOfInodes, stateOf } from './inode-state.js';
import { shown } from './operation.js';
import type { StepClock } from './step-clock.js';

const DIFFERENCES_LISTED_MAX = 12;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** What differs between a plain directory and a mounted one, listed up to a limit; empty when nothing does. */
export function differencesOfTrees(
  plain: string,
  mounted: string,
  clock: StepClock,
  settled: boolean,
): string[] {
  const comparison = new Comparison(clock, settled);
  comparison.compare(Buffer.from(plain), Buffer.from(mounted), '');
  return comparison.found.slice(0, DIFFERENCES_LISTED_MAX);
}

class Comparison {
  readonly found: string[] = [];
  readonly #clock: StepClock;
  readonly #settled: boolean;
  /** Which inode of the other side each inode was found to be: two names of one file must be so on both sides. */
  readonly #twins = new Map<bigint, bigint>();
  readonly #taken = new Set<bigint>();

  constructor(clock: StepClock, settled: boolean) {
    this.#clock = clock;
    this.#settled = settled;
  }

  compare(plain: Buffer, mounted: Buffer, name: string): void {
    if (this.found.length >= DIFFERENCES_LISTED_MAX) return;
    const [wanted, got] = [stateOf(plain), stateOf(mounted)];
    const known = this.#identify(wanted.stat.ino, got.stat.ino, name);
    const differences = differencesOfInodes(shown(name), wanted, got, this.#clock, this.#settled);
    this.found.push(...differences);
    const type = wanted.mode & S_IFMT;
    if (type !== (got.mode & S_IFMT) || known) return;
    this.#sameText(name, 'extended attributes', extended(plain), extended(mounted));
    if (type === S_IFLNK) {
      const [from, to] = [plain, mounted].map((link) => readlinkSync(link, 'latin1'));
      this.#sameText(name, 'target', from, to);
    } else if (type === S_IFREG) this.#compareContent(plain, mounted, name);
    else if (type === S_IFDIR) this.#compareDirectories(plain, mounted, name);
  }

  /** Returns whether this file was compared under another name. */
  #identify(plain: bigint, mounted: bigint, name: string): boolean {
    const twin = this.#twins.get(plain);
    if (twin === mounted) return true;
    if (twin !== undefined || this.#taken.has(mounted)) {
      this.found.push(`${shown(name)}: is not the same inode as its other names`);
    }
    this.#twins.set(plain, mounted);
    this.#taken.add(mounted);
    return false;
  }

  #sameText(name: string, what: string, wanted: string | undefined, got: string | undefined): void {
    if (wanted === got) return;
    this.found.push(`${shown(name)}: ${what} is '${got}', expected '${wanted}'`);
  }

  #compareDirectories(plain: Buffer, mounted: Buffer, name: string): void {
    const names = sortedNames(plain);
    const list = (all: Buffer[]) => all.map((one) => shown(one.toString('latin1'))).join(' ');
    this.#sameText(name, 'list of names', list(names), list(sortedNames(mounted)));
    this.#checkEntries(mounted, name);
    const there = new Set(sortedNames(mounted).map((one) => one.toString('latin1')));
    for (const child of names) {
      const text = child.toString('latin1');
      if (there.has(text))
        this.compare(join(plain, child), join(mounted, child), `${name}/${text}`);
    }
  }

  /** What readdir says of an entry without a look-up is what the look-up says. */
  #checkEntries(directory: Buffer, name: string): void {
    const fd = openSync(directory, 'r');
    try {
      for (const entry of allEntries(fd)) {
        const text = entry.name.toString('latin1');
        if (text === '.' || text === '..') continue;
        const { stat, mode } = stateOf(join(directory, entry.name));
        if (stat.ino === BigInt(entry.ino) && (mode & S_IFMT) >> 12 === entry.type) continue;
        const listed = `inode ${entry.ino} of type ${entry.type}`;
        this.found.push(`${shown(`${name}/${text}`)}: is listed as ${listed}, and is another`);
      }
    } finally {
      closeSync(fd);
    }
  }

  #compareContent(plain: Buffer, mounted: Buffer, name: string): void {
    const [wanted, got] = [readFileSync(plain), readFileSync(mounted)];
    const difference = differenceOfBytes(wanted, got);
    if (difference !== undefined) this.found.push(`${shown(name)}: ${difference}`);
    const hidden = dataInHoles(mounted, wanted);
    if (hidden !== undefined) this.found.push(`${shown(name)}: ${hidden}`);
  }
}

/** What differs between the contents of two open files; undefined when nothing does, or one cannot be read. */
export function differenceOfOpenFiles(plain: number, mounted: number): string | undefined {
  const [wanted, got] = [plain, mounted].map(readOpen);
  if (wanted === undefined || got === undefined) return undefined;
  return differenceOfBytes(wanted, got);
}

function differenceOfBytes(wanted: Buffer, got: Buffer): string | undefined {
  if (got.equals(wanted)) return undefined;
  if (got.length !== wanted.length) return `has ${got.length} bytes, expected ${wanted.length}`;
  const at = got.findIndex((byte, index) => byte !== wanted[index]);
  let end = got.length;
  while (got[end - 1] === wanted[end - 1]) end--;
  return `bytes ${at} to ${end - 1} of ${got.length} differ: byte ${at} is ${got[at]}, expected ${wanted[at]}`;
}

/** Where a file of the mount has a hole, though its content is not zero. */
function dataInHoles(file: Buffer, content: Buffer): string | undefined {
  const fd = openSync(file, 'r');
  try {
    let at = 0;
    while (at < content.length) {
      const data = nextData(fd, at, content.length);
      if (content.subarray(at, data).some((byte) => byte !== 0)) {
        return `has a hole from ${at} to ${data}, where there is data`;
      }
      at = data < content.length ? lseek(fd, data, SEEK_HOLE) : content.length;
    }
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function nextData(fd: number, from: number, size: number): number {
  try {
    return lseek(fd, from, SEEK_DATA);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return size;
    throw error;
  }
}

function readOpen(fd: number): Buffer | undefined {
  const { stat } = stateOf(fd);
  if (!stat.isFile()) return undefined;
  // More than there should be, to see what is too much.
  const buffer = Buffer.alloc(Number(stat.size) + 1);
  try {
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch (error) {
    // Opened for writing only.
    if ((error as NodeJS.ErrnoException).code === 'EBADF') return undefined;
    throw error;
  }
}

function extended(path: Buffer): string {
  const pairs = llistxattr(path).map((name) => `${name}=${lgetxattr(path, name).toString('hex')}`);
  return pairs.join(' ');
}

function sortedNames(directory: Buffer): Buffer[] {
  return readdirSync(directory, { encoding: 'buffer' }).sort(Buffer.compare);
}

function join(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), name]);
}
