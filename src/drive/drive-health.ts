/** The health of a drive on its hosts, whole or below a path. */
import type Hypercore from 'hypercore';
import type { ReplicatorPeer } from 'hypercore';
import { DamagedError, UnavailableError } from '../errors.js';
import { namesOfPath, noSuchPath, pathOfNames } from '../fs/drive-path.js';
import { findPath, walkSubtree } from '../fs/subtree.js';
import {
  askHoldings,
  type HoldingsAnswer,
  isSilent,
  mapsOf,
  SHARD_LOGS,
  type WantedMaps,
} from '../hosts/ask-holdings.js';
import { isOwedWithout, reachesBlock } from '../hosts/confirmations.js';
import {
  type CheckedHost,
  describeHealth,
  type HealthReport,
  measureHealth,
} from '../hosts/health.js';
import { isKeeping } from '../hosts/plan-record.js';
import type { Protector } from '../hosts/protector.js';
import { decodeStripe } from '../hosts/stripe-record.js';
import { type Layout, stripeRecordBlock } from '../hosts/stripes.js';
import type { HostsPeer } from '../hosts/wire/hosts-peer.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import type { Drive } from './drive.js';
import { WorkBudget } from './work-budget.js';

/** Blocks between two looks at the time. */
const LOOKED_AT_ONCE = 1024;

/** Beside what was measured, of whom. */
export interface DriveHealth extends HealthReport {
  name: string;
  path: string;
  /** Hosts that are to keep the drive, and those of them that are connected and said what they have. */
  hosts: number;
  connected: number;
  /** This machine has all of it itself. */
  isHere: boolean;
  /** Hosts that could not be asked, and when they were connected last; and those that most others do not count on. */
  unchecked: { id: string; label: string; lastSeenMs: number; isGone: boolean }[];
  /** Hosts that count, but are to go once others have what they have. */
  leaving: { id: string; label: string }[];
  /** Files of which something is out of reach, by their paths; not all of them. */
  lostFiles: string[];
  /** There are, or may be, others. */
  isMoreLost: boolean;
}

type LostFiles = Pick<DriveHealth, 'lostFiles' | 'isMoreLost'>;
type BlocksHealth = Omit<DriveHealth, 'name' | 'path' | keyof LostFiles>;

/**
 * Looks at what the connected hosts say they have. Throws NotFoundError for a path that is not there, and what reading the
 * tree throws.
 */
export async function driveHealth(
  drive: Drive,
  protector: Protector,
  path: string,
  signal?: AbortSignal,
): Promise<DriveHealth> {
  const wanted = path === '/' ? null : await blocksBelow(drive, path, signal);
  const lost = new BlockSet();
  const health = await blocksHealth(protector, wanted, true, signal, lost);
  return { name: drive.name, path, ...health, ...(await filesWith(drive, path, lost, signal)) };
}

/** Files below a path that have some of the blocks: so many as are worth listing, and as are found soon. */
async function filesWith(
  drive: Drive,
  path: string,
  lost: BlockSet,
  signal?: AbortSignal,
): Promise<LostFiles> {
  if (lost.count === 0) return { lostFiles: [], isMoreLost: false };
  try {
    return await filesOfTree(drive, path, lost, signal);
  } catch (error) {
    // The rest of what there is to say does not need the tree.
    if (error instanceof UnavailableError || error instanceof DamagedError) {
      return { lostFiles: [], isMoreLost: true };
    }
    throw error;
  }
}

