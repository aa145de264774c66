/** Keeps what a log that somebody else writes takes on this disk below a bound: the blocks used longest ago go first. */
import type Hypercore from 'hypercore';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { removeBlocks, stretchesOf } from '../log/remove-blocks.js';
import { LocalTable } from './local-table.js';
import { decodeUses, encodeUses } from './saved-uses.js';

/** The disk that the store takes, and the way to get back what removed blocks still take of it. */
export interface StoreSpace {
  /** Bytes on the disk, without those of the tree's log, and without write-ahead files, which come and go. */
  usedBytes(): Promise<number>;
  /**
   * Gives back files in which nothing is in use any more. `share` of all files, the oldest, are also emptied by moving
   * what is in use: 0 none, 1 all.
   */
  reclaim(share: number): Promise<void>;
}

export interface DiskCacheOptions {
  /** Ready. */
  core: Hypercore;
  /** At least `cache_bytes_min`. */
  bytesMax: number;
  /** What the store takes besides at most. */
  fixedBytes: number;
  /** What may be on its way, or be written anew by the store, when fetching has to stop. */
  onTopBytes: number;
  space: StoreSpace;
  /** The log is written here: what is appended counts, and goes only when {@link DiskCache.mayForget} says so. */
  isWriter?: boolean;
  /** Nothing is taken away before `setPinned` was called. Default false. */
  waitsForPins?: boolean;
  /** What `encode` gave when the log was open last. */
  saved?: Buffer | null;
  log: (line: string) => void;
}

/** Shares of all files that are emptied, one after the other, until enough was given back. */
const RECLAIM_SHARES = [0.1, 0.25, 0.5, 1];
/** Blocks taken out of the store in one write. */
const REMOVED_AT_ONCE_MAX = 512;
const EPOCH_MAX = 0xffff;
/** So many epochs pass while the whole cache is used once. */
const EPOCHS_PER_TURN = 256;
const BLOCK_BYTES_GUESSED = 64 << 10;

/**
 * Watches what comes into a log's local store. Whoever fetches blocks asks {@link DiskCache.room} first, so that what
 * comes in cannot outrun what is given back. Pinned blocks are kept, and do not count.
 */
export class DiskCache {
  readonly #options: DiskCacheOptions;
  readonly #core: Hypercore;
  readonly #bytesMax: number;
  readonly #table = new LocalTable();
  readonly #pinned = new BlockSet();
  /** Bytes of local blocks that are not pinned, and that are. */
  #bytes = 0;
  #pinnedBytes = 0;
  #epoch = 1;
  /** Used since the last tick of the epoch. */
  #usedBytes = 0;
  /** The store's size at the last look, without what is pinned, and what came since. */
  #measuredBytes = 0;
  #cameBytes = 0;
  /** Removed, and still on the disk for what is known. */
  #garbageBytes = 0;
  /** Besides `fixedBytes`, as found out. */
  #reservedBytes = 0;
  #removing: { blocks: ReadonlySet<number>; done: Promise<void> } | null = null;
  #running: Promise<void> | null = null;
  #failed = false;
  #waitsForPins: boolean;
  #closed = false;

  /** Whether somebody reads the block, or has it read ahead: it is not taken away. Set by who reads. */
  isBusy: (block: number) => boolean = () => false;

  /** Whether others have the block for certain, so that it may be taken away. */
  mayForget: (block: number) => boolean;

