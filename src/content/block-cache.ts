import { limits } from '../limits.js';

/** Decrypted blocks in memory; the least recently used go first. Keys are the caller's. */
export class BlockCache {
  readonly #bytesMax: number;
  /** A Map keeps the order of insertion, so the first is the one unused for longest. */
  readonly #blocks = new Map<number, Buffer>();
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
    return this.#blocks.has(key);
  }

  get(key: number): Buffer | undefined {
    const block = this.#blocks.get(key);
    if (block === undefined) return undefined;
    this.#blocks.delete(key);
    this.#blocks.set(key, block);
    return block;
  }

  set(key: number, block: Buffer): void {
    this.delete(key);
    if (block.length > this.#bytesMax) return;
    this.#blocks.set(key, block);
    this.#bytes += block.length;
    for (const oldest of this.#blocks.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.delete(oldest);
    }
  }

  delete(key: number): void {
    const block = this.#blocks.get(key);
    if (block === undefined) return;
    this.#blocks.delete(key);
    this.#bytes -= block.length;
  }

  /** Drops the keys [first, end). */
  deleteRange(first: number, end: number): void {
    for (const key of [...this.#blocks.keys()]) if (key >= first && key < end) this.delete(key);
  }

  clear(): void {
    this.#blocks.clear();
    this.#bytes = 0;
  }
}
