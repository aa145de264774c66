/** What hosts need not keep, as the plan says it: what a collection called garbage, as far as stripes allow. */
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import type { BlockRange, PlanGarbage } from './plan-record.js';
import { groups, type Layout } from './stripes.js';

/** Garbage of both logs, as the tree's map has it. */
export interface CollectedBlocks {
  tree: BlockSet;
  content: BlockSet;
}

/**
 * Of the chunk log a stripe is garbage only when all its data is: as long as one block of it is needed, the others may be
 * needed to rebuild that one. Blocks that are kept as copies are garbage one by one.
 */
export function planGarbage(collected: CollectedBlocks, layout: Layout): PlanGarbage {
  const dead = new BlockSet();
  for (const { from, to, encoded } of groups(layout)) {
    let count = 0;
    for (let block = from; block < to; block++) if (collected.content.has(block)) count++;
    if (count === 0 || (encoded && count < to - from)) continue;
    for (let block = from; block < to; block++) if (collected.content.has(block)) dead.add(block);
  }
  return { tree: longest(collected.tree), content: longest(dead) };
}

/** A record holds so many ranges: those left out are kept a little longer. */
function longest(blocks: BlockSet): BlockRange[] {
  const ranges: BlockRange[] = [...blocks.runs()];
  if (ranges.length <= limits.plan_garbage_ranges_max) return ranges;
  const bySize = [...ranges].sort((a, b) => b[1] - b[0] - (a[1] - a[0]));
  return bySize.slice(0, limits.plan_garbage_ranges_max).sort((a, b) => a[0] - b[0]);
}
