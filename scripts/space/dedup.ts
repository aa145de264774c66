/** How much a drive grows by data that it has already, measured on a real mount. */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  cpSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DriveLogs, driveKeysOf } from '../../src/drive/drive-logs.js';
import { Home } from '../../src/drive/home.js';
import { contentAt } from '../../test/sharing/support/stream-content.js';
import { diskBytes } from './disk-bytes.js';
import { waitUntilIdle } from './idle.js';
import type { Figure, SpacePart } from './part.js';

export const dedupPart: SpacePart = {
  name: 'dedup',
  what: 'what the same 500 MB tree copied twice takes, and 1 MB inserted into a file of 1 GB',
  run: ({ folder, quick, say }) =>
    measureDedup(folder, {
      ...(quick ? { treeBytes: 20 * MB, fileBytes: 50 * MB } : {}),
      alsoLearned: true,
      say,
    }),
};

const SHOAL = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SOURCES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const MB = 1e6;
const COPY_BYTES = 1 << 20;

export interface DedupOptions {
  /** Of the tree that is copied twice, about. */
  treeBytes?: number;
  /** Of the file into which something is inserted. */
  fileBytes?: number;
  /** What the tree is put together from. */
  sources?: string;
  compression?: 'zstd' | 'none';
  /** Also inserts into the file when the mount has learned which chunks there are, which takes it some seconds. */
  alsoLearned?: boolean;
  /** Tells the person who waits how far it is. */
  say?: (line: string) => void;
}

interface Sizes {
  /** Of both logs. */
  logs: number;
  /** Of the store on disk. */
  disk: number;
}

/** In a folder that exists; removes what it makes there. */
export async function measureDedup(folder: string, options: DedupOptions = {}): Promise<Figure[]> {
  const { treeBytes = 500 * MB, fileBytes = 1000 * MB, sources = SOURCES, say } = options;
  const drive = new MeasuredDrive(join(folder, 'dedup'), options.compression ?? 'zstd');
  try {
    const rows: Figure[] = [];
    const share = (grown: number, of: number): number => (100 * grown) / of;
    say?.(`Writing a tree of ${treeBytes / MB} MB twice`);
    const empty = await drive.sizes();
    const copied = drive.write((mount) => copySources(sources, join(mount, 'first'), treeBytes));
    const once = await drive.sizes();
    drive.write((mount) => copySources(sources, join(mount, 'second'), treeBytes));
    const twice = await drive.sizes();
    drive.write((mount) => expectSame(join(mount, 'first'), join(mount, 'second')));
    rows.push(
      told('tree: files', copied.files, 'files'),
      told('tree: content', copied.bytes / MB, 'MB'),
      told('tree: logs after the first copy', (once.logs - empty.logs) / MB, 'MB'),
      told('tree: store after the first copy', (once.disk - empty.disk) / MB, 'MB'),
      atMost('tree: logs grow by a second copy', share(twice.logs - once.logs, once.logs), '%', 2),
      atMost(
        'tree: store grows by a second copy',
        share(twice.disk - once.disk, once.disk),
        '%',
        2,
      ),
    );
    say?.(`Writing a file of ${fileBytes / MB} MB twice`);
    drive.write((mount) => writeRandom(join(mount, 'large'), fileBytes));
    const before = await drive.sizes();
    drive.write((mount) => insertInto(join(mount, 'large'), join(mount, 'larger'), fileBytes));
    const after = await drive.sizes();
    const inserted = '1 MB inserted right after a mount';
    rows.push(
      told('file', fileBytes / MB, 'MB'),
      atMost(`file: growth of the logs, ${inserted}`, (after.logs - before.logs) / MB, 'MB', 4),
      atMost(`file: growth of the store, ${inserted}`, (after.disk - before.disk) / MB, 'MB', 4),
    );
    if (options.alsoLearned === true) {
      await drive.writeWhenIdle((mount) =>
        insertInto(join(mount, 'large'), join(mount, 'largest'), fileBytes),
      );
      const last = await drive.sizes();
      const later = '1 MB inserted later';
      rows.push(
        atMost(`file: growth of the logs, ${later}`, (last.logs - after.logs) / MB, 'MB', 4),
        atMost(`file: growth of the store, ${later}`, (last.disk - after.disk) / MB, 'MB', 4),
      );
    }
    return rows;
  } finally {
    drive.remove();
  }
}

function told(name: string, value: number, unit: string): Figure {
  return { name, value, unit };
}

function atMost(name: string, value: number, unit: string, wanted: number): Figure {
  return { name, value, unit, atMost: wanted };
}

