import { limits } from '../limits.js';
import { copyBytes } from '../log/copy-bytes.js';
import { releasePages } from '../log/release-pages.js';

/** Keys of one log's blocks: block numbers stay below this. */
export const cacheKeysPerLog = 2 ** 40;

/** Behind them are those of the chunks that had such a block to themselves, decompressed. */
export const chunkKeys = 2 ** 39;

interface Place {
  start: number;
  length: number;
  /** Bytes in front of the block. */
  skip: number;
  /** False while the block is being made. */
  ready: boolean;
}

/** A place whose block is being decrypted in it. Settle it. */
export interface Reservation {
  /** The place's memory, in a SharedArrayBuffer. Nobody else writes to it until the reservation is settled. */
  readonly memory: Buffer;
  /**
   * The block is what follows the first `skip` bytes of the memory, which is the caller's until this turn of the event loop ends;
   * null: nothing is to be kept.
   */
  settle(skip: number | null): void;
}

/**
 * Copies of decrypted blocks in memory; the oldest go first. Keys are the caller's.
 *
 * All lie in one buffer that is written round and round: memory of many sizes that comes and goes would leave holes
 * between others', which the C library never gives back (measured: 100 MB of them after a few hundred megabytes read).
 */
export class BlockCache {
  readonly #bytesMax: number;
  /** A Map keeps the order of insertion, which is that of the places from `#next` on, round the buffer. */
  readonly #places = new Map<number, Place>();
  /** Made when it is first needed. */
  #memory: Buffer | null = null;
  /** Places in `#memory` that are being written to by others. */
  #reserved = new Set<Place>();
  /** Places that were handed out in this turn of the event loop: who has them may still look at them. */
  #lent = new Set<Place>();
  /** Where the next block goes. */
  #next = 0;
  #bytes = 0;

  constructor(bytesMax: number = limits.block_cache_bytes_max) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  has(key: number): boolean {
    return this.#places.get(key)?.ready === true;
  }

  /**
   * The memory is used again: what this returns must be used before anything else is waited for. Until then it stays as it is,
   * whatever is put into the cache.
   */
  get(key: number): Buffer | undefined {
    const place = this.#places.get(key);
    if (place?.ready !== true) return undefined;
    this.#lend(place);
    return this.#memory?.subarray(place.start + place.skip, place.start + place.length);
  }

  /** Keeps a copy of `block`, unless it is larger than the cache, or would lie where a reserved or lent place is. */
  set(key: number, block: Buffer): void {
    const place = this.#allocate(key, block.length);
    if (place === null || this.#memory === null) return;
    copyBytes(block, this.#memory.subarray(place.start, place.start + block.length));
    place.ready = true;
  }

  /** A place for a block that will be made in it; null when there is none now. */
  reserve(key: number, bytes: number): Reservation | null {
    const place = this.#allocate(key, bytes);
    if (place === null || this.#memory === null) return null;
    const [memory, reserved] = [this.#memory, this.#reserved];
    reserved.add(place);
    return {
      memory: memory.subarray(place.start, place.start + bytes),
      settle: (skip) => {
        reserved.delete(place);
        if (skip !== null && this.#memory === memory) this.#lend(place);
        // The place may have been dropped meanwhile.
        if (this.#places.get(key) !== place) return;
        if (skip === null) this.delete(key);
        else Object.assign(place, { skip, ready: true });
      },
    };
  }

  delete(key: number): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#places.delete(key);
    this.#bytes -= place.length;
  }

  /** Drops the keys [first, end). */
  deleteRange(first: number, end: number): void {
    for (const key of [...this.#places.keys()]) if (key >= first && key < end) this.delete(key);
  }

  /** Drops everything, and the memory. */
  clear(): void {
    this.#places.clear();
    this.#bytes = 0;
    this.#memory = null;
    this.#reserved = new Set();
    this.#lent = new Set();
    this.#next = 0;
  }

  /**
   * Drops everything, and gives the memory back to the system unless somebody uses it just now. A thread that has seen it keeps no pages
   * of it.
   */
  releaseMemory(): void {
    this.#places.clear();
    this.#bytes = 0;
    if (this.#memory === null || this.#reserved.size > 0 || this.#lent.size > 0) return;
    this.#next = 0;
    if (!releasePages(this.#memory)) this.#memory = null;
  }

  #lend(place: Place): void {
    if (this.#lent.size === 0) setImmediate(() => this.#lent.clear());
    this.#lent.add(place);
  }

  /** The next place, as the key's; what was there is dropped. */
  #allocate(key: number, length: number): Place | null {
    this.delete(key);
    if (length > this.#bytesMax) return null;
    this.#memory ??= Buffer.from(new SharedArrayBuffer(this.#bytesMax));
    if (this.#next + length > this.#bytesMax) {
      this.#dropFrom(this.#next, this.#bytesMax);
      this.#next = 0;
    }
    const start = this.#next;
    for (const places of [this.#reserved, this.#lent]) {
      for (const place of places) {
        if (place.start < start + length && start < place.start + place.length) return null;
      }
    }
    this.#dropFrom(start, start + length);
    const place = { start, length, skip: 0, ready: false };
    this.#places.set(key, place);
    this.#bytes += length;
    this.#next += length;
    return place;
  }

  /** Drops the oldest blocks as far as they begin in [start, end); the oldest of all begins at `#next` or behind it. */
  #dropFrom(start: number, end: number): void {
    for (const [key, place] of this.#places) {
      if (place.start < start || place.start >= end) return;
      this.delete(key);
    }
  }
}
