/** The logs by which hosts keep a drive, in the store of its writer. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import { ReadOnlyError } from '../errors.js';
import type { HostedLog } from '../hosts/wire/hosts-messages.js';
import { asShoalError } from '../log/store-errors.js';
import type { DriveLogs } from './drive-logs.js';
import type { WritableLog, WriterKeys } from './key-derivation.js';

/** Forks of these logs are counted in between those of the chunk log: they may need one of their own. */
export const FORKS_PER_TERM = 65_536;

/**
 * The least fork of the stripe, parity and plan log. A new one begins when the drive goes on under a new fork, and when
 * another machine begins to write: it may lack the end of these logs, and nothing may be signed twice.
 *
 * @param generation Of the writer lease.
 */
export function termFork(contentFork: number, generation: number): number {
  return FORKS_PER_TERM * (contentFork + Math.max(0, generation - 1));
}

/**
 * From now on no fork of these logs is followed that another machine has begun: this one would sign its own blocks in it.
 * Throws ReadOnlyError when one is here already: then the drive was taken over, and nothing may be appended.
 *
 * @param fork That of this machine's term.
 */
export async function keepTerm(logs: readonly Hypercore[], fork: number): Promise<void> {
  for (const core of logs) {
    const context = core.core as CoreContext;
    context.replicator.allowFork = false;
    context.reorg = async () => false;
  }
  for (const core of logs) {
    // One that is being taken over right now is before us.
    const { mutex } = (core.core as CoreContext).state;
    await mutex.lock();
    mutex.unlock();
    if (core.fork < fork + FORKS_PER_TERM) continue;
    throw new ReadOnlyError('another machine has taken the drive over, and its hosts with it');
  }
}

/**
 * Sessions of all five logs, ready, which the caller closes: plan, stripes and parity may be appended to.
 * Throws StoreError, NoSpaceError.
 */
export async function openProtectionLogs(
  logs: DriveLogs,
  writer: WriterKeys,
): Promise<Record<HostedLog, Hypercore>> {
  try {
    const plan = await openWritable(logs, writer.planLog);
    const stripe = await openWritable(logs, writer.stripeLog);
    const parity = await openWritable(logs, writer.parityLog);
    const tree = logs.tree(false);
    const content = logs.content(writer.contentLog.key, false);
    await Promise.all([tree.ready(), content.ready()]);
    return { tree, content, plan, stripe, parity };
  } catch (error) {
    throw asShoalError(error, 'open the logs for the hosts');
  }
}

async function openWritable({ store }: DriveLogs, log: WritableLog): Promise<Hypercore> {
  const { key, keyPair, manifest } = log;
  // Hypercore writes a key with which it makes a log to the store, where it is for everyone to read.
  const made = store.get({ key, manifest });
  await made.ready();
  const core = store.get({ key, keyPair, manifest });
  await core.ready();
  await made.close();
  return core;
}
