/**
 * How many losses each stripe can still take, by what the connected hosts say they have now. What is on hosts that are not
 * connected is not claimed: it was not checked.
 */

import { lossesLeft } from './losses-left.js';
import type { Placement } from './placement.js';
import type { PlanEpoch } from './plan-record.js';
import { groupAt, groupCount, holdersOfGroup, type Layout, type ShardBlock } from './stripes.js';

/** Stripes that are listed one by one, the worst. */
const LISTED_MAX = 100;
/** Cells of a picture. */
export const MAP_CELLS = 1024;

/** What a connected host says. */
export interface CheckedHost {
  index: number;
  /** It told that it has this block. */
  has: (shard: ShardBlock) => boolean;
  /**
   * It told that it has all that it owes as far as this block: for a host that did not tell block by block. Null for one that
   * did, or whose word is about another placement.
   */
  hasOwed: ((shard: ShardBlock) => boolean) | null;
}

export interface HealthInputs {
  layout: Layout;
  /** Who is to have what. */
  placement: Placement;
  /** Connected hosts. */
  hosts: readonly CheckedHost[];
  /** Blocks of the chunk log from the first on that hosts have confirmed before: what lies behind may never have been there. */
  sentBlocks: number;
  /** Whether this machine has a block: what it lacks cannot be on its way from here. */
  isHere: (block: number) => boolean;
  /** Blocks of the chunk log that were collected. */
  isGarbage: (block: number) => boolean;
  /** Only groups with such a block; null for all. */
  isWanted: ((block: number) => boolean) | null;
  /** Whether a stripe counts a block as zeros, since it was collected before. */
  isZeros: (epochIndex: number, stripe: number, shard: number) => Promise<boolean>;
  pause: () => Promise<void> | undefined;
  /** Called for each block of the chunk log that can be read from no host that is connected. */
  onLost?: (block: number) => void;
}

/** A stripe, or some blocks that are kept as copies. */
export interface GroupHealth {
  epoch: number;
  stripe: number;
  /** Blocks [from, to) of the chunk log. */
  from: number;
  to: number;
  /** Shards of a stripe; copies of the block that has the fewest. */
  live: number;
  of: number;
  needed: number;
  /** Hosts that these shards, or these copies of it, are on. */
  hosts: number;
  /** So many more hosts may fail; below 0 something is out of reach. */
  spare: number;
}

export interface HealthReport {
  /** When it was looked at, in ms since 1970. */
  checkedMs: number;
  groups: number;
  blocks: number;
  /** Groups beside these that are out of reach since they are new, and on their way to the hosts. */
  unsent: number;
  /** Groups among these that are new, and of which only a part has come to the hosts yet. */
  arriving: number;
  /** Number of groups by the hosts that may still fail; -1: out of reach now. */
  bySpare: { spare: number; groups: number }[];
  /** The smallest; null without groups. */
  spare: number | null;
  /** Worst first. */
  worst: GroupHealth[];
  /** The worst spare of each of equal parts of the drive, in order; null for a part that holds nothing. */
  map: (number | null)[];
  /** The largest spare there can be with the scheme. */
  spareMax: number;
}

/** Looks at every stripe. Throws what `pause` throws, and what the stripe log throws. */
export async function measureHealth(inputs: HealthInputs): Promise<HealthReport> {
  const { layout } = inputs;
  const counts = new Map<number, number>();
  let worst: GroupHealth[] = [];
  const total = layout.epochs.reduce((sum, _, i) => sum + groupCount(layout, i), 0);
  const cells = Math.min(MAP_CELLS, total);
  const map: (number | null)[] = Array<number | null>(cells).fill(null);
  const report = { groups: 0, blocks: 0, unsent: 0, arriving: 0, spareMax: 0 };
  let position = 0;
  for (const [epochIndex, epoch] of layout.epochs.entries()) {
    const groups = groupCount(layout, epochIndex);
    if (groups > 0) report.spareMax = Math.max(report.spareMax, epoch.parity);
    for (let stripe = 0; stripe < groups; stripe++, position++) {
      await inputs.pause();
      const found = await healthOf(inputs, epochIndex, epoch, stripe);
      if (found === null) continue;
      const { health, away } = found;
      if (health.spare < epoch.parity && isNew(inputs, health)) {
        if (health.spare < 0) {
          report.unsent++;
          continue;
        }
        report.arriving++;
      }
      if (health.spare < 0) for (const block of away) inputs.onLost?.(block);
      report.groups++;
      report.blocks += health.to - health.from;
      const spare = Math.max(-1, health.spare);
      counts.set(spare, (counts.get(spare) ?? 0) + 1);
      const cell = Math.floor((position * cells) / total);
      map[cell] = Math.min(map[cell] ?? spare, spare);
      worst.push(health);
      if (worst.length >= 4 * LISTED_MAX) worst = worstOf(worst);
    }
  }
  const bySpare = [...counts]
    .sort(([a], [b]) => a - b)
    .map(([spare, groups]) => ({ spare, groups }));
  return {
    checkedMs: Date.now(),
    ...report,
    bySpare,
    spare: bySpare[0]?.spare ?? null,
    worst: worstOf(worst),
    map,
  };
}

function isNew({ sentBlocks, isHere, isGarbage }: HealthInputs, group: GroupHealth): boolean {
  if (group.to <= sentBlocks) return false;
  for (let block = group.from; block < group.to; block++) {
    if (!isHere(block) && !isGarbage(block)) return false;
  }
  return true;
}

