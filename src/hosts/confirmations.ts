/**
 * Up to which version hosts have confirmed to have everything synced to disk. What nobody confirmed is not claimed to be
 * safe.
 */
import { limits } from '../limits.js';
import { encodedLengths, stripeAt } from './epochs.js';
import { type Placement, placementOf } from './placement.js';
import type { Plan, PlanEpoch } from './plan-record.js';
import { type Garbage, isGarbage, type Layout, type ShardBlock } from './stripes.js';

/** How far the logs go at a version, or a little further. */
export interface VersionLengths {
  version: number;
  treeLength: number;
  contentLength: number;
}

/** The logs as the owner has them now. */
export interface OwnerLogs {
  treeFork: number;
  contentFork: number;
  contentLength: number;
  stripeFork: number;
  stripeLength: number;
  parityFork: number;
  planLength: number;
}

interface ForkAndLength {
  fork: number;
  length: number;
}

/** What a host said last of what it keeps, synced. */
export interface HostConfirmation {
  planLength: number;
  tree: ForkAndLength;
  content: ForkAndLength;
  stripe: ForkAndLength;
  parity: ForkAndLength;
  /** Whom it does not count on: it has what it owes by a placement without them. */
  gone: readonly number[];
}

/** Blocks of the tree and the chunk log from the first on that hosts have. */
export interface ConfirmedLengths {
  treeLength: number;
  contentLength: number;
}

/**
 * Whether who has all that it owes without some hosts has all that it owes by a placement without `ours`. What it owes
 * with all of them it owes also without some: it stands in for these in addition.
 */
export function isOwedWithout(gone: readonly number[], ours: ReadonlySet<number>): boolean {
  return ours.size === 0 || (gone.length === ours.size && gone.every((index) => ours.has(index)));
}

/**
 * Up to which block of the chunk log a host that knows of some stripes owes what it should: of a stripe that it takes for
 * one that is not encoded, or we do, it may keep nothing, and others shards. Infinity for one that knows of the same.
 */
function contentKnownTo(epochs: readonly PlanEpoch[], known: number, all: number): number {
  if (known === all) return Number.POSITIVE_INFINITY;
  return stripeAt(epochs, Math.min(known, all))?.firstBlock ?? 0;
}

/** The logs that a host's word is about. */
export interface WordLogs {
  content: { readonly fork: number };
  stripe: { readonly fork: number };
  parity: { readonly fork: number };
}

/**
 * Whether a host's word reaches as far as a block: if it owes it under the placement that it goes by, then it has it. While it
 * does not know of a stripe, or we do not, it owes something else of it, perhaps nothing, and its word does not reach there.
 */
export function reachesBlock(
  word: HostConfirmation,
  { log, block }: ShardBlock,
  logs: WordLogs,
  { epochs, stripeLength }: Layout,
): boolean {
  const { fork, length } = word[log];
  if (fork !== logs[log].fork || block >= length) return false;
  if (log === 'parity') return true;
  const stripes = word.stripe.fork === logs.stripe.fork ? word.stripe.length : 0;
  return block < contentKnownTo(epochs, stripes, stripeLength);
}

/** Who is to keep what, as a host sees it when it says what it has of that: without those that it does not count on. */
export function placementOfWord(plan: Plan, { gone }: Pick<HostConfirmation, 'gone'>): Placement {
  return placementOf(
    plan,
    (index) => plan.hosts[index]?.status === 'active' && !gone.includes(index),
  );
}

/** Whether a host claims to have a block, if it owes it at all. `garbage`: nobody owes that. */
export function claimsBlock(
  word: HostConfirmation,
  shard: ShardBlock,
  logs: WordLogs,
  layout: Layout,
  garbage: Garbage,
): boolean {
  return reachesBlock(word, shard, logs, layout) && !isGarbage(layout, shard, garbage);
}

/**
 * What one host has confirmed; null while it goes by an older plan than the newest, or by another placement, under which it
 * owes something else.
 *
 * @param gone Active hosts of the plan that are not counted on now.
 */