async function filesOfTree(
  drive: Drive,
  path: string,
  lost: BlockSet,
  signal?: AbortSignal,
): Promise<LostFiles> {
  const lostFiles: string[] = [];
  const view = drive.tree.at(drive.tree.head);
  const options = { localOnly: true, ...(signal === undefined ? {} : { signal }) };
  const above = namesOfPath(path);
  const top = await findPath(view, above, options);
  const endMs = performance.now() + limits.health_files_ms_max;
  const inodes = top === null ? [] : walkSubtree(view, top, options);
  for await (const { names, extents } of inodes) {
    if (performance.now() > endMs) return { lostFiles, isMoreLost: true };
    if (!extents.some(({ chunk }) => chunk !== null && lost.has(chunk.block))) continue;
    if (lostFiles.length === limits.health_files_max) return { lostFiles, isMoreLost: true };
    lostFiles.push(pathOfNames([...above, ...names]));
  }
  return { lostFiles, isMoreLost: false };
}

/** What `user.shoal.health` says of a file. @param blocks Those of its content; null when that is in the tree. */
export async function describeFileHealth(
  protector: Protector,
  blocks: BlockSet | null,
): Promise<string> {
  if (blocks === null) {
    const { confirmedVersion } = protector.figures();
    return `in the directory tree, which every host that is counted on has confirmed up to version ${confirmedVersion}`;
  }
  if (blocks.count === 0) return 'without content';
  // Who reads an attribute does not wait for the network.
  const health = await blocksHealth(protector, blocks, false);
  const lines = describeHealth(health);
  const heardMs = protector.connectedHosts().map(({ peer }) => peer.heardMs);
  if (heardMs.length === 0) return lines.join('; ');
  const oldestMs = Date.now() - (performance.now() - Math.min(performance.now(), ...heardMs));
  return `${lines.join('; ')}; by what hosts said last, the oldest word of ${new Date(oldestMs).toISOString()}`;
}

/**
 * Of some blocks of the chunk log; null for all.
 *
 * @param isAsked Whether hosts are asked, or only what they said counts.
 * @param lost Gets the blocks that are out of reach.
 */
async function blocksHealth(
  protector: Protector,
  wanted: BlockSet | null,
  isAsked: boolean,
  signal?: AbortSignal,
  lost?: BlockSet,
): Promise<BlocksHealth> {
  // What comes meanwhile is not asked about.
  const { logs, layout, sentBlocks } = protector;
  const { content } = logs;
  const budget = new WorkBudget({ workMs: 20, restMs: 0 }, signal);
  const maps = mapsOf(layout, logs.parity.length, wanted);
  const suspects = protector.gone;
  // One that has just connected, and has not told yet what it has, is not asked; nor one that is not believed.
  const told = await Promise.all(
    protector
      .connectedHosts()
      .filter(({ index, peer }) => peer.state !== null && !suspects.has(index))
      .map(async ({ index, peer }): Promise<ToldHost> => {
        if (isAsked) return { index, peer, answer: await ask(protector, peer, maps) };
        return { index, peer, answer: isSilent(peer) ? 'none' : 'life' };
      }),
  );
  const { gone } = protector;
  const placement = protector.placement();
  const hosts = told.flatMap((each) => checkedHost(protector, layout, gone, each) ?? []);
  const report = await measureHealth({
    layout,
    placement,
    hosts,
    sentBlocks,
    isHere: (block) => isBlockHere(content, block),
    isGarbage: (block) => protector.garbage.content.has(block),
    isWanted: wanted === null ? null : (block) => wanted.has(block),
    isZeros: async (epochIndex, stripe, shard) => {
      const epoch = layout.epochs[epochIndex];
      if (epoch === undefined) return false;
      const record = await logs.stripe.get(stripeRecordBlock(epoch, stripe), { wait: false });
      return record !== null && decodeStripe(record).data[shard] === null;
    },
    pause: budget.pause,
    onLost: (block) => lost?.add(block),
  });
  const checked = new Set(hosts.map(({ index }) => index));
  const kept = protector.hosts().filter(({ status }) => isKeeping(status));
  const unchecked = kept
    .filter(({ index }) => !checked.has(index))
    .map(({ index, id, label, lastSeenMs }) => ({
      id,
      label,
      lastSeenMs,
      isGone: gone.has(index),
    }));
  const leaving = kept
    .filter(({ status }) => status === 'leaving')
    .map(({ id, label }) => ({ id, label }));
  return {
    hosts: kept.length,
    connected: kept.length - unchecked.length,
    isHere: await isAllHere(protector, wanted, budget),
    unchecked,
    leaving,
    ...report,
  };
}

