/** Keeps what is pinned on this machine: notes which blocks it lies in, fetches them, and does so again when it changes. */
import type Hypercore from 'hypercore';
import type { Download } from 'hypercore';
import type { DiskCache } from '../content/disk-cache.js';
import { NotFoundError, UnavailableError } from '../errors.js';
import { noSuchPath } from '../fs/drive-path.js';
import { S_IFDIR, S_IFMT } from '../fs/inode.js';
import { findPath, walkSubtree } from '../fs/subtree.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { decodeCommit } from '../tree/commit-record.js';
import { commitKey } from '../tree/keys.js';
import type { Head, Tree, TreeView } from '../tree/tree.js';
import { namesOfPath, pinPath, readPins, writePins } from './pin-file.js';

const RETRY_MS = 5000;
/** After looking through what is pinned, this many times as long is left to others. */
const REST_FACTOR = 4;

/** How much of a pinned path is here. */
export interface PinFigures {
  path: string;
  /** All that is no directory; null until it was looked through. */
  files: number | null;
  directories: number;
  /** Of the content, also of what lies in the tree, which is here. */
  bytes: number;
  blocks: number;
  blocksHere: number;
  /** What keeps it from being whole; null when nothing is known to. */
  problem: string | null;
}

export interface PinnerOptions {
  /** Where the pins are noted. */
  file: string;
  tree: Tree;
  /** The chunk log: ready. */
  content: Hypercore;
  diskCache: DiskCache | null;
  /** Only look at what is here. */
  localOnly?: boolean;
  log: (line: string) => void;
}

interface Pin {
  path: string;
  files: number | null;
  directories: number;
  bytes: number;
  blocks: BlockSet;
  problem: string | null;
}

export class Pinner {
  readonly #options: PinnerOptions;
  #pins: Pin[];
  /** Inodes below the pins at `#head`; null when there are too many to note. */
  #inodes: Set<number> | null = null;
  #head: Head | null = null;
  #running: Promise<void> | null = null;
  #again = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #downloads = new Set<Download>();
  /** Ends waits for peers. */
  readonly #abort = new AbortController();

  private constructor(options: PinnerOptions, paths: readonly string[]) {
    this.#options = options;
    this.#pins = paths.map(newPin);
    options.tree.onAdvance(() => this.#advance());
    this.#look();
  }

  /** Throws FormatVersionError, StoreError. */
  static async open(options: PinnerOptions): Promise<Pinner> {
    return new Pinner(options, await readPins(options.file));
  }

  figures(): PinFigures[] {
    return this.#pins.map(({ blocks, ...pin }) => {
      let count = 0;
      let blocksHere = 0;
      for (const block of blocks) {
        count++;
        if (this.#isHere(block)) blocksHere++;
      }
      return { ...pin, blocks: count, blocksHere };
    });
  }