  readonly #onDownload = (block: number, bytes: number): void => this.#came(block, bytes);
  readonly #onTruncate = (length: number): void => this.#cut(length);
  /** How long the log was when it was looked at last. */
  #length: number;
  #byteLength: number;
  readonly #onAppend = (): void => {
    const { length, byteLength, padding } = this.#core;
    const count = length - this.#length;
    const bytes = (byteLength - this.#byteLength) / count + padding;
    for (let block = this.#length; block < length; block++) this.#came(block, bytes);
    this.#length = length;
    this.#byteLength = byteLength;
  };

  constructor(options: DiskCacheOptions) {
    this.#options = options;
    this.#core = options.core;
    this.#bytesMax = options.bytesMax;
    this.#waitsForPins = options.waitsForPins === true;
    this.#load(options.saved ?? null);
    options.core.on('download', this.#onDownload);
    options.core.on('truncate', this.#onTruncate);
    this.mayForget = () => options.isWriter !== true;
    this.#length = options.core.length;
    this.#byteLength = options.core.byteLength;
    if (options.isWriter === true) options.core.on('append', this.#onAppend);
    this.#look();
  }

  /** Bytes of the blocks that are here and not pinned; what the store takes of the disk is a little more. */
  get bytes(): number {
    return this.#bytes;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  /** Bytes of the pinned blocks that are here. */
  get pinnedBytes(): number {
    return this.#pinnedBytes;
  }

  /** A block came otherwise than from a peer. */
  note(block: number, bytes: number): void {
    if (!this.#closed) this.#came(block, bytes);
  }

  /** A block is read. */
  touch(block: number): void {
    this.#table.touch(block, this.#epoch);
    this.#tick(BLOCK_BYTES_GUESSED);
  }

  /** Null while more may be fetched; else it resolves when it is worth asking again. Never rejects. */
  room(): Promise<void> | null {
    if (this.#measuredBytes + this.#cameBytes <= this.#highBytes || this.#failed) return null;
    this.#look();
    return this.#running;
  }

  /** Resolves when the block, which is being removed, is gone; null when it is not being removed. */
  removal(block: number): Promise<void> | null {
    return this.#removing?.blocks.has(block) === true ? this.#removing.done : null;
  }

  isPinned(block: number): boolean {
    return this.#pinned.has(block);
  }

  /** Keeps a block from now on, whether or not it is here yet. */
  pin(block: number): void {
    if (!this.#pinned.add(block)) return;
    const bytes = this.#table.bytesOf(block);
    this.#bytes -= bytes;
    this.#pinnedBytes += bytes;
  }

  /** Only these are pinned from now on. */
  setPinned(blocks: Iterable<number>): void {
    this.#pinned.clear();
    for (const block of blocks) this.#pinned.add(block);
    this.#waitsForPins = false;
    this.#count();
    this.#look();
  }

  /** Resolves when nothing is left to do for now. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  /** Looks again, as after many blocks came. @param garbageBytes Removed from another log of the store. */
  trim(garbageBytes = 0): Promise<void> {
    this.#garbageBytes += garbageBytes;
    this.#look();
    return this.settled();
  }

  /** When the blocks were last used, for the next time the log is opened. */
  encode(): Buffer {
    return encodeUses(this.#table, this.#core.fork);
  }

  /** Waits for what is under way. Idempotent. The core stays open. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#core.removeListener('download', this.#onDownload);
    this.#core.removeListener('truncate', this.#onTruncate);
    this.#core.removeListener('append', this.#onAppend);
    await this.settled();
  }

  #load(saved: Buffer | null): void {
    const { core } = this.#core;
    if (core === null || this.#core.length === 0) return;
    const uses = saved === null ? null : decodeUses(saved, this.#core.fork);
    const average = this.#core.byteLength / this.#core.length + this.#core.padding;
    for (let at = core.bitfield.firstSet(0); at >= 0; at = core.bitfield.firstSet(at + 1)) {
      if (at >= this.#core.length) break;
      const bytes = uses?.bytesOf(at) ?? 0;
      this.#table.set(at, bytes > 0 ? bytes : average, uses?.epochOf(at) ?? 0);
    }
    this.#epoch = Math.min(EPOCH_MAX, (uses?.newest ?? 0) + 1);
    this.#count();
  }

  #count(): void {
    this.#bytes = 0;
    this.#pinnedBytes = 0;
    for (const { block, bytes } of this.#table.entries()) {
      if (this.#pinned.has(block)) this.#pinnedBytes += bytes;
      else this.#bytes += bytes;
    }
  }

  #came(block: number, bytes: number): void {
    if (this.#table.has(block)) this.#left(block);
    this.#table.set(block, bytes, this.#epoch);
    // As rounded, so that it comes out even when it leaves.
    const kept = this.#table.bytesOf(block);
    this.#cameBytes += kept;
    if (this.#pinned.has(block)) {
      this.#pinnedBytes += kept;
      this.#measuredBytes -= kept;
    } else this.#bytes += kept;
    this.#tick(kept);
    if (this.#cameBytes >= this.#stepBytes) this.#look();
  }

  #left(block: number): void {
    const bytes = this.#table.bytesOf(block);
    if (this.#pinned.has(block)) this.#pinnedBytes -= bytes;
    else this.#bytes -= bytes;
    this.#table.delete(block);
  }

  #cut(length: number): void {
    const gone = [...this.#table.entries()].filter(({ block }) => block >= length);
    for (const { block } of gone) this.#left(block);
    this.#length = Math.min(this.#length, length);
    this.#byteLength = this.#core.byteLength;
  }

  #tick(bytes: number): void {
    this.#usedBytes += bytes;
    if (this.#usedBytes < this.#bytesMax / EPOCHS_PER_TURN) return;
    this.#usedBytes = 0;
    if (++this.#epoch <= EPOCH_MAX) return;
    this.#table.halveEpochs();
    this.#epoch -= EPOCH_MAX >>> 1;
  }

  /** So much may come before the disk is looked at again. */
  get #stepBytes(): number {
    return this.#bytesMax / 64;
  }

  /** Blocks may take so much; the rest is for what is removed and not given back yet. */
  get #keptBytesMax(): number {
    const spare = this.#reservedBytes + 2 * this.#garbageBytesMax;
    return Math.max(this.#bytesMax / 8, this.#highBytes - spare);
  }

  /** Of `usedBytes`. Above this nothing more is fetched. */
  get #highBytes(): number {
    return this.#bytesMax - this.#options.fixedBytes - this.#options.onTopBytes;
  }

  get #garbageBytesMax(): number {
    return this.#bytesMax / 16;
  }

  #look(): void {
    if (this.#running !== null || this.#closed || this.#waitsForPins) return;
    this.#running = this.#maintain()
      .then(
        () => {
          this.#failed = false;
        },
        (error: unknown) => {
          // Reading goes on: a cache that is too large is better than a file that cannot be read.
          if (!this.#failed) this.#options.log(`Cannot keep the cache in its bound: ${error}`);
          this.#failed = true;
        },
      )
      .finally(() => {
        this.#running = null;
        if (this.#cameBytes >= this.#stepBytes && !this.#failed) this.#look();
      });
  }

  async #maintain(): Promise<void> {
    await this.#measure();
    if (this.#bytes > this.#keptBytesMax) {
      await this.#evict(this.#bytes - this.#keptBytesMax + this.#garbageBytesMax);
    }
    const isOver = (): boolean => this.#measuredBytes > this.#highBytes - 2 * this.#stepBytes;
    if (this.#garbageBytes < this.#garbageBytesMax && !isOver()) return;
    // What nobody else has stays, however much it is: moving it about gives nothing back.
    const isInVain = this.#options.isWriter === true && this.#garbageBytes < this.#stepBytes;
    if (isInVain) return;
    await this.#reclaim(0);
    for (const share of RECLAIM_SHARES) {
      if (!isOver() || this.#closed) return;
      await this.#reclaim(share);
    }
    if (!isOver() || this.#closed || this.#options.isWriter === true) return;
    // The store needs more room besides the blocks than was thought.
    const excess = this.#measuredBytes - this.#highBytes + 2 * this.#stepBytes;
    this.#reservedBytes = Math.min(this.#bytesMax / 2, this.#reservedBytes + excess);
    await this.#evict(excess);
    await this.#reclaim(1);
  }

  async #measure(): Promise<void> {
    const came = this.#cameBytes;
    const used = await this.#options.space.usedBytes();
    this.#measuredBytes = used - this.#pinnedBytes;
    this.#cameBytes -= came;
  }

  async #reclaim(share: number): Promise<void> {
    this.#garbageBytes = 0;
    await this.#options.space.reclaim(share);
    await this.#measure();
  }

  async #evict(bytes: number): Promise<void> {
    const victims = this.#oldest(bytes);
    for (let at = 0; at < victims.length && !this.#closed; at += REMOVED_AT_ONCE_MAX) {
      // What has come into use since is kept.
      const batch = victims
        .slice(at, at + REMOVED_AT_ONCE_MAX)
        .filter((block) => this.#mayGo(block));
      const done = removeBlocks(this.#core, stretchesOf([...batch]));
      const settled = done.then(
        () => undefined,
        () => undefined,
      );
      this.#removing = { blocks: new Set(batch), done: settled };
      try {
        await done;
      } finally {
        this.#removing = null;
      }
      for (const block of batch) {
        this.#garbageBytes += this.#table.bytesOf(block);
        this.#left(block);
      }
    }
  }

  #mayGo(block: number): boolean {
    return !this.#pinned.has(block) && !this.isBusy(block) && this.mayForget(block);
  }

  /** Blocks of so many bytes that were used longest ago, in epochs: those of one epoch are as good as each other. */
  #oldest(bytes: number): number[] {
    const perEpoch = new Float64Array(EPOCH_MAX + 1);
    for (const { block, bytes: size, epoch } of this.#table.entries()) {
      if (this.#mayGo(block)) perEpoch[epoch] = (perEpoch[epoch] as number) + size;
    }
    let last = 0;
    for (let sum = perEpoch[0] as number; sum < bytes && last < EPOCH_MAX; ) {
      sum += perEpoch[++last] as number;
    }
    const victims: number[] = [];
    let found = 0;
    const youngest: { block: number; bytes: number }[] = [];
    for (const { block, bytes: size, epoch } of this.#table.entries()) {
      if (epoch > last || !this.#mayGo(block)) continue;
      if (epoch === last) youngest.push({ block, bytes: size });
      else {
        victims.push(block);
        found += size;
      }
    }
    for (const { block, bytes: size } of youngest) {
      if (found >= bytes) break;
      victims.push(block);
      found += size;
    }
    return victims;
  }
}

/** Read-ahead of a log with such a cache: less where the cache is small. */
export function readaheadBytesOf(cacheBytesMax: number): number {
  return Math.min(limits.readahead_bytes_max, Math.floor(cacheBytesMax / 32));
}
