/**
 * Mean time to data loss of a stripe in closed form: a birth-death chain over the number of lost shards, with independent,
 * exponentially distributed lifetimes and repairs (the usual model, as in Patterson, Gibson, Katz 1988 for RAID).
 */

/**
 * @param shards n = k + m.
 * @param parity Shards that may be lost, m.
 * @param lifetime Mean time until a shard's host is gone.
 * @param repair Mean time to rebuild one shard; all lost ones are rebuilt side by side. Infinity: never.
 * @returns In the unit of both times.
 */
export function meanTimeToLoss(
  shards: number,
  parity: number,
  lifetime: number,
  repair: number,
): number {
  let total = 0;
  // From so many lost shards to one more.
  let step = 0;
  for (let lost = 0; lost <= parity; lost++) {
    const failures = (shards - lost) / lifetime;
    const repairs = lost / repair;
    step = (1 + repairs * step) / failures;
    total += step;
  }
  return total;
}
