/** The superblock of a drive that is being opened. */
import { DamagedError, type ShoalError, UnavailableError } from '../errors.js';
import type { HyperbeeTree } from '../tree/hyperbee-tree.js';
import { readSuperblock, type Superblock } from '../tree/superblock.js';
import type { DriveKeys } from './drive-logs.js';

interface FindOptions {
  offline?: boolean;
  signal?: AbortSignal;
}

/**
 * Waits for the first head of a drive that was just joined. `unansweredSwarm` says what does not answer when the network
 * itself does not. Throws UnavailableError, DamagedError.
 */
export async function findSuperblock(
  tree: HyperbeeTree,
  name: string,
  options: FindOptions,
  deadlineMs: number,
  unansweredSwarm: () => string | null,
): Promise<Superblock> {
  const { signal } = options;
  try {
    if (tree.head.length === 0 && options.offline === true) {
      throw new UnavailableError('Nothing of the drive is on this machine');
    }
    await tree.whenFound({ deadlineMs, signal });
    return await readSuperblock(tree, { deadlineMs, signal });
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const isKnown = tree.head.length > 0;
    throw options.offline === true
      ? notHere(name, isKnown, error)
      : noPeer(name, deadlineMs, unansweredSwarm(), error);
  }
}

function notHere(name: string, isKnown: boolean, cause: ShoalError): UnavailableError {
  if (isKnown) {
    return new UnavailableError(
      `Cannot open '${name}': a part of its tree is not on this machine; mount it without --offline while a peer that has the drive is mounted`,
      { cause },
    );
  }
  return new UnavailableError(
    `Cannot open '${name}': nothing of it is on this machine yet; mount it once without --offline`,
    { cause },
  );
}

function noPeer(
  name: string,
  deadlineMs: number,
  unanswered: string | null,
  cause: ShoalError,
): UnavailableError {
  const why =
    unanswered === null
      ? `no peer that has it answered within ${deadlineMs / 1000} s; is the origin mounted, and is --bootstrap the same there`
      : `${unanswered}, so that no peer can be found (waited ${deadlineMs / 1000} s)`;
  return new UnavailableError(`Cannot open '${name}': ${why}`, { cause });
}

/** The chunk log's key. Throws DamagedError when the superblock is not this key's. */
export function checkWriters(superblock: Superblock, keys: DriveKeys): Buffer {
  const [first] = superblock.writers;
  if (first === undefined || !first.treeKey.equals(keys.treeLogKey)) {
    throw new DamagedError('Cannot open the drive: its superblock names another tree log');
  }
  if (keys.writer !== null && !first.contentKey.equals(keys.writer.contentLog.key)) {
    throw new DamagedError('Cannot open the drive: its superblock names another content log');
  }
  return first.contentKey;
}
