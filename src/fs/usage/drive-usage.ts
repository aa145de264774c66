/** Walks a whole tree, directory by directory, for what its directories take. Memory is bounded, whatever its size. */
import { DamagedError } from '../../errors.js';
import { decodeEntry, type EntryRecord, entryNameOfKey } from '../../tree/entry-record.js';
import { decodeInode, type InodeRecord } from '../../tree/inode-record.js';
import {
  inodeKey,
  inoOfKey,
  RecordKind,
  rangeOfInode,
  segmentKey,
  segmentOfKey,
} from '../../tree/keys.js';
import { decodeSegment } from '../../tree/segment-record.js';
import type { TreeView } from '../../tree/tree.js';
import { noSuchPath, pathOfNames } from '../drive-path.js';
import { S_IFDIR, S_IFMT } from '../inode.js';
import { SampleTooLarge, type UsageRow, UsageRows } from './usage-rows.js';

const ROOT_INO = 1;
const SAMPLE_BITS_MAX = 31;
/** Entries of a directory looked at together. */
const ENTRIES_MAX = 1024;
/** Inodes so close to each other are read with one scan. */
const GAP_MAX = 4;
const SEGMENT_NUMBER_END = 2 ** 32 - 1;

export interface UsageOptions {
  /** Names of the directory or file to list; the root without any. */
  names: readonly string[];
  /** How many levels below it to list. */
  depth: number;
  /** Called with each chunk that is referred to; may be called again with the same ones. */
  onBlock: (block: number) => void;
  signal?: AbortSignal | undefined;
}

export interface TreeUsage {
  /** The root, and below it what was asked for. */
  rows: UsageRow[];
  /** Stored and shared bytes are taken from one of so many chunks. */
  sampledOneOf: number;
  /** Records that cannot be read, and so were left out. */
  damaged: number;
}

/** Throws NotFoundError, LimitError, InterruptedError, and what reading the tree throws. */
export async function measureUsage(view: TreeView, options: UsageOptions): Promise<TreeUsage> {
  for (let bits = 0; ; bits += 2) {
    const walk = new UsageWalk(view, options, bits);
    try {
      return await walk.run();
    } catch (error) {
      if (!(error instanceof SampleTooLarge) || bits >= SAMPLE_BITS_MAX - 2) throw error;
    }
  }
}

interface Child extends EntryRecord {
  name: string;
}

class UsageWalk {
  readonly #view: TreeView;
  readonly #options: UsageOptions;
  readonly #rows: UsageRows;
  readonly #sampleBits: number;
  #isFound = false;
  #damaged = 0;

  constructor(view: TreeView, options: UsageOptions, sampleBits: number) {
    this.#view = view;
    this.#options = options;
    this.#sampleBits = sampleBits;
    this.#rows = new UsageRows(sampleBits);
  }

  async run(): Promise<TreeUsage> {
    const { names } = this.#options;
    this.#rows.enter('/');
    this.#isFound = names.length === 0;
    await this.#directory(ROOT_INO, []);
    this.#rows.leave();
    if (!this.#isFound) throw noSuchPath(names);
    const rows = this.#rows.finish();
    return { rows, sampledOneOf: 2 ** this.#sampleBits, damaged: this.#damaged };
  }

  async #directory(ino: number, path: readonly string[]): Promise<void> {
    const { from, to } = rangeOfInode(RecordKind.entry, ino);
    let children: Child[] = [];
    for await (const { key, value } of this.#view.range(from, to)) {
      this.#options.signal?.throwIfAborted();
      const child = this.#decoded(() => ({ name: entryNameOfKey(key), ...decodeEntry(value) }));
      if (child !== null) children.push(child);
      if (children.length < ENTRIES_MAX) continue;
      await this.#children(ino, path, children);
      children = [];
    }
    await this.#children(ino, path, children);
  }

  async #children(parent: number, path: readonly string[], children: Child[]): Promise<void> {
    const inodes = await this.#inodes(children);
    const files = children.filter(({ type }) => type !== S_IFDIR);
    const asked = files.find(({ name }) => this.#isListed([...path, name], 0));
    await this.#files(
      files.filter((file) => file !== asked),
      inodes,
    );
    if (asked !== undefined) {
      this.#rows.enter(`/${pathOfNames([...path, asked.name])}`);
      await this.#files([asked], inodes);
      this.#rows.leave();
    }
    for (const { ino, name, type } of children) {
      const inode = inodes.get(ino);
      if (type !== S_IFDIR) continue;
      // One that does not belong here would lead in circles.
      if (inode === undefined || (inode.mode & S_IFMT) !== S_IFDIR || inode.parent !== parent) {
        this.#damaged++;
        continue;
      }
      this.#rows.addDirectory();
      await this.#below(ino, [...path, name]);
    }
  }

