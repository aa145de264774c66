/** What a host may still take: the disk that its store takes is measured, and what comes is counted until then. */
import { limits } from '../limits.js';

/** Measured this often at most, and after so large a share of the capacity at least. */
const MEASURE_MS = 1000;
const MEASURE_SHARE = 1 / 64;
/** Keys, hash tree and RocksDB's tables, for each block; with its value's own padding. */
const BLOCK_OVERHEAD_BYTES = 512;

export interface CapacityOptions {
  capacityBytes: number;
  /** What the store may take besides blocks that are counted: files that are written before old ones go. */
  reserveBytes: number;
  /** Bytes that the store takes on the disk now. */
  measure: () => Promise<number>;
  /** Bytes that are free on the disk, for whoever. */
  diskFreeBytes: () => Promise<number>;
}

export class Capacity {
  readonly capacityBytes: number;
  readonly #options: CapacityOptions;
  #usedBytes = 0;
  /** Claimed and on its way. */
  #expectedBytes = 0;
  /** Stored since the last measurement. */
  #countedBytes = 0;
  #diskFreeBytes = Number.POSITIVE_INFINITY;
  #measuredMs = Number.NEGATIVE_INFINITY;
  #measuring: Promise<void> | null = null;

  constructor(options: CapacityOptions) {
    this.#options = options;
    this.capacityBytes = options.capacityBytes;
  }

  /** As far as is known without measuring. */
  get usedBytes(): number {
    return this.#usedBytes + this.#expectedBytes + this.#countedBytes;
  }

  /** Of the capacity, what is kept free for the store itself, in bytes. */
  get reservedBytes(): number {
    return this.#options.reserveBytes;
  }

  /** What may still be stored, about. */
  get freeBytes(): number {
    const { capacityBytes, reserveBytes } = this.#options;
    const ownBytes = capacityBytes - reserveBytes - this.usedBytes;
    const comingBytes = this.#expectedBytes + this.#countedBytes;
    const diskBytes = this.#diskFreeBytes - limits.store_reserve_bytes - comingBytes;
    return Math.max(0, Math.min(ownBytes, diskBytes));
  }

  /** How many blocks of about this size fit, at most `count`; room is kept for them until {@link settle}. */
  async claim(count: number, blockBytes: number): Promise<number> {
    const eachBytes = blockBytes + BLOCK_OVERHEAD_BYTES;
    const isStale = performance.now() - this.#measuredMs > MEASURE_MS;
    const isMuch = this.#countedBytes > this.capacityBytes * MEASURE_SHARE;
    const isTight = this.freeBytes < count * eachBytes;
    if (isMuch || (isStale && (isTight || this.#countedBytes > 0))) await this.measure();
    const fitting = Math.min(count, Math.floor(this.freeBytes / eachBytes));
    this.#expectedBytes += fitting * eachBytes;
    return fitting;
  }

  /** Of `claimed` blocks, `stored` have come; the others do not. */
  settle(claimed: number, stored: number, blockBytes: number): void {
    const eachBytes = blockBytes + BLOCK_OVERHEAD_BYTES;
    this.#expectedBytes -= claimed * eachBytes;
    this.#countedBytes += stored * eachBytes;
  }

  /** Callers that come while it is being measured share it. Throws what measuring throws. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = null;
    });
    return this.#measuring;
  }

  async #measure(): Promise<void> {
    // What comes meanwhile may or may not be measured: it stays counted.
    const countedBytes = this.#countedBytes;
    this.#usedBytes = await this.#options.measure();
    this.#diskFreeBytes = await this.#options.diskFreeBytes();
    this.#countedBytes -= countedBytes;
    this.#measuredMs = performance.now();
  }
}

/** Throws nothing; whether a capacity is large enough for a store to work in. */
export function isCapacity(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes >= limits.host_capacity_bytes_min;
}
