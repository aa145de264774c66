/** The health of a drive on its hosts, whole or below a path. */
import type { ReplicatorPeer } from 'hypercore';
import { NotFoundError } from '../errors.js';
import { namesOfPath } from '../fs/drive-path.js';
import { findPath, walkSubtree } from '../fs/subtree.js';
import { describeHealth, type HealthReport, measureHealth } from '../hosts/health.js';
import type { Protector } from '../hosts/protector.js';
import { decodeStripe } from '../hosts/stripe-record.js';
import { type ShardBlock, stripeRecordBlock } from '../hosts/stripes.js';
import { BlockSet } from '../log/block-set.js';
import type { Drive } from './drive.js';
import { WorkBudget } from './work-budget.js';

/** Beside what was measured, of whom. */
export interface DriveHealth extends HealthReport {
  name: string;
  path: string;
  /** Hosts that are to keep the drive, and those of them that are connected: only these were asked. */
  hosts: number;
  connected: number;
  /** Hosts that could not be asked, and when they were connected last. */
  unchecked: { id: string; label: string; lastSeenMs: number }[];
}

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
  return { name: drive.name, path, ...(await blocksHealth(protector, wanted, signal)) };
}

/** What `user.shoal.health` says of a file. @param blocks Those of its content; null when that is in the tree. */
export async function describeFileHealth(
  protector: Protector,
  blocks: BlockSet | null,
): Promise<string> {
  if (blocks === null) {
    const { protectedVersion } = protector.figures();
    return `in the directory tree, which every host has confirmed up to version ${protectedVersion}`;
  }
  if (blocks.count === 0) return 'without content';
  const health = await blocksHealth(protector, blocks);
  const { connected, hosts: all } = health;
  const lines = describeHealth(health, { connected, all });
  return `${lines.join('; ')}; checked ${new Date(health.checkedMs).toISOString()}`;
}

/** Of some blocks of the chunk log; null for all. */
async function blocksHealth(
  protector: Protector,
  wanted: BlockSet | null,
  signal?: AbortSignal,
): Promise<Omit<DriveHealth, 'name' | 'path'>> {
  const { logs, layout } = protector;
  const budget = new WorkBudget({ workMs: 20, restMs: 0 }, signal);
  const hosts = protector.connectedHosts().map(({ index, peer }) => {
    const of = (peers: readonly ReplicatorPeer[], fork: number): ReplicatorPeer | undefined =>
      peers.find((each) => each.remotePublicKey.equals(peer.id) && each.remoteFork === fork);
    const content = of(logs.content.peers, logs.content.fork);
    const parity = of(logs.parity.peers, logs.parity.fork);
    return {
      index,
      has: (shard: ShardBlock) => has(shard.log === 'content' ? content : parity, shard.block),
    };
  });
  const report = await measureHealth({
    layout,
    hosts,
    isGarbage: (block) => protector.garbage.content.has(block),
    isWanted: wanted === null ? null : (block) => wanted.has(block),
    isZeros: async (epochIndex, stripe, shard) => {
      const epoch = layout.epochs[epochIndex];
      if (epoch === undefined) return false;
      const record = await logs.stripe.get(stripeRecordBlock(epoch, stripe), { wait: false });
      return record !== null && decodeStripe(record).data[shard] === null;
    },
    pause: budget.pause,
  });
  const asked = new Set(hosts.map(({ index }) => index));
  const kept = protector
    .hosts()
    .filter(({ status }) => status === 'active' || status === 'leaving');
  const unchecked = kept
    .filter(({ index }) => !asked.has(index))
    .map(({ id, label, lastSeenMs }) => ({ id, label, lastSeenMs }));
  return {
    hosts: kept.length,
    connected: kept.length - unchecked.length,
    unchecked,
    ...report,
  };
}

function has(peer: ReplicatorPeer | undefined, block: number): boolean {
  if (peer === undefined) return false;
  return block < peer.remoteContiguousLength || peer.remoteBitfield.get(block);
}

/** Blocks of the chunk log that files below a path lie in. */
async function blocksBelow(drive: Drive, path: string, signal?: AbortSignal): Promise<BlockSet> {
  const view = drive.tree.at(drive.tree.head);
  const options = signal === undefined ? {} : { signal };
  const top = await findPath(view, namesOfPath(path), options);
  if (top === null) throw new NotFoundError(`No '${path}' in '${drive.name}'`);
  const blocks = new BlockSet();
  for await (const { extents } of walkSubtree(view, top, options)) {
    for (const { chunk } of extents) if (chunk !== null) blocks.add(chunk.block);
  }
  return blocks;
}
