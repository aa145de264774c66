/** What blocks of a log take in the local store. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import type { BlockSet } from './block-set.js';

const NODES_PER_READ = 1024;

export interface BlockTotals {
  blocks: number;
  /** As stored, encryption included. */
  bytes: number;
}

/**
 * Blocks of a log that are in the local store, within [0, `length`) and not in `except`. What cannot be read of the
 * hash tree, where sizes are, counts with no bytes.
 */
export async function localBlocksExcept(
  core: Hypercore,
  length: number,
  except: BlockSet,
  signal?: AbortSignal,
): Promise<BlockTotals> {
  const context = core.core as CoreContext;
  const totals = { blocks: 0, bytes: 0 };
  let wanted: number[] = [];
  const look = async (): Promise<void> => {
    const read = context.state.storage.read();
    const nodes = wanted.map((index) => read.getTreeNode(index).catch(() => null));
    read.tryFlush();
    for (const node of await Promise.all(nodes)) totals.bytes += node?.size ?? 0;
    wanted = [];
  };
  for (let block = 0; block < length; block++) {
    if (except.has(block) || !context.bitfield.get(block)) continue;
    totals.blocks++;
    // The leaf of a block in the hash tree.
    wanted.push(2 * block);
    if (wanted.length < NODES_PER_READ) continue;
    signal?.throwIfAborted();
    await look();
  }
  await look();
  return totals;
}
