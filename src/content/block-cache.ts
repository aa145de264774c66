import { limits } from '../limits.js';

interface Place {
  start: number;
  length: number;
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
    return this.#places.has(key);
  }

  /** The memory is used again: what this returns must be used before anything else is waited for. */
  get(key: number): Buffer | undefined {
    const place = this.#places.get(key);
    return place && this.#memory?.subarray(place.start, place.start + place.length);
  }

  /** Keeps a copy of `block`, unless it is larger than the cache. */
  set(key: number, block: Buffer): void {
    const { length } = block;
    this.delete(key);
    if (length > this.#bytesMax) return;
    this.#memory ??= Buffer.allocUnsafeSlow(this.#bytesMax);
    if (this.#next + length > this.#bytesMax) {
      this.#dropFrom(this.#next, this.#bytesMax);
      this.#next = 0;
    }
    this.#dropFrom(this.#next, this.#next + length);
    block.copy(this.#memory, this.#next);
    this.#places.set(key, { start: this.#next, length });
    this.#bytes += length;
    this.#next += length;
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
    this.#next = 0;
  }

  /** Drops the oldest blocks as far as they begin in [start, end); the oldest of all begins at `#next` or behind it. */
  #dropFrom(start: number, end: number): void {
    for (const [key, place] of this.#places) {
      if (place.start < start || place.start >= end) return;
      this.delete(key);
    }
  }
}