/** A drive that is mounted for each change, as sizes are those of a store that was closed. */
class MeasuredDrive {
  readonly #folder: string;
  readonly #mount: string;
  readonly #home: string;
  #isMounted = false;

  constructor(folder: string, compression: string) {
    this.#folder = folder;
    this.#mount = join(folder, 'mount');
    this.#home = join(folder, 'home');
    mkdirSync(this.#mount, { recursive: true });
    this.#shoal('create', 'drive', '--compression', compression);
  }

  write<T>(change: (mount: string) => T): T {
    this.#mountIt();
    const result = change(this.#mount);
    this.#unmount();
    return result;
  }

  /** Changes it when the mount has learned which chunks there are. */
  async writeWhenIdle(change: (mount: string) => void): Promise<void> {
    await waitUntilIdle(this.#mountIt());
    change(this.#mount);
    this.#unmount();
  }

  async sizes(): Promise<Sizes> {
    const home = new Home(this.#home);
    const { capability, contentLogKey } = await home.read('drive');
    if (capability.type === 'host') throw new Error('A drive that was made here has its key');
    const { store } = home.paths('drive');
    const disk = diskBytes(store);
    const logs = await DriveLogs.open(store, driveKeysOf(capability), false);
    try {
      const cores = [logs.tree(false), logs.content(contentLogKey as Buffer, false)];
      let bytes = 0;
      for (const core of cores) {
        await core.ready();
        bytes += core.byteLength;
        await core.close();
      }
      return { logs: bytes, disk };
    } finally {
      await logs.store.close();
    }
  }

  remove(): void {
    if (this.#isMounted) this.#unmount();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Returns the process. */
  #mountIt(): number {
    const printed = this.#shoal('mount', 'drive', this.#mount, '--offline');
    this.#isMounted = true;
    return Number(/pid (\d+)/.exec(printed)?.[1]);
  }

  #unmount(): void {
    this.#isMounted = false;
    this.#shoal('unmount', this.#mount);
  }

  #shoal(...args: string[]): string {
    return run(process.execPath, [SHOAL, ...args], { ...process.env, SHOAL_HOME: this.#home });
  }
}

function run(program: string, args: string[], env = process.env): string {
  const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`'${program} ${args.join(' ')}' failed: ${stderr}`);
  return stdout;
}

/** Copies as many of a folder's entries as make up so many bytes, in the order of their names; adds files if they are too few. */
function copySources(
  from: string,
  to: string,
  bytesWanted: number,
): { bytes: number; files: number } {
  const total = { bytes: 0, files: 0 };
  mkdirSync(to);
  for (const name of readdirSync(from).sort()) {
    if (total.bytes >= bytesWanted) break;
    if (name.startsWith('.')) continue;
    add(total, join(from, name));
    cpSync(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true });
  }
  // What is missing does not compress, and is the same in the second copy.
  for (; total.bytes < bytesWanted; total.bytes += MB, total.files++) {
    writeFileSync(join(to, `random-${total.files}`), contentAt(total.files, 0, MB));
  }
  return total;
}

function add(total: { bytes: number; files: number }, path: string): void {
  const found = lstatSync(path);
  if (found.isDirectory()) {
    for (const name of readdirSync(path)) add(total, join(path, name));
  } else if (found.isFile()) {
    total.bytes += found.size;
    total.files++;
  }
}

function expectSame(first: string, second: string): void {
  run('diff', ['-r', '--no-dereference', first, second]);
}

function writeRandom(path: string, bytes: number): void {
  const file = openSync(path, 'wx');
  const data = Buffer.alloc(COPY_BYTES);
  for (let done = 0; done < bytes; done += data.length) {
    writeSync(file, randomFillSync(data), 0, Math.min(data.length, bytes - done));
  }
  closeSync(file);
}

/** A copy of a file with 1 MB of new data in its middle, as an editor or a packer would write it. */
function insertInto(from: string, to: string, bytes: number): void {
  const source = openSync(from, 'r');
  const target = openSync(to, 'wx');
  const data = Buffer.alloc(COPY_BYTES);
  const middle = Math.floor(bytes / 2);
  const copy = (end: number): void => {
    for (let at = end === middle ? 0 : middle; at < end; ) {
      const read = readSync(source, data, 0, Math.min(data.length, end - at), at);
      if (read === 0) throw new Error(`'${from}' has only ${at} bytes`);
      at += writeSync(target, data, 0, read);
    }
  };
  copy(middle);
  writeSync(target, randomFillSync(Buffer.alloc(MB)));
  copy(bytes);
  closeSync(source);
  closeSync(target);
}
