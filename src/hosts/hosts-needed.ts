/** How many hosts the scheme takes, and what fewer can do. Pure arithmetic. */
import { groupCount, type Layout, shardsOf } from './stripes.js';

/** Of the largest stripe or the most copies that there are. */
export function hostsNeeded(layout: Layout): number {
  let needed = 1;
  for (const [epochIndex, epoch] of layout.epochs.entries()) {
    if (groupCount(layout, epochIndex) > 0) needed = Math.max(needed, shardsOf(epoch));
  }
  return needed;
}

/**
 * How many of `live` hosts may fail at most, once they have all that they owe: no host has two shards of a stripe. Below 0
 * when they cannot give everything back.
 */
export function lossesWithin(layout: Layout, live: number): number {
  let losses = Math.max(0, live - 1);
  for (const [epochIndex, epoch] of layout.epochs.entries()) {
    if (groupCount(layout, epochIndex) === 0) continue;
    const needed = epoch.kind === 'copies' ? 1 : epoch.data;
    losses = Math.min(losses, Math.min(live, shardsOf(epoch)) - needed);
  }
  return losses;
}