/** Whether the blocks that are asked about, and were not collected, are in this machine's store. */
async function isAllHere(
  { logs, garbage }: Protector,
  wanted: BlockSet | null,
  budget: WorkBudget,
): Promise<boolean> {
  const { content } = logs;
  let looked = 0;
  for (const block of wanted ?? new BlockSet().complement(content.length)) {
    if (looked++ % LOOKED_AT_ONCE === 0) await budget.pause();
    if (block >= content.length || garbage.content.has(block)) continue;
    if (!isBlockHere(content, block)) return false;
  }
  return true;
}

function isBlockHere(core: Hypercore, block: number): boolean {
  return core.core?.bitfield.get(block) === true;
}

/** A connected host. */
interface ToldHost {
  index: number;
  peer: HostsPeer;
  answer: HoldingsAnswer;
}

/** The least that was answered of both logs. */
async function ask(
  { logs }: Protector,
  peer: HostsPeer,
  maps: WantedMaps,
): Promise<HoldingsAnswer> {
  let least: HoldingsAnswer = 'maps';
  for (const log of SHARD_LOGS) {
    const at = replicatorPeer(logs[log], peer);
    const answer =
      at === undefined ? 'life' : await askHoldings(peer, logs[log], log, at, maps[log]);
    // Who says nothing once is not waited for again.
    if (answer === 'none') return 'none';
    if (answer === 'life') least = 'life';
  }
  return least;
}

/** Null for one that did not answer, or that answered, and said nothing before that counts. */
function checkedHost(
  protector: Protector,
  layout: Layout,
  gone: ReadonlySet<number>,
  { index, peer, answer }: ToldHost,
): CheckedHost | null {
  const { logs } = protector;
  if (answer === 'none') return null;
  const hasOwed = answer === 'maps' ? null : owedBy(protector, layout, gone, peer);
  if (answer === 'life' && hasOwed === null) return null;
  const told = {
    content: replicatorPeer(logs.content, peer),
    parity: replicatorPeer(logs.parity, peer),
  };
  return {
    index,
    has: ({ log, block }) => {
      const at = told[log];
      if (at === undefined) return false;
      return block < at.remoteContiguousLength || at.remoteBitfield.get(block);
    },
    hasOwed,
  };
}

/** What a host says in sum. Null while it goes by another plan or placement than the newest: then it owes something else. */
function owedBy(
  { logs, planLength }: Protector,
  layout: Layout,
  gone: ReadonlySet<number>,
  { state }: HostsPeer,
): CheckedHost['hasOwed'] {
  if (state === null || state.planLength !== planLength) return null;
  if (!isOwedWithout(state.gone, gone)) return null;
  return (shard) => reachesBlock(state, shard, logs, layout);
}

/** Over the connection over which the host is asked otherwise, so that answers come in turn. */
function replicatorPeer(core: Hypercore, peer: HostsPeer): ReplicatorPeer | undefined {
  return core.peers.find(
    ({ stream, remoteFork }) => stream === peer.connection && remoteFork === core.fork,
  );
}

/** Blocks of the chunk log that files below a path lie in. */
async function blocksBelow(drive: Drive, path: string, signal?: AbortSignal): Promise<BlockSet> {
  const view = drive.tree.at(drive.tree.head);
  const options = signal === undefined ? {} : { signal };
  const names = namesOfPath(path);
  const top = await findPath(view, names, options);
  if (top === null) throw noSuchPath(names);
  const blocks = new BlockSet();
  for await (const { extents } of walkSubtree(view, top, options)) {
    for (const { chunk } of extents) if (chunk !== null) blocks.add(chunk.block);
  }
  return blocks;
}