  /** Throws UsageError, NotFoundError when there is no such path now, UnavailableError, LimitError. */
  async pin(given: readonly string[]): Promise<void> {
    const paths = given.map(pinPath);
    const view = this.#newest();
    for (const path of paths) {
      const names = namesOfPath(path);
      if ((await findPath(view, names, this.#read())) === null) throw noSuchPath(names);
    }
    const known = new Set(this.#pins.map((pin) => pin.path));
    const fresh = [...new Set(paths)].filter((path) => !known.has(path));
    await this.#change([...this.#pins, ...fresh.map(newPin)]);
  }

  /** Throws UsageError, NotFoundError when one of them is not pinned. */
  async unpin(given: readonly string[]): Promise<void> {
    const paths = new Set(given.map(pinPath));
    await this.#change(withoutPins(this.#pins, paths));
  }

  /** Resolves when everything that can be had now is here, or what is looked for cannot be found here. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#cancel();
    await this.settled();
  }

  async #change(pins: Pin[]): Promise<void> {
    pins.sort((a, b) => (a.path < b.path ? -1 : 1));
    await writePins(
      this.#options.file,
      pins.map((pin) => pin.path),
    );
    this.#pins = pins;
    this.#head = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#look();
  }

  #newest(): TreeView {
    const { tree } = this.#options;
    return tree.at(tree.head);
  }

  #read() {
    return { signal: this.#abort.signal, localOnly: this.#options.localOnly === true };
  }

  #isHere(block: number): boolean {
    return this.#options.content.core?.bitfield.get(block) ?? false;
  }

  #advance(): void {
    if (this.#pins.length > 0) this.#look();
  }

  /** Looks through what is pinned, now or after the rest that is due. */
  #look(): void {
    this.#again = true;
    if (this.#running !== null || this.#timer !== null || this.#abort.signal.aborted) {
      // What is being fetched may not be wanted any more.
      if (this.#timer === null) this.#cancel();
      return;
    }
    const beganMs = performance.now();
    this.#running = this.#run().finally(() => {
      this.#running = null;
      if (this.#again) this.#lookLater(REST_FACTOR * (performance.now() - beganMs));
    });
  }

  #lookLater(ms: number): void {
    if (this.#abort.signal.aborted || this.#timer !== null) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#look();
      },
      Math.max(limits.pin_look_ms_min, Math.min(ms, limits.pin_look_ms_max)),
    );
  }

  async #run(): Promise<void> {
    this.#again = false;
    try {
      const view = this.#newest();
      if (await this.#isChanged(view)) await this.#walk(view);
      if (this.#options.localOnly !== true) await this.#fetch();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      for (const pin of this.#pins) pin.problem ??= textOf(error);
      if (!(error instanceof UnavailableError)) {
        this.#options.log(`Cannot keep what is pinned: ${textOf(error)}`);
      }
      this.#again = this.#options.localOnly !== true;
      if (this.#again) this.#lookLater(RETRY_MS);
    }
  }

  /** Whether the newest head may have other content below the pins than the one that was looked through. */
  async #isChanged(view: TreeView): Promise<boolean> {
    const known = this.#head;
    if (known === null) return true;
    if (known.length === view.head.length && known.fork === view.head.fork) return false;
    const bytes = await view.get(commitKey, this.#read());
    const { changes, previous } = decodeCommit(bytes ?? Buffer.alloc(0));
    const follows = previous.length === known.length && previous.fork === known.fork;
    const noted = this.#inodes;
    if (!follows || changes === null || noted === null) return true;
    const isBelow =
      changes.inodes.some((ino) => noted.has(ino)) ||
      changes.entries.some(({ parent }) => noted.has(parent)) ||
      // A path that led nowhere may lead somewhere now.
      this.#pins.some(({ problem }) => problem !== null);
    if (!isBelow) this.#head = view.head;
    return isBelow;
  }

  async #walk(view: TreeView): Promise<void> {
    const inodes = new Set<number>();
    for (const pin of [...this.#pins]) {
      const looked = newPin(pin.path);
      looked.files = 0;
      const entry = await findPath(view, namesOfPath(pin.path), this.#read());
      if (entry === null) looked.problem = 'it is not in the drive any more';
      else {
        for await (const { ino, record, extents } of walkSubtree(view, entry, this.#read())) {
          if (inodes.size < limits.pinned_inodes_noted_max) inodes.add(ino);
          if ((record.mode & S_IFMT) === S_IFDIR) looked.directories++;
          else looked.files++;
          looked.bytes += record.inline?.length ?? 0;
          for (const { chunk, length } of extents) {
            if (chunk === null || chunk.block >= limits.log_blocks_max) continue;
            looked.bytes += length;
            // At once: it must not be taken away while the rest is looked through.
            if (looked.blocks.add(chunk.block)) this.#options.diskCache?.pin(chunk.block);
          }
        }
      }
      Object.assign(pin, looked);
    }
    // What was pinned before, and is not below the pins any more, may go.
    this.#options.diskCache?.setPinned(this.#allBlocks());
    this.#inodes = inodes.size < limits.pinned_inodes_noted_max ? inodes : null;
    this.#head = view.head;
  }

  *#allBlocks(): Generator<number> {
    for (const { blocks } of this.#pins) yield* blocks;
  }

  /**
   * In batches: a request for very many blocks is looked through again for each that comes. The next is asked for before
   * the last has come, or a peer that is far away would have nothing to send for a round trip after each.
   */
  async #fetch(): Promise<void> {
    const coming: Promise<void>[] = [];
    try {
      for (const batch of this.#missing()) {
        if (coming.length >= limits.pin_batches_max) await coming.shift();
        if (this.#again || this.#abort.signal.aborted) return;
        const fetching = this.#fetchBatch(batch);
        // Waited for below, maybe after it has failed.
        fetching.catch(() => undefined);
        coming.push(fetching);
      }
      await Promise.all(coming);
    } finally {
      this.#cancel();
    }
  }

  /** What is not here, as far as known now. */
  *#missing(): Generator<number[]> {
    let batch: number[] = [];
    for (const block of this.#allBlocks()) {
      if (this.#isHere(block)) continue;
      batch.push(block);
      if (batch.length < limits.pin_batch_blocks) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  async #fetchBatch(blocks: number[]): Promise<void> {
    const download = this.#options.content.download({ blocks });
    this.#downloads.add(download);
    try {
      await download.done();
    } finally {
      this.#downloads.delete(download);
    }
  }

  #cancel(): void {
    for (const download of this.#downloads) download.destroy();
  }
}

/** Throws NotFoundError when one of the paths is not pinned. */
export function withoutPins<T extends { path: string }>(
  pins: readonly T[],
  paths: ReadonlySet<string>,
): T[] {
  for (const path of paths) {
    if (pins.some((pin) => pin.path === path)) continue;
    throw new NotFoundError(`Cannot unpin '${path}': it is not pinned; 'shoal pins' shows what is`);
  }
  return pins.filter((pin) => !paths.has(pin.path));
}

/** Whether nothing is left to be fetched. */
export function isWhole({ files, blocks, blocksHere, problem }: PinFigures): boolean {
  return files !== null && problem === null && blocks === blocksHere;
}

function newPin(path: string): Pin {
  return { path, files: null, directories: 0, bytes: 0, blocks: new BlockSet(), problem: null };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
