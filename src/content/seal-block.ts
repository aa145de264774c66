import { blockPaddingBytes, type SealingKeys, sealWith } from '../log/encryption.js';
import { blockHeaderBytes } from './block-format.js';
import type { SealRoom } from './seal-messages.js';
import { compress } from './zstd.js';

/** Compresses a block's chunk if that is wanted, and encrypts the block, in its room; answers its length in bytes. */
export function sealBlock(keys: SealingKeys, memory: Buffer, room: SealRoom): number {
  const start = blockPaddingBytes + blockHeaderBytes;
  let end = blockPaddingBytes + room.plainBytes;
  if (room.compress) end = start + compress(memory.subarray(start, end)).copy(memory, start);
  sealWith(keys, memory.subarray(blockPaddingBytes, end), memory.subarray(0, end));
  return end;
}
