/** What of the blocks that are owed is not here. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import type { HostedLog } from './wire/hosts-messages.js';

/** A set for each log. */
export function emptySets(): Readonly<Record<HostedLog, BlockSet>> {
  return {
    tree: new BlockSet(),
    content: new BlockSet(),
    plan: new BlockSet(),
    stripe: new BlockSet(),
    parity: new BlockSet(),
  };
}

export interface MissingBlocks {
  count: number;
  /** All that is owed of blocks before this one is here; the log's length when nothing is missing. */
  completeTo: number;
  /** The first of them that are worth asking for now. */
  wanted: number[];
  /** The first of them that nobody delivered lately. */
  stuck: number[];
}

/**
 * @param owed Blocks of the log, in any of these sets.
 * @param skip Blocks that nobody delivered lately.
 */
export function missingBlocks(
  core: Hypercore,
  owed: readonly BlockSet[],
  skip: BlockSet,
): MissingBlocks {
  const { bitfield } = core.core as CoreContext;
  const missing: MissingBlocks = { count: 0, completeTo: core.length, wanted: [], stuck: [] };
  for (const set of owed) {
    for (const [start, end] of set.runs()) {
      const last = Math.min(end, core.length);
      for (let block = start; block < last; block++) {
        block = bitfield.findFirst(false, block);
        if (block < 0 || block >= last) break;
        missing.count++;
        missing.completeTo = Math.min(missing.completeTo, block);
        const list = skip.has(block) ? missing.stuck : missing.wanted;
        if (list.length < limits.host_wanted_blocks_max) list.push(block);
      }
    }
  }
  return missing;
}

/** Stretches [start, end) of blocks of a log that are here and in none of the sets. */
export function* blocksNotIn(
  core: Hypercore,
  sets: readonly BlockSet[],
): Generator<[number, number]> {
  const { bitfield } = core.core as CoreContext;
  let start = -1;
  for (let block = bitfield.findFirst(true, 0); block >= 0 && block < core.length; ) {
    const isOther = !sets.some((set) => set.has(block));
    if (isOther && start < 0) start = block;
    if (!isOther && start >= 0) {
      yield [start, block];
      start = -1;
    }
    const next = block + 1;
    if (next < core.length && bitfield.get(next)) {
      block = next;
      continue;
    }
    if (start >= 0) yield [start, next];
    start = -1;
    block = bitfield.findFirst(true, next);
  }
}
