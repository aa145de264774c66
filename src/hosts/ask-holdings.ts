/**
 * Asks connected hosts which blocks they have. By itself a host tells a peer only of what it could deliver and the peer lacks,
 * and in sum of what it owes under the newest plan. What it has of a plan before, until others have taken that over, only
 * its map of blocks tells.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type Hypercore from 'hypercore';
import type { ReplicatorPeer } from 'hypercore';
import { UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { type BlockSet, GROUP_BLOCKS } from '../log/block-set.js';
import { TokenBucket } from '../swarm/token-bucket.js';
import { groupOfBlock, type Layout, parityBlock } from './stripes.js';
import type { HostState } from './wire/hosts-messages.js';
import type { HostsPeer } from './wire/hosts-peer.js';

/** Logs that are kept in shards. */
export const SHARD_LOGS = ['content', 'parity'] as const;
export type ShardLog = (typeof SHARD_LOGS)[number];

/** Numbers of the maps, of {@link GROUP_BLOCKS} blocks each, that tell of some blocks. */
export type WantedMaps = Record<ShardLog, ReadonlySet<number>>;

/** Maps that tell of all shards of the stripes that blocks of the chunk log belong to. @param wanted Null for all. */
export function mapsOf(layout: Layout, parityLength: number, wanted: BlockSet | null): WantedMaps {
  const content = new Set<number>();
  const parity = new Set<number>();
  if (wanted === null) {
    addMaps(content, 0, layout.contentLength);
    addMaps(parity, 0, parityLength);
    return { content, parity };
  }
  for (const [start, end] of wanted.runs()) {
    const first = groupOfBlock(layout, start);
    const last = groupOfBlock(layout, end - 1);
    addMaps(content, first?.from ?? start, last?.to ?? end);
    // Of groups that are kept as copies this is none, or one in vain.
    const from = first === undefined ? 0 : parityBlock(first.epoch, first.stripe, 0);
    const to = last === undefined ? parityLength : parityBlock(last.epoch, last.stripe + 1, 0);
    addMaps(parity, from, Math.min(to, parityLength));
  }
  return { content, parity };
}

function addMaps(maps: Set<number>, from: number, to: number): void {
  for (let map = Math.floor(from / GROUP_BLOCKS); map * GROUP_BLOCKS < to; map++) maps.add(map);
}

/**
 * How far an answer goes. `maps`: it told block by block what it has. `life`: it answers, but not this kind of question now, as
 * when its disk is full; what it said in sum still counts. `none`: nothing came.
 */
export type HoldingsAnswer = 'maps' | 'life' | 'none';

/** Of one host: what is asked goes one after the other, and so many maps a second. */
interface Questions {
  line: Promise<unknown>;
  budget: TokenBucket;
  /** What it had told of itself when it gave no answer; undefined when it gave one. */
  silentState?: HostState | null;
}

const questions = new WeakMap<HostsPeer, Questions>();

/** Whether a host gave no answer when it was asked last, and has told nothing of itself since. */
export function isSilent(host: HostsPeer): boolean {
  const asked = questions.get(host);
  return asked?.silentState !== undefined && asked.silentState === host.state;
}

/**
 * What comes is in the peer's `remoteBitfield`.
 *
 * @param at Hypercore's side of the host, on the same connection.
 */
export async function askHoldings(
  host: HostsPeer,
  core: Hypercore,
  log: ShardLog,
  at: ReplicatorPeer,
  maps: ReadonlySet<number>,
): Promise<HoldingsAnswer> {
  let asked = questions.get(host);
  if (asked === undefined) {
    const budget = new TokenBucket(limits.health_maps_burst_max, limits.health_maps_per_second_max);
    asked = { line: Promise.resolve(), budget };
    questions.set(host, asked);
  }
  const { budget } = asked;
  const noted = asked;
  const answered = asked.line.then(async () => {
    const answer = await ask(host, core, log, at, maps, budget);
    if (answer === 'none') noted.silentState = host.state;
    else delete noted.silentState;
    return answer;
  });
  // Told to who asked; the next one is asked all the same.
  asked.line = answered.catch(() => undefined);
  return answered;
}

async function ask(
  host: HostsPeer,
  core: Hypercore,
  log: ShardLog,
  at: ReplicatorPeer,
  maps: ReadonlySet<number>,
  budget: TokenBucket,
): Promise<HoldingsAnswer> {
  const { stats } = at;
  const before = stats.wireBitfield.rx + stats.wireRange.rx;
  for (const map of maps) {
    while (!budget.take()) {
      if (!(await hasAnswered(host, core, log))) return 'none';
      await sleep(limits.health_maps_pause_ms);
    }
    const stretch = { start: map * GROUP_BLOCKS, length: GROUP_BLOCKS, any: false };
    at.wireWant.send(stretch);
    // It is not to tell of each block that comes from now on.
    at.wireUnwant.send(stretch);
  }
  if (!(await hasAnswered(host, core, log))) return 'none';
  // One that has something and says nothing answers no question of this kind now.
  const hasSaid = stats.wireBitfield.rx + stats.wireRange.rx > before;
  return hasSaid || maps.size === 0 || (host.state?.[log].length ?? 0) === 0 ? 'maps' : 'life';
}

/** A host without one block of a map may send none. But it answers in turn: the answer to what is asked last ends them all. */
async function hasAnswered(host: HostsPeer, core: Hypercore, log: ShardLog): Promise<boolean> {
  try {
    // Nobody has this one, so nothing is read for it.
    await host.readBlock(log, core.length, limits.health_answer_ms_max);
    return true;
  } catch (error) {
    if (error instanceof UnavailableError) return false;
    throw error;
  }
}
