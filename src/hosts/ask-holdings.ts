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
import { groupOfBlock, type Layout, parityBlock } from './stripes.js';
import type { HostsPeer } from './wire/hosts-peer.js';

/** Logs that are kept in shards. */
export type ShardLog = 'content' | 'parity';

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
 * What comes is in the peer's `remoteBitfield`. Returns whether the host has told everything.
 *
 * @param at Hypercore's side of the host, on the same connection.
 */
export async function askHoldings(
  host: HostsPeer,
  core: Hypercore,
  log: ShardLog,
  at: ReplicatorPeer,
  maps: ReadonlySet<number>,
): Promise<boolean> {
  let asked = 0;
  for (const map of maps) {
    if (asked > 0 && asked % limits.health_maps_at_once === 0) {
      if (!(await hasAnswered(host, core, log))) return false;
      await sleep(limits.health_maps_pause_ms);
    }
    asked++;
    const stretch = { start: map * GROUP_BLOCKS, length: GROUP_BLOCKS, any: false };
    at.wireWant.send(stretch);
    // It is not to tell of each block that comes from now on.
    at.wireUnwant.send(stretch);
  }
  return await hasAnswered(host, core, log);
}

/** A host without one block of a map sends none. But it answers in turn: so the answer to what is asked last ends them all. */
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
