import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import type { ChunkReference } from './content-store.js';
import { decompress } from './zstd.js';

/**
 * Plaintext of a block of the chunk log:
 *
 *   byte 0    version of this layout: 1
 *   byte 1..  the bytes of one or more chunks, back to back, each as it is or compressed
 *
 * Where a chunk begins and ends, and whether it is compressed, is known only to the references in the tree; their offsets count from byte 0 of the
 * plaintext, so the first chunk's is 1. A chunk of 32 KiB or more has a block of its own; smaller ones share blocks of
 * up to 64 KiB, so that a peer who sees blocks' sizes does not see small chunks'.
 */
export const blockVersion = 1;

/** Plaintext in front of the first chunk. */
export const blockHeaderBytes = 1;

/** A smaller chunk shares a block with others. */
export const packedChunkBytesMax = 32 << 10;

/** Plaintext of a block of small chunks. */
export const packBytesMax = 64 << 10;

/** Whether a plaintext is of a layout that this program knows. */
export function isBlock(block: Buffer): boolean {
  const { length } = block;
  return length > blockHeaderBytes && length <= limits.block_bytes_max && block[0] === blockVersion;
}

/** Throws DamagedError unless `block`, the plaintext of block `index`, is one that this program can have written. */
export function checkBlock(block: Buffer, index: number): void {
  if (block.length <= blockHeaderBytes || block.length > limits.block_bytes_max) {
    throw new DamagedError(
      `Cannot read block ${index} of the chunk log: it has ${block.length} bytes`,
    );
  }
  if (block[0] !== blockVersion) {
    throw new DamagedError(
      `Cannot read block ${index} of the chunk log: unknown layout ${block[0]}`,
    );
  }
}

/**
 * Bytes [offset, offset + length) of a chunk; they share the block's memory.
 * Throws DamagedError when the block is too short for the chunk, RangeError when the chunk is for the request.
 */
export function sliceChunk(
  block: Buffer,
  chunk: ChunkReference,
  offset: number,
  length: number,
): Buffer {
  if (chunk.offset < blockHeaderBytes || chunk.offset + chunk.length > block.length) {
    throw new DamagedError(
      `Cannot read a chunk: it is said to be bytes ${chunk.offset} to ${chunk.offset + chunk.length} of block ${chunk.block}, which has ${block.length}`,
    );
  }
  const start = chunk.offset + offset;
  return block.subarray(start, start + length);
}

/**
 * All bytes of a compressed chunk, in memory of their own. Throws DamagedError when the block has no such chunk, and
 * EnvironmentError where nothing can be decompressed.
 */
export function decompressChunk(block: Buffer, chunk: ChunkReference): Buffer {
  const { offset, compressedBytes = 0 } = chunk;
  const end = compressedBytes === 0 ? block.length : offset + compressedBytes;
  if (offset < blockHeaderBytes || offset >= end || end > block.length) {
    throw new DamagedError(
      `Cannot read a chunk: it is said to be bytes ${offset} to ${end} of block ${chunk.block}, which has ${block.length}`,
    );
  }
  return decompress(block.subarray(offset, end), chunk.length);
}

/** Throws DamagedError for a reference that no writer makes, RangeError for a stretch that is not in its chunk. */
export function checkRead(chunk: ChunkReference, offset: number, length: number): void {
  const { block, offset: from, length: bytes } = chunk;
  const stored = chunk.compressedBytes ?? bytes;
  const numbers = [block, from, bytes, stored];
  if (
    !numbers.every((n) => Number.isSafeInteger(n) && n >= 0) ||
    from + stored > limits.block_bytes_max ||
    bytes > limits.block_bytes_max
  ) {
    throw new DamagedError(`Cannot read a chunk at ${from} of block ${block} with ${bytes} bytes`);
  }
  if (!(offset >= 0 && length >= 0 && offset + length <= bytes)) {
    throw new RangeError(`Cannot read ${length} bytes at ${offset} of a chunk of ${bytes}`);
  }
}
