/**
 * How many hosts may fail, whichever they are, before fewer than `needed` shards of a stripe are left. Never more than is
 * true; as long as each shard is on one host, and no host has two, exactly so many.
 *
 * Two bounds, and the better one. A shard is lost when all of its holders fail. So each of h holders loses 1/h of it, and
 * hosts that fail together lose at most the sum of their parts. (Taking away the host that loses the most, one after the
 * other, promises too much: when two hosts both have the same three shards, neither alone loses any, and both lose three.)
 * And shards that each have a host of their own are lost one by one, whatever else these hosts have: so it is while a host
 * still has what it need not keep any more.
 *
 * @param holders For each shard, the hosts that have it, each once; a shard that nobody has counts for nothing.
 * @returns At least 0 when `needed` shards are there; below 0, so many are missing.
 */
export function lossesLeft(holders: readonly (readonly number[])[], needed: number): number {
  const live = holders.filter((hosts) => hosts.length > 0);
  if (live.length < needed) return live.length - needed;
  const bound = lossesByParts(live, needed);
  // With one holder each, it is the truth.
  if (live.every((hosts) => hosts.length === 1)) return bound;
  return Math.max(bound, hostsOfTheirOwn(live) - needed);
}

function lossesByParts(live: readonly (readonly number[])[], needed: number): number {
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

/** How many shards can have a host of their own: the largest matching, by augmenting paths. */
function hostsOfTheirOwn(live: readonly (readonly number[])[]): number {
  const shardOf = new Map<number, number>();
  const give = (shard: number, tried: Set<number>): boolean => {
    for (const host of live[shard] as readonly number[]) {
      if (tried.has(host)) continue;
      tried.add(host);
      const other = shardOf.get(host);
      if (other !== undefined && !give(other, tried)) continue;
      shardOf.set(host, shard);
      return true;
    }
    return false;
  };
  return live.filter((_, shard) => give(shard, new Set())).length;
}

const ROUNDING = 1e-6;
