/** Reads random blocks back from hosts and compares them with what the owner signed. */
import type Hypercore from 'hypercore';
import { UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { leafHash } from '../log/leaf-hashes.js';
import { signedLeafHash } from '../log/signed-leaf-hash.js';
import type { AuditEvidence } from './audits.js';
import { claimsBlock, placementOfWord } from './confirmations.js';
import { formatHostId } from './host-id.js';
import type { KnownHost } from './owner-book.js';
import type { Plan } from './plan-record.js';
import {
  type Garbage,
  groupAt,
  groupCount,
  holdersOf,
  holdersOfGroup,
  type Layout,
  type ShardBlock,
} from './stripes.js';
import type { HostsPeer } from './wire/hosts-peer.js';

/** Stripes that are looked at for one of which the host keeps a shard. */
const TRIES_MAX = 64;

export interface AuditedLogs {
  content: Hypercore;
  stripe: Hypercore;
  parity: Hypercore;
}

/**
 * A random block that a host is to keep as it sees the plan, and has confirmed; null when there is none.
 *
 * @param random From 0 to 1.
 */
export function pickAudited(
  host: number,
  { state }: KnownHost,
  { plan, layout, logs, garbage }: AuditPlan,
  random: () => number = Math.random,
): ShardBlock | null {
  if (state === null) return null;
  const placement = placementOfWord(plan, state);
  const counts = layout.epochs.map((_, i) => groupCount(layout, i));
  const total = counts.reduce((sum, count) => sum + count, 0);
  for (let tries = 0; tries < TRIES_MAX && total > 0; tries++) {
    let stripe = Math.floor(random() * total);
    let epochIndex = 0;
    while (stripe >= (counts[epochIndex] as number)) stripe -= counts[epochIndex++] as number;
    const group = groupAt(layout, epochIndex, stripe);
    if (group === undefined) continue;
    const owed = holdersOfGroup(group, placement)
      .filter(([, hosts]) => hosts.includes(host))
      .map(([block]) => block)
      .filter((block) => claimsBlock(state, block, logs, layout, garbage));
    const picked = owed[Math.floor(random() * owed.length)];
    if (picked !== undefined) return picked;
  }
  return null;
}

export interface AuditPlan {
  plan: Plan;
  layout: Layout;
  logs: AuditedLogs;
  garbage: Garbage;
}

/**
 * Whether a block is one that may be audited, still: since it was picked its stripe may have been encoded or collected, or the
 * host have said something else. Then it may have dropped it, and is no liar.
 */
export function isAudited(
  host: number,
  { state }: KnownHost,
  { plan, layout, logs, garbage }: AuditPlan,
  shard: ShardBlock,
): boolean {
  return (
    state !== null &&
    claimsBlock(state, shard, logs, layout, garbage) &&
    holdersOf(layout, placementOfWord(plan, state), shard).includes(host)
  );
}

/** Whether a host is to keep a block whoever is counted on: not for one that may come back, then. */
export function isKeptByAll(host: number, { plan, layout }: AuditPlan, shard: ShardBlock): boolean {
  return holdersOf(layout, placementOfWord(plan, { gone: [] }), shard).includes(host);
}

/**
 * What an audit came to. `unanswered`: the host had too much to do, or said nothing, which is no lie, unless it is always so.
 * `none`: there is nothing to compare with, or the host went.
 */
export type AuditResult = 'passed' | 'unanswered' | 'none' | AuditEvidence;

/** Reads the block back. Never throws for what the host does. */
export async function audit(
  peer: HostsPeer,
  { log, block }: ShardBlock,
  logs: AuditedLogs,
): Promise<AuditResult> {
  const core = log === 'content' ? logs.content : logs.parity;
  const { fork } = core;
  const expected = await signedLeafHash(core, block);
  if (expected === null) return 'none';
  let got: Buffer | null;
  try {
    const answer = await peer.readBlock(log, block, limits.host_read_ms_max);
    if (answer.status === 'busy') return 'unanswered';
    got = answer.status === 'here' ? leafHash(answer.stored) : null;
  } catch (error) {
    if (error instanceof UnavailableError) return peer.closed ? 'none' : 'unanswered';
    throw error;
  }
  // It may have followed a new fork meanwhile.
  if (core.fork !== fork) return 'none';
  if (got?.equals(expected) === true) return 'passed';
  return {
    timeMs: Date.now(),
    host: formatHostId(peer.id),
    log,
    block,
    fork,
    expected: expected.toString('hex'),
    got: got?.toString('hex') ?? null,
  };
}
