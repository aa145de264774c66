/** Makes the logs safe to append to. */
import { DamagedError } from '../errors.js';
import type { DriveLogs } from './drive-logs.js';
import { isShorterThanRecorded } from './drive-state.js';
import type { LogLengths } from './lease-messages.js';
import { takeTailBack } from './lost-tail.js';
import type { StateFile } from './state-file.js';

export interface RecoveryOptions {
  logs: DriveLogs;
  contentKey: Buffer;
  stateFile: StateFile;
  /** The drive's. */
  name: string;
  /** The swarm's; null without one. */
  firstLookup: Promise<boolean> | null;
  log: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/** Throws DamagedError when the logs are shorter than when they were closed in order. */
export function checkNotShorter(now: LogLengths, closed: LogLengths | null, name: string): void {
  if (!isShorterThanRecorded(now, closed)) return;
  throw new DamagedError(
    `Cannot open '${name}' for writing: its store has lost the newest blocks; 'shoal check ${name} --repair' fetches them from a peer that has them`,
  );
}

/**
 * After a loss of power. No block may ever be signed under a number that a peer has another block for, so the logs go on
 * under a new fork, with what survived here and what the peers gave back. Under a new one also when they gave something
 * back: a peer that is not connected may have more. Throws DamagedError, InterruptedError, StoreError.
 */
export async function recoverFromPowerLoss(options: RecoveryOptions): Promise<void> {
  const { logs, contentKey, stateFile, name, firstLookup, log, signal } = options;
  const here = await logs.lengths(contentKey);
  const survived = stateFile.state.survived ?? here;
  const lengths = await takeTailBack({ logs, contentKey, survived, firstLookup, log, signal });
  checkNotShorter(lengths, stateFile.state.lengths, name);
  const fork = 1 + Math.max(here.contentFork, here.treeFork, stateFile.state.forkBegun);
  // Before anybody hears of it: the next loss of power may take the fork from the logs, and then it must not be given to
  // other blocks.
  await stateFile.update({ forkBegun: fork });
  await logs.continueUnderNewFork(contentKey, lengths, fork);
  log(`Going on under fork ${fork} of the logs: peers may have blocks that this machine lost`);
}