function worstOf(groups: readonly GroupHealth[]): GroupHealth[] {
  return [...groups].sort((a, b) => a.spare - b.spare || a.from - b.from).slice(0, LISTED_MAX);
}

/** Null for a group of which nothing is kept, or nothing is asked. `away`: its blocks that no host has by itself. */
async function healthOf(
  inputs: HealthInputs,
  epochIndex: number,
  epoch: PlanEpoch,
  stripe: number,
): Promise<{ health: GroupHealth; away: number[] } | null> {
  const group = groupAt(inputs.layout, epochIndex, stripe);
  if (group === undefined) return null;
  const { from, to, encoded } = group;
  const blocks = Array.from({ length: to - from }, (_, i) => from + i);
  const kept = blocks.filter((block) => !inputs.isGarbage(block));
  if (kept.length === 0) return null;
  if (inputs.isWanted !== null && !kept.some(inputs.isWanted)) return null;
  const place = { epoch: epochIndex, stripe, from, to };
  const shards = holdersOfGroup(group, inputs.placement).map(([shard, owing]) => ({
    shard,
    at: holders(inputs.hosts, shard, owing),
  }));
  if (!encoded) {
    const copies = shards.filter(({ shard }) => !inputs.isGarbage(shard.block));
    const live = Math.min(...copies.map(({ at }) => at.length));
    const away = copies.filter(({ at }) => at.length === 0).map(({ shard }) => shard.block);
    const health = { ...place, live, of: epoch.parity + 1, needed: 1, hosts: live };
    return { health: { ...health, spare: live - 1 }, away };
  }
  const found: (readonly number[])[] = [];
  let zeros = 0;
  for (const [slot, { shard, at }] of shards.entries()) {
    const isZeros =
      at.length === 0 &&
      shard.log === 'content' &&
      inputs.isGarbage(shard.block) &&
      (await inputs.isZeros(epochIndex, stripe, slot));
    // Zeros need no host: everybody has them.
    if (isZeros) zeros++;
    else found.push(at);
  }
  const live = zeros + found.filter((at) => at.length > 0).length;
  const spare = lossesLeft(found, epoch.data - zeros);
  const hosts = new Set(found.flat()).size;
  const away = shards
    .filter(({ shard, at }) => shard.log === 'content' && at.length === 0)
    .map(({ shard }) => shard.block)
    .filter((block) => !inputs.isGarbage(block));
  const { data, parity } = epoch;
  return { health: { ...place, live, of: data + parity, needed: data, hosts, spare }, away };
}

function holders(
  hosts: readonly CheckedHost[],
  shard: ShardBlock,
  owing: readonly number[],
): number[] {
  const having = hosts.filter(
    (host) => (owing.includes(host.index) && host.hasOwed?.(shard) === true) || host.has(shard),
  );
  return having.map(({ index }) => index);
}

/**
 * A sentence or two for people. `hosts`: how many the plan has; `connected`: how many of them are; `isHere`: this machine has
 * all that was asked about.
 */
export function describeHealth(
  health: HealthReport & { hosts: number; connected: number; isHere: boolean },
): string[] {
  const { spare, groups, bySpare, spareMax, unsent, arriving } = health;
  const lines: string[] = [];
  const lost = bySpare.find((each) => each.spare < 0)?.groups ?? 0;
  if (spare === null) lines.push('nothing is kept on hosts yet');
  else if (lost > 0) {
    const here = health.isHere ? '; this machine has all of it' : '';
    lines.push(
      `${stripes(lost)} of ${groups} cannot be read from the hosts that are connected${here}`,
    );
  } else if (spare === 0) lines.push(`no host may fail: ${atOneLoss(health)}`);
  else {
    const count = Math.min(spare, health.connected);
    lines.push(`any ${count} of ${health.connected} connected hosts may fail`);
  }
  for (const each of bySpare) {
    if (each.spare < 1 || each.spare >= spareMax || lost > 0) continue;
    const losses = each.spare === 1 ? 'one loss' : `${each.spare} losses`;
    lines.push(
      `${stripes(each.groups)} ${each.groups === 1 ? 'is' : 'are'} ${losses} away from the last shards that are needed`,
    );
  }
  if (unsent > 0) {
    const are = unsent === 1 ? 'is' : 'are';
    lines.push(
      `${stripes(unsent)} ${are} new and not on the hosts yet: 'shoal sync' waits for that`,
    );
  }
  if (arriving > 0) {
    const are = arriving === 1 ? 'is' : 'are';
    lines.push(
      `${stripes(arriving)} of these ${are} new and only partly on the hosts yet: 'shoal sync' waits for that`,
    );
  }
  const away = health.hosts - health.connected;
  if (away > 0) {
    lines.push(
      `${away} of ${health.hosts} hosts ${away === 1 ? 'is not connected or does not answer: what it has' : 'are not connected or do not answer: what they have'} was not checked and is not counted`,
    );
  }
  return lines;
}

function atOneLoss({ bySpare, groups }: HealthReport): string {
  const count = bySpare.find((each) => each.spare === 0)?.groups ?? 0;
  return `${stripes(count)} of ${groups} ${count === 1 ? 'is' : 'are'} one loss away from being out of reach`;
}

function stripes(count: number): string {
  return `${count} stripe${count === 1 ? '' : 's'}`;
}
