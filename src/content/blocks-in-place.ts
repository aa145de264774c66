/**
 * Blocks of the local store that the main thread reads itself, when one program reads here and there: a thread of the pool
 * would have to be woken for the look into the database, and another one for the file.
 */
import type Hypercore from 'hypercore';
import { limits } from '../limits.js';
import type { LogEncryption } from '../log/encryption.js';
import type { LocalBlocks } from '../log/local-blocks.js';
import {
  openStretch,
  plainBytesOf,
  sector_bytes,
  sectoredBytes,
  sectorsWith,
} from '../log/sectors.js';
import { crc32 } from '../log/values/checksum.js';
import { checkBlock } from './block-format.js';

/** The most that is read of a part, sealed. */
const part_memory_bytes = sectoredBytes(limits.part_bytes_max + 2 * sector_bytes);

/** Null is never an error: whoever reads in the common way finds out what is wrong, if anything is. */
export class BlocksInPlace {
  readonly #core: Hypercore;
  readonly #local: LocalBlocks;
  readonly #encryption: LogEncryption;
  /** Blocks of which only a part was read lately: how often. */
  readonly #partReads = new Map<number, number>();
  /** What is read of them, sealed and opened; used again by the next. */
  readonly #sealed = Buffer.alloc(part_memory_bytes);
  readonly #opened = Buffer.alloc(part_memory_bytes);

  constructor(core: Hypercore, local: LocalBlocks, encryption: LogEncryption) {
    this.#core = core;
    this.#local = local;
    this.#encryption = encryption;
  }

  /** A block's plaintext, in memory that is the caller's alone. */
  block(block: number): Buffer | null {
    const { core } = this.#core;
    if (core === null) return null;
    const place = this.#local.place(block);
    const stored = place && this.#local.now(place, { offset: 0, length: place.pointer.length });
    if (place === null || stored === null) return null;
    // Of a block in one piece the cipher does not say which one it is.
    const isWhole = this.#encryption.layoutOf(core) === 'whole';
    if (isWhole && crc32(stored) !== place.pointer.checksum) return null;
    try {
      const plain = this.#encryption.open(block, stored, core, true);
      checkBlock(plain, block);
      return plain;
    } catch {
      // It was removed a moment ago, or is damaged.
      return null;
    }
  }

  /**
   * A stretch of a block's plaintext, of up to `part_bytes_max`, by reading little more than that of the disk. Null also for a
   * block of which so much was read that the whole of it is the better read. @param end Bytes that the block must have at least.
   */
  part(block: number, offset: number, length: number, end: number): Buffer | null {
    const { core } = this.#core;
    if (core === null || this.#encryption.layoutOf(core) !== 'sectors') return null;
    const reads = this.#partReads.get(block) ?? 0;
    if (reads >= limits.part_reads_max) return null;
    const place = this.#local.place(block);
    const storedBytes = place?.pointer.length ?? 0;
    if (place === null || (plainBytesOf(storedBytes) ?? 0) < end) return null;
    const stretch = sectorsWith(storedBytes, offset, offset + length);
    const sealed = stretch && this.#local.now(place, stretch, this.#sealed);
    if (stretch === null || sealed === null) return null;
    const keys = this.#encryption.sealingKeys(core);
    const plain = openStretch(keys, block, storedBytes, stretch, sealed, this.#opened);
    if (plain === null) return null;
    if (this.#partReads.size >= limits.part_read_blocks_max) this.#partReads.clear();
    this.#partReads.set(block, reads + 1);
    const start = offset - stretch.first * sector_bytes;
    return Buffer.from(plain.subarray(start, start + length));
  }
}