export function confirmedBy(
  host: HostConfirmation,
  logs: OwnerLogs,
  epochs: readonly PlanEpoch[],
  gone: ReadonlySet<number>,
): ConfirmedLengths | null {
  if (host.planLength < logs.planLength || !isOwedWithout(host.gone, gone)) return null;
  const { tree, content, stripe, parity } = host;
  const treeLength = tree.fork === logs.treeFork ? tree.length : 0;
  let contentLength = content.fork === logs.contentFork ? content.length : 0;
  const stripes = stripe.fork === logs.stripeFork ? stripe.length : 0;
  contentLength = Math.min(contentLength, contentKnownTo(epochs, stripes, logs.stripeLength));
  const encoded = encodedLengths(epochs, logs.contentLength);
  const owed = Math.min(encoded.stripes, logs.stripeLength);
  const last = owed === 0 ? null : stripeAt(epochs, owed - 1);
  const parityOwed = last === null ? 0 : last.parityBlock + last.epoch.parity;
  const parityBlocks = parity.fork === logs.parityFork ? parity.length : 0;
  if (parityBlocks < parityOwed) {
    contentLength = Math.min(contentLength, firstBlockOfParity(epochs, parityBlocks));
  }
  return { treeLength, contentLength };
}

export const NOTHING_CONFIRMED: ConfirmedLengths = { treeLength: 0, contentLength: 0 };

/**
 * What all of some hosts have confirmed, as {@link confirmedBy} has it of each; null while one of them has told nothing
 * that says so.
 *
 * @param words What they said last; null for one that said nothing.
 */
export function confirmedByAll(
  words: readonly (HostConfirmation | null)[],
  logs: OwnerLogs,
  epochs: readonly PlanEpoch[],
  gone: ReadonlySet<number>,
): ConfirmedLengths | null {
  if (words.length === 0) return NOTHING_CONFIRMED;
  let treeLength = Number.MAX_SAFE_INTEGER;
  let contentLength = Number.MAX_SAFE_INTEGER;
  for (const word of words) {
    const confirmed = word === null ? null : confirmedBy(word, logs, epochs, gone);
    if (confirmed === null) return null;
    treeLength = Math.min(treeLength, confirmed.treeLength);
    contentLength = Math.min(contentLength, confirmed.contentLength);
  }
  return { treeLength, contentLength };
}

function firstBlockOfParity(epochs: readonly PlanEpoch[], parityBlock: number): number {
  const epoch = epochs.findLast(
    (each) => each.kind === 'erasure' && each.parityBase <= parityBlock,
  );
  if (epoch === undefined) return 0;
  const stripe = Math.floor((parityBlock - epoch.parityBase) / epoch.parity);
  return epoch.fromBlock + stripe * epoch.data;
}

/** Versions of late, ascending, by which lengths of the logs become a version. */
export class VersionHistoryLengths {
  #points: VersionLengths[] = [];

  /** The newest version, as it is now. */
  note(point: VersionLengths): void {
    const last = this.#points.at(-1);
    if (last !== undefined && last.version >= point.version) return;
    this.#points.push(point);
    if (this.#points.length <= limits.version_points_max) return;
    // Of the older half every second is enough.
    const half = limits.version_points_max / 2;
    this.#points = this.#points.filter((_, i) => i >= half || i % 2 === 1);
  }

  /** The newest version that lies within the lengths; null when none of those that are known does. */
  newestWithin({ treeLength, contentLength }: ConfirmedLengths): VersionLengths | null {
    const point = this.#points.findLast(
      (each) => each.treeLength <= treeLength && each.contentLength <= contentLength,
    );
    return point ?? null;
  }
}

/**
 * Which hosts take part in the placement: active in the plan, and not said to be away, or to fail audits, by most of
 * those who are asked. The owner has a voice, too.
 *
 * @param voices For each connected host, and the owner, the hosts that it misses or that fail its audits.
 */
export function liveHosts(plan: Plan, voices: readonly (readonly number[])[]): boolean[] {
  const against = new Map<number, number>();
  for (const voice of voices) {
    for (const host of new Set(voice)) against.set(host, (against.get(host) ?? 0) + 1);
  }
  return plan.hosts.map(
    ({ status }, i) => status === 'active' && (against.get(i) ?? 0) * 2 <= voices.length,
  );
}

/** Active hosts of the plan that are not counted on. @param live See {@link liveHosts}. */
export function goneHosts(plan: Plan, live: readonly boolean[]): Set<number> {
  const active = plan.hosts.flatMap(({ status }, index) => (status === 'active' ? [index] : []));
  return new Set(active.filter((index) => live[index] !== true));
}
