/**
 * Blocks that a host has and does not owe (any more): a host came back that it stood in for, others came into the plan, a
 * stripe was encoded. They go only when those who owe them instead have said that they have them on disk.
 */
import { isOwedWithout, reachesBlock, type WordLogs } from './confirmations.js';
import type { Duty } from './duty.js';
import type { HostedLogs } from './hosted-logs.js';
import { blocksNotIn } from './missing-blocks.js';
import { holdersOf, isGarbage, type ShardBlock } from './stripes.js';
import type { HostsWire } from './wire/hosts-wire.js';

/** Blocks of one look. */
const BLOCKS_MAX = 4096;

export interface Surplus {
  /** Blocks that need not be kept, ascending; some thousand at most. */
  stretches: [number, number][];
  /** Blocks that are not owed, and that nobody else has confirmed yet, or that were too many for this time. */
  waiting: number;
}

/** Blocks of a log that are here and not owed. */
export async function surplusOf(
  duty: Duty,
  log: ShardBlock['log'],
  logs: HostedLogs,
  wire: HostsWire,
  pause: () => Promise<void> | undefined,
): Promise<Surplus> {
  const core = logs.get(log);
  const { owed, baseOwed } = duty;
  // What is owed without those who are missed is kept in any case.
  const sets =
    log === 'parity'
      ? [owed.parity, baseOwed.parity]
      : [owed.content, owed.tail, baseOwed.content, baseOwed.tail];
  const stretches: [number, number][] = [];
  let count = 0;
  let waiting = 0;
  for (const [start, end] of blocksNotIn(core, sets)) {
    for (let block = start; block < end; block++) {
      await pause();
      if (count >= BLOCKS_MAX || !isElsewhere(duty, { log, block }, logs.byName, wire)) {
        waiting++;
        continue;
      }
      count++;
      const last = stretches.at(-1);
      if (last !== undefined && last[1] === block) last[1]++;
      else stretches.push([block, block + 1]);
    }
  }
  return { stretches, waiting };
}

/** Whether all who owe a block have confirmed it, or nobody needs it. */
function isElsewhere(duty: Duty, shard: ShardBlock, logs: WordLogs, wire: HostsWire): boolean {
  const { layout, view, placement, basePlacement, gone } = duty;
  if (isGarbage(layout, shard, view.contentGarbage)) return true;
  const holders = holdersOf(layout, placement, shard);
  // Of no stripe that there is (any more), or too few hosts are left for it.
  if (holders.length === 0) return false;
  const base = holdersOf(layout, basePlacement, shard);
  return holders.every((index) => {
    const id = view.plan.hosts[index]?.id;
    const state = id === undefined ? null : (wire.host(id)?.state ?? null);
    // By another plan, older or newer, it owes something else.
    if (state === null || state.planLength !== view.length) return false;
    if (!reachesBlock(state, shard, logs, layout)) return false;
    // Who stands in for another one owes the block only if it does not count on that one, either.
    return base.includes(index) || isOwedWithout(state.gone, gone);
  });
}
