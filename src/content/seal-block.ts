import { blockPaddingBytes, type SealingKeys, sealWith } from '../log/aead.js';
import { type BlockLayout, sealSectors } from '../log/sectors.js';
import { blockHeaderBytes } from './block-format.js';
import type { SealRoom } from './seal-messages.js';
import { compress } from './zstd.js';

/**
 * Compresses the chunk of block `index` if that is wanted, in its room, and seals the block; answers its length in bytes.
 * @param memory The room of the plaintext.
 * @param target The room of the sealed block.
 */
export function sealBlock(
  keys: SealingKeys,
  layout: BlockLayout,
  index: number,
  memory: Buffer,
  room: SealRoom,
  target: Buffer,
): number {
  let end = room.plainBytes;
  if (room.compress) {
    end = blockHeaderBytes;
    end += compress(memory.subarray(end, room.plainBytes)).copy(memory, end);
  }
  const plain = memory.subarray(0, end);
  if (layout === 'sectors') return sealSectors(keys, index, plain, target);
  const block = target.subarray(0, end + blockPaddingBytes);
  sealWith(keys, plain, block);
  return block.length;
}
