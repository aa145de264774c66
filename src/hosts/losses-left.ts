/**
 * How many hosts may fail, whichever they are, before fewer than `needed` shards of a stripe are left. Never more than is
 * true; as long as each shard is on one host, and no host has two, exactly so many.
 *
 * A shard is lost when all of its holders fail. So each of h holders loses 1/h of it, and hosts that fail together lose at
 * most the sum of their parts. (Taking away the host that loses the most, one after the other, promises too much: when
 * two hosts both have the same three shards, neither alone loses any, and both lose three.)
 *
 * @param holders For each shard, the hosts that have it, each once; a shard that nobody has counts for nothing.
 * @returns At least 0 when `needed` shards are there; below 0, so many are missing.
 */
export function lossesLeft(holders: readonly (readonly number[])[], needed: number): number {
  const live = holders.filter((hosts) => hosts.length > 0);
  if (live.length < needed) return live.length - needed;
  const parts = new Map<number, number>();
  for (const hosts of live) {
    for (const host of hosts) parts.set(host, (parts.get(host) ?? 0) + 1 / hosts.length);
  }
  // Rounding must not promise a host more.
  const tooMany = live.length - needed + 1 - ROUNDING;
  const sorted = [...parts.values()].sort((a, b) => b - a);
  let lost = 0;
  for (const [failed, part] of sorted.entries()) {
    lost += part;
    if (lost >= tooMany) return failed;
  }
  // Nothing is needed.
  return sorted.length;
}

const ROUNDING = 1e-6;
