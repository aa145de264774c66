/** Takes blocks out of the local store, many at once. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import { clearBit, pageOf, readPages } from './bitfield-pages.js';
import { localStretches, storedBytes } from './hash-tree.js';
import { asShoalError } from './store-errors.js';

/** Blocks removed with one write. */
const REMOVED_PER_WRITE_MAX = 4096;
/** A mark for a whole stretch makes every later read a little slower, many marks for single blocks do not. */
const RANGE_BLOCKS_MIN = 256;
/** Of so many blocks peers are told one by one; of more they are told anew what is here. */
const TOLD_BLOCKS_MAX = 1024;
/** Blocks in one message to a peer. */
const ANNOUNCED_BLOCKS = 2 ** 21;

type Stretch = readonly [start: number, end: number];

/** Blocks that were taken out of the local store. */
export interface RemovedBlocks {
  blocks: number;
  /** As they were stored. */
  bytes: number;
}

/**
 * Takes blocks out of the local store, and tells the peers. They are asked of peers again when somebody reads them. The
 * hash tree stays whole: Hypercore's own `clear` drops nodes that the neighbours need to be served. Each batch is one
 * write, so whatever ends the process leaves nothing half done.
 *
 * @param stretches [start, end), ascending. Blocks that are not here are passed over.
 * @param pause Called between batches.
 * Throws StoreError, NoSpaceError; then the batch it came to was not removed.
 */
export async function removeBlocks(
  core: Hypercore,
  stretches: Iterable<Stretch>,
  pause: () => Promise<void> | undefined = () => undefined,
): Promise<RemovedBlocks> {
  const context = core.core;
  const removed: RemovedBlocks = { blocks: 0, bytes: 0 };
  if (context === null || core.closing !== null) return removed;
  const wasContiguous = context.header.hints.contiguousLength;
  const told: number[] = [];
  try {
    for (const batch of batchesOf(localStretches(core, stretches))) {
      if (core.closing !== null) break;
      removed.bytes += await storedBytes(core, batch);
      await removeStretches(context, batch);
      for (const [start, end] of batch) {
        removed.blocks += end - start;
        for (let block = start; block < end && told.length <= TOLD_BLOCKS_MAX; block++) {
          told.push(block);
        }
      }
      await pause();
    }
  } catch (error) {
    throw asShoalError(error, 'take blocks out of the store');
  } finally {
    if (told.length > TOLD_BLOCKS_MAX) announce(context, core.length);
    else if (told.length > 0) tellRemoved(context, told, wasContiguous);
  }
  return removed;
}

/** Blocks as stretches. Sorts them. */
export function stretchesOf(blocks: number[]): Stretch[] {
  const stretches: [number, number][] = [];
  for (const block of blocks.sort((a, b) => a - b)) {
    const last = stretches[stretches.length - 1];
    if (last !== undefined && last[1] === block) last[1]++;
    else stretches.push([block, block + 1]);
  }
  return stretches;
}

function* batchesOf(stretches: Iterable<Stretch>): Generator<Stretch[]> {
  let batch: Stretch[] = [];
  let count = 0;
  for (const [start, end] of stretches) {
    for (let from = start; from < end; ) {
      const to = Math.min(end, from + REMOVED_PER_WRITE_MAX - count);
      batch.push([from, to]);
      count += to - from;
      from = to;
      if (count < REMOVED_PER_WRITE_MAX) continue;
      yield batch;
      batch = [];
      count = 0;
    }
  }
  if (count > 0) yield batch;
}

/** In one write. */
async function removeStretches(context: CoreContext, stretches: readonly Stretch[]): Promise<void> {
  const { state } = context;
  const first = stretches[0]?.[0] ?? 0;
  await state.mutex.lock();
  try {
    const read = state.storage.read();
    const pagesRead = readPages(read, pagesOf(stretches));
    read.tryFlush();
    const pages = await pagesRead;
    const write = state.createWriteBatch();
    for (const [start, end] of stretches) {
      for (let block = start; block < end; block++) clearBit(pages, block);
      if (end - start < RANGE_BLOCKS_MIN) {
        for (let block = start; block < end; block++) write.deleteBlock(block);
      } else write.deleteBlockRange(start, end);
    }
    for (const [page, bits] of pages) write.putBitfieldPage(page, bits);
    const { hints } = context.header;
    if (first < hints.contiguousLength) {
      write.setHints({
        contiguousLength: first,
        remoteContiguousLength: hints.remoteContiguousLength,
      });
    }
    await state.flush();
    for (const [start, end] of stretches) {
      context.updateContiguousLength({ start, length: end - start, drop: true });
      context._setBitfieldRanges(start, end, false);
    }
    if (context.hintsChanged) await context.flushHints();
  } finally {
    state._unlock();
  }
}

function pagesOf(stretches: readonly Stretch[]): Set<number> {
  const numbers = new Set<number>();
  for (const [start, end] of stretches) {
    for (let page = pageOf(start); page <= pageOf(end - 1); page++) numbers.add(page);
  }
  return numbers;
}

/**
 * Tells all peers which blocks are here. Not which are gone: a peer that knew us to have all up to a number would take
 * it that we have none from the first of them on.
 */
function announce({ replicator }: CoreContext, length: number): void {
  for (const peer of replicator.peers) {
    for (let start = 0; start < length; start += ANNOUNCED_BLOCKS) {
      replicator._onwant(peer, start, ANNOUNCED_BLOCKS, false);
    }
  }
}

function tellRemoved(context: CoreContext, blocks: readonly number[], wasContiguous: number): void {
  const { replicator, bitfield } = context;
  replicator.cork();
  // One by one: of a whole range, Hypercore does not note which of its blocks a peer has that has everything.
  for (const block of blocks) replicator.onhave(block, 1, true);
  // A peer that knew of all blocks up to a number takes what lies behind a removed one for gone, too.
  for (let at = bitfield.firstSet((blocks[0] as number) + 1); at >= 0 && at < wasContiguous; ) {
    const end = Math.min(wasContiguous, firstUnsetOr(context, at, wasContiguous));
    replicator.onhave(at, end - at);
    at = bitfield.firstSet(end);
  }
  replicator.uncork();
}

function firstUnsetOr(context: CoreContext, from: number, end: number): number {
  const found = context.bitfield.firstUnset(from);
  return found < 0 ? end : found;
}
