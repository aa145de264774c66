/** Takes blocks out of the local store, many at once. */
import type Hypercore from 'hypercore';
import type { CoreContext, CoreReadBatch } from 'hypercore';
import { asShoalError } from './store-errors.js';

/** Blocks whose bits lie in one page of the stored bitfield. */
const PAGE_BLOCKS = 32_768;

/**
 * Takes blocks out of the local store and tells the peers. One atomic write, after which they are asked of peers again
 * when somebody reads them. The hash tree stays as it is: Hypercore's own `clear` drops nodes that the neighbours need
 * to be served.
 *
 * @param blocks Those that are not here are left out.
 * Throws StoreError, NoSpaceError; then nothing was changed.
 */
export async function removeBlocks(core: Hypercore, blocks: readonly number[]): Promise<void> {
  const context = core.core;
  if (context === null || core.closing !== null) return;
  await context.state.mutex.lock();
  try {
    const present = blocks.filter((block) => context.bitfield.get(block));
    if (present.length > 0 && core.closing === null) await removePresent(context, present);
  } catch (error) {
    throw asShoalError(error, 'take blocks out of the store');
  } finally {
    context.state.mutex.unlock();
  }
}

async function removePresent(context: CoreContext, blocks: number[]): Promise<void> {
  blocks.sort((a, b) => a - b);
  const { hints } = context.header;
  const first = blocks[0] as number;
  const wasContiguous = hints.contiguousLength;
  const pages = await bitfieldPages(context.state.storage.read(), blocks);
  const write = context.state.storage.write();
  for (const block of blocks) {
    const page = pages.get(Math.floor(block / PAGE_BLOCKS)) as Buffer;
    const bit = block % PAGE_BLOCKS;
    page[bit >>> 3] = (page[bit >>> 3] as number) & ~(1 << (bit & 7));
    write.deleteBlock(block);
  }
  for (const [index, page] of pages) write.putBitfieldPage(index, page);
  if (first < wasContiguous) write.setHints({ ...hints, contiguousLength: first });
  await write.flush();
  tellRemoved(context, blocks, wasContiguous);
}

async function bitfieldPages(
  read: CoreReadBatch,
  blocks: readonly number[],
): Promise<Map<number, Buffer>> {
  const indexes = [...new Set(blocks.map((block) => Math.floor(block / PAGE_BLOCKS)))];
  const pages = indexes.map((index) => read.getBitfieldPage(index));
  read.tryFlush();
  const found = await Promise.all(pages);
  return new Map(
    // What was read may be shared with other readers.
    indexes.map((index, i) => [index, Buffer.from(found[i] ?? Buffer.alloc(PAGE_BLOCKS / 8))]),
  );
}

function tellRemoved(context: CoreContext, blocks: readonly number[], wasContiguous: number): void {
  const { replicator, bitfield } = context;
  replicator.cork();
  for (const block of blocks) {
    context.updateContiguousLength({ start: block, length: 1, drop: true });
    context._setBitfieldRanges(block, block + 1, false);
    // One by one: of a whole range, Hypercore does not note which of its blocks a peer has that has everything.
    replicator.onhave(block, 1, true);
  }
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
