import { limits } from '../limits.js';
import type { BlockSet } from '../log/block-set.js';
import type { ChunkReference } from './content-store.js';

/** Where a chunk lies; `ChunkReference` without its hash. */
export type ChunkPlace = Omit<ChunkReference, 'hash'>;

/**
 * 32-bit words of a slot: four of the hash, then block, offset, length, and the writer below the bytes of a compressed
 * chunk, plus one. A length of 0 marks an empty one.
 */
const slotWords = 8;
const writerBits = 13;
const writerMask = (1 << writerBits) - 1;
const compressedMax = 2 ** (32 - writerBits) - 1;
const bucketSlots = 8;
const firstSlots = 1024;
const loadMax = 0.75;

/**
 * Finds chunks that are stored already by their keyed hash. A hash may be in either of two buckets of eight slots and
 * goes into the emptier one (two-choice hashing), which lets the table fill to 75 % before it doubles. At its limit new
 * chunks take the place of others in their bucket, which costs some deduplication and nothing else. 32 bytes a slot,
 * in one typed array.
 *
 * The hash is keyed and 128 bits long: equal hashes are taken for equal chunks.
 */
export class ChunkIndex {
  readonly #slotsMax: number;
  #slots: number;
  #words: Uint32Array;
  #count = 0;
  /** Which slot of a full bucket goes next. */
  #turn = 0;

  constructor(entriesMax: number = limits.dedup_entries_max) {
    this.#slotsMax = Math.max(bucketSlots, entriesMax - (entriesMax % bucketSlots));
    this.#slots = Math.min(firstSlots, this.#slotsMax);
    this.#words = new Uint32Array(this.#slots * slotWords);
  }

  /** Chunks it knows. */
  get size(): number {
    return this.#count;
  }

  /** @param hash 16 bytes. */
  get(hash: Buffer): ChunkPlace | undefined {
    const at = this.#find(hash);
    if (at < 0) return undefined;
    const words = this.#words;
    const compressed = words[at + 7]! >>> writerBits;
    return {
      writer: words[at + 7]! & writerMask,
      block: words[at + 4]!,
      offset: words[at + 5]!,
      length: words[at + 6]!,
      ...(compressed > 0 && { compressedBytes: compressed - 1 }),
    };
  }

  /** Remembers a chunk; a later one with the same hash takes its place. */
  set(hash: Buffer, place: ChunkPlace): void {
    // Blocks beyond 32 bits (hundreds of terabytes) are stored, only not found again.
    if (place.block > 0xffffffff || place.length === 0) return;
    const compressed = (place.compressedBytes ?? -1) + 1;
    // No writer makes one.
    if (compressed > compressedMax) return;
    let at = this.#find(hash);
    if (at < 0) {
      if (this.#count >= this.#slots * loadMax) this.#grow();
      at = this.#vacate(readWord(hash, 0), readWord(hash, 1));
    }
    const words = this.#words;
    for (let i = 0; i < 4; i++) words[at + i] = readWord(hash, i);
    words[at + 4] = place.block;
    words[at + 5] = place.offset;
    words[at + 6] = place.length;
    words[at + 7] = ((compressed << writerBits) | place.writer) >>> 0;
  }

  /** Forgets every chunk in these blocks of a writer's log. Must come before they are removed. */
  forget(writer: number, blocks: BlockSet): void {
    const words = this.#words;
    for (let at = 0; at < words.length; at += slotWords) {
      if (words[at + 6] === 0 || (words[at + 7]! & writerMask) !== writer) continue;
      if (!blocks.has(words[at + 4]!)) continue;
      words.fill(0, at, at + slotWords);
      this.#count--;
    }
  }

  #find(hash: Buffer): number {
    const first = readWord(hash, 0);
    const second = readWord(hash, 1);
    const at = this.#findIn(this.#bucket(first), hash, first, second);
    return at >= 0 ? at : this.#findIn(this.#bucket(second), hash, first, second);
  }

  #findIn(start: number, hash: Buffer, first: number, second: number): number {
    const words = this.#words;
    for (let at = start; at < start + bucketSlots * slotWords; at += slotWords) {
      if (words[at] !== first || words[at + 1] !== second || words[at + 6] === 0) continue;
      if (words[at + 2] === readWord(hash, 2) && words[at + 3] === readWord(hash, 3)) return at;
    }
    return -1;
  }

  /** An empty slot for a hash with these first two words, else one whose chunk is given up. */
  #vacate(first: number, second: number): number {
    const one = this.#bucket(first);
    const other = this.#bucket(second);
    const usedInOne = this.#used(one);
    const usedInOther = this.#used(other);
    const start = usedInOne <= usedInOther ? one : other;
    const used = Math.min(usedInOne, usedInOther);
    if (used === bucketSlots) {
      this.#turn = (this.#turn + 1) % bucketSlots;
      return start + this.#turn * slotWords;
    }
    let at = start;
    while (this.#words[at + 6] !== 0) at += slotWords;
    this.#count++;
    return at;
  }

  #used(start: number): number {
    let used = 0;
    for (let slot = 0; slot < bucketSlots; slot++) {
      if (this.#words[start + slot * slotWords + 6] !== 0) used++;
    }
    return used;
  }

  /** The word's share of the table's length, so that the number of buckets need not be a power of two. */
  #bucket(word: number): number {
    const buckets = this.#slots / bucketSlots;
    return Math.floor((word / 0x1_0000_0000) * buckets) * bucketSlots * slotWords;
  }

  #grow(): void {
    if (this.#slots >= this.#slotsMax) return;
    const old = this.#words;
    this.#slots = Math.min(this.#slots * 2, this.#slotsMax);
    this.#words = new Uint32Array(this.#slots * slotWords);
    this.#count = 0;
    for (let from = 0; from < old.length; from += slotWords) {
      if (old[from + 6] === 0) continue;
      this.#words.set(
        old.subarray(from, from + slotWords),
        this.#vacate(old[from]!, old[from + 1]!),
      );
    }
  }
}

function readWord(hash: Buffer, index: number): number {
  const at = index * 4;
  return (hash[at]! | (hash[at + 1]! << 8) | (hash[at + 2]! << 16) | (hash[at + 3]! << 24)) >>> 0;
}
