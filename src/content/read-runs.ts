/** Which stored blocks are read with one call. */
import { aligned, alignment_bytes } from '../log/direct-io.js';
import type { SealedBlock } from './open-messages.js';

/** Blocks that lie one behind the other in a file, and the stretch of it that has them; of others, `length` is 0. */
export interface ReadRun {
  blocks: SealedBlock[];
  fd: number;
  offset: number;
  length: number;
}

/** The blocks from number `from` on that are one stretch of up to so many bytes; one at least. */
export function nextRun(blocks: readonly SealedBlock[], from: number, bytesMax: number): ReadRun {
  const source = blocks[from]?.source ?? null;
  if (source === null) {
    const end = blocks.findIndex((block, i) => i > from && block.source !== null);
    return { blocks: blocks.slice(from, end < 0 ? undefined : end), fd: -1, offset: 0, length: 0 };
  }
  const offset = aligned(source.offset + 1) - alignment_bytes;
  let end = source.offset + source.length;
  let count = 1;
  for (; from + count < blocks.length; count++) {
    const next = blocks[from + count]?.source ?? null;
    // Between two writes past the cache there may be a gap of less than a page.
    if (next === null || next.fd !== source.fd) break;
    if (next.offset < end || next.offset - end >= alignment_bytes) break;
    if (aligned(next.offset + next.length) - offset > bytesMax) break;
    end = next.offset + next.length;
  }
  const length = aligned(end) - offset;
  // What is too long is not read: then its only block is taken for one that cannot be.
  const isTooLong = length > bytesMax;
  const { fd } = source;
  return { blocks: blocks.slice(from, from + count), fd, offset, length: isTooLong ? 0 : length };
}
