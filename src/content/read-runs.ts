/** Which stored blocks are read with one call. */
import { aligned, alignment_bytes } from '../log/direct-io.js';
import type { SealedBlock } from './open-messages.js';

/**
 * Blocks that lie one behind the other in a file, and the stretch of it that has them. `length` is 0 where nothing is to be read: for
 * blocks without a source, and one that is too long.
 */
export interface ReadRun {
  blocks: readonly SealedBlock[];
  /** Number of the first of them among all. */
  first: number;
  fd: number;
  offset: number;
  length: number;
}

/** All blocks, as stretches of up to so many bytes. */
export function* runsOfBlocks(
  blocks: readonly SealedBlock[],
  bytesMax: number,
): Generator<ReadRun> {
  for (let first = 0; first < blocks.length; ) {
    const run = runFrom(blocks, first, bytesMax);
    yield run;
    first += run.blocks.length;
  }
}

function runFrom(blocks: readonly SealedBlock[], first: number, bytesMax: number): ReadRun {
  const source = blocks[first]?.source ?? null;
  if (source === null) {
    const blocksHere = blocks.slice(first, first + 1);
    return { blocks: blocksHere, first, fd: -1, offset: 0, length: 0 };
  }
  const offset = aligned(source.offset + 1) - alignment_bytes;
  let end = source.offset + source.length;
  let count = 1;
  for (; first + count < blocks.length; count++) {
    const next = blocks[first + count]?.source ?? null;
    if (next === null || next.fd !== source.fd) break;
    // Between two writes past the cache there may be a gap of less than a page.
    if (next.offset < end || next.offset - end >= alignment_bytes) break;
    if (aligned(next.offset + next.length) - offset > bytesMax) break;
    end = next.offset + next.length;
  }
  const length = aligned(end) - offset;
  return {
    blocks: blocks.slice(first, first + count),
    first,
    fd: source.fd,
    offset,
    length: length > bytesMax ? 0 : length,
  };
}