  async #files(files: readonly Child[], inodes: Map<number, InodeRecord>): Promise<void> {
    for (const { ino } of files) {
      const inode = inodes.get(ino);
      if (inode === undefined) this.#damaged++;
      else this.#rows.addFile(inode.size, inode.inline?.length ?? 0);
    }
    await this.#contents(files, inodes);
  }

  async #below(ino: number, path: readonly string[]): Promise<void> {
    const isListed = this.#isListed(path, this.#options.depth);
    if (isListed) this.#rows.enter(`/${pathOfNames(path)}`);
    await this.#directory(ino, path);
    if (isListed) this.#rows.leave();
  }

  /** Whether a path is the one that was asked for, or at most so many levels below it. */
  #isListed(path: readonly string[], depth: number): boolean {
    const { names } = this.#options;
    if (path.length < names.length || path.length > names.length + depth) return false;
    if (names.some((name, i) => path[i] !== name)) return false;
    this.#isFound = true;
    return true;
  }

  async #inodes(children: readonly Child[]): Promise<Map<number, InodeRecord>> {
    const inodes = new Map<number, InodeRecord>();
    for (const run of runsOf(children)) {
      const [first, last] = [run[0] as number, run.at(-1) as number];
      const wanted = new Set(run);
      for await (const { key, value } of this.#view.range(inodeKey(first), inodeKey(last + 1))) {
        const ino = inoOfKey(key);
        const inode = wanted.has(ino) ? this.#decoded(() => decodeInode(ino, value)) : null;
        if (inode !== null) inodes.set(ino, inode);
      }
    }
    return inodes;
  }

  /** A file with two names in one directory counts once here: nothing of it is stored twice. */
  async #contents(files: readonly Child[], inodes: Map<number, InodeRecord>): Promise<void> {
    const withSegments = files.filter(({ ino }) => (inodes.get(ino)?.segmentsEnd ?? 0) > 0);
    for (const run of runsOf(withSegments)) {
      const wanted = new Set(run);
      const from = segmentKey(run[0] as number, 0);
      const to = segmentKey(run.at(-1) as number, SEGMENT_NUMBER_END);
      for await (const { key, value } of this.#view.range(from, to)) {
        this.#options.signal?.throwIfAborted();
        const ino = inoOfKey(key);
        if (!wanted.has(ino)) continue;
        const extents = this.#decoded(() => decodeSegment(ino, segmentOfKey(key), value)) ?? [];
        for (const { chunk, length } of extents) {
          if (chunk === null) continue;
          this.#options.onBlock(chunk.block);
          this.#rows.addReference(chunk, length);
        }
      }
    }
  }

  #decoded<T>(decode: () => T): T | null {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      this.#damaged++;
      return null;
    }
  }
}

/** Inode numbers in ascending order, cut where the next one is far away. */
function runsOf(children: readonly Child[]): number[][] {
  const inos = [...new Set(children.map(({ ino }) => ino))].sort((a, b) => a - b);
  const runs: number[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const ino of inos) {
    if (ino - last > GAP_MAX) runs.push([]);
    runs.at(-1)?.push(ino);
    last = ino;
  }
  return runs;
}
