/** state.json: what a drive's last process left behind. */

import { randomBytes } from 'node:crypto';
import { DamagedError, StoreError } from '../errors.js';
import { readVersionedJson, writeFileAtomically } from './atomic-file.js';
import type { LogLengths } from './lease-messages.js';

/** Since version 2 large blocks lie in value files, which a program that knows only version 1 would take for damaged. */
const STATE_FORMAT_VERSION = 2;
const STORE_ID_BYTES = 16;

/**
 * Who may append to the drive's logs. Exactly one store of a drive holds the lease; it goes to another only by a
 * message that names the receiver, after the giver has recorded that it is gone (docs/protocol.md). Each hand-over
 * raises the generation, so that a copy cannot be given again what it has passed on since. It is 0 only for a copy that
 * never had the lease.
 */
export type Lease =
  | { state: 'held'; generation: number }
  | { state: 'none'; generation: number }
  | { state: 'given'; generation: number; to: string };

/** What state.json says. */
export interface DriveState {
  /** Random name of this copy of the drive, 32 hex digits. */
  storeId: string;
  lease: Lease;
  /** Whether the last process closed the store in order. */
  clean: boolean;
  /** Identity of the machine's boot when it was last opened. */
  bootId: string;
  /** How long the logs were when they were last closed in order; null before that. */
  lengths: LogLengths | null;
  /**
   * After a loss of power, how much of the logs survived: what lies behind came back from peers, and is not known to be
   * whole. Null once the logs are safe to append to.
   */
  survived: LogLengths | null;
  /** The newest fork that was ever begun here, also if the logs have lost it since. */
  forkBegun: number;
  /**
   * The tree log's fork here when it was learnt that another machine has taken the drive over, until its fork is
   * followed; null otherwise.
   */
  takenOverAt: number | null;
  /** Blocks of the chunk log may have been taken off this disk because hosts have them. */
  mayLack: boolean;
  /**
   * The heads of the logs are being made anew, unsigned, and the fork with which they go on has not begun: nothing may be
   * done with the logs until it has.
   */
  isRestoring: boolean;
}

/** A state for a new copy of a drive. */
export function createState(lease: Lease): DriveState {
  const storeId = randomBytes(STORE_ID_BYTES).toString('hex');
  return {
    storeId,
    lease,
    clean: true,
    bootId: '',
    lengths: null,
    survived: null,
    forkBegun: 0,
    takenOverAt: null,
    mayLack: false,
    isRestoring: false,
  };
}

/**
 * For a copy whose state is missing. It may not write, since the lease could be anywhere; but it may have written, which
 * the generation says: that of a drive's first writer.
 */
export function createStateOfUnknown(): DriveState {
  return createState({ state: 'none', generation: 1 });
}

/**
 * Whether the log may have lost what was appended last: the process did not end in order, and the machine was started
 * again since (an awaited append survives the end of its process, but not a loss of power).
 */
export function endedUncleanlyBeforeReboot(state: DriveState, bootId: string): boolean {
  return !state.clean && (bootId === '' || state.bootId !== bootId);
}

/** Throws FormatVersionError, StoreError. */
export async function readState(path: string): Promise<DriveState | null> {
  const value = await readVersionedJson(path, STATE_FORMAT_VERSION);
  if (value === null) return null;
  const { storeId, clean, bootId } = value;
  const forkBegun = value.forkBegun ?? 0;
  const takenOverAt = value.takenOverAt ?? null;
  const mayLack = value.mayLack === true;
  const isRestoring = value.isRestoring === true;
  const lease = decodeLease(value.lease);
  const lengths = decodeLengths(value.lengths ?? null);
  const survived = decodeLengths(value.survived ?? null);
  if (
    !isStoreId(storeId) ||
    typeof clean !== 'boolean' ||
    typeof bootId !== 'string' ||
    lease === null ||
    lengths === undefined ||
    survived === undefined ||
    !isCount(forkBegun) ||
    !(takenOverAt === null || isCount(takenOverAt))
  ) {
    throw new StoreError(`Cannot read '${path}': it is damaged; restore it from a copy`);
  }
  return {
    ...{ storeId, lease, clean, bootId, lengths, survived, forkBegun, takenOverAt, mayLack },
    isRestoring,
  };
}

/** Throws DamagedError while the heads of the logs are being made anew. */
export function requireRestored(state: DriveState | null, name: string): void {
  if (state?.isRestoring !== true) return;
  throw new DamagedError(
    `Cannot open '${name}': a repair of what describes its logs was cut short; 'shoal check ${name} --repair' goes on with it`,
  );
}

/** Durable when it resolves. */
export async function writeState(path: string, state: DriveState): Promise<void> {
  const value = { formatVersion: STATE_FORMAT_VERSION, ...state };
  await writeFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Whether a value is the name of a copy of a drive. */
export function isStoreId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

function decodeLease(value: unknown): Lease | null {
  if (typeof value !== 'object' || value === null) return null;
  const { state, to, generation } = value as Record<string, unknown>;
  if (typeof generation !== 'number' || !Number.isSafeInteger(generation) || generation < 0) {
    return null;
  }
  if (state === 'held' || state === 'none') return { state, generation };
  if (state === 'given' && isStoreId(to)) return { state, generation, to };
  return null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** undefined for what is no record of lengths. */
function decodeLengths(value: unknown): LogLengths | null | undefined {
  if (value === null) return null;
  if (typeof value !== 'object') return undefined;
  const { treeFork, treeLength, contentFork, contentLength } = value as Record<string, unknown>;
  if (!isCount(treeFork) || !isCount(treeLength)) return undefined;
  if (!isCount(contentFork) || !isCount(contentLength)) return undefined;
  return { treeFork, treeLength, contentFork, contentLength };
}

/**
 * What keeps the logs from being appended to. A store can lose its newest blocks without noticing: RocksDB takes a
 * damaged record of its write-ahead log for the log's end. Appending would put other blocks under their numbers.
 */
export function isShorterThanRecorded(now: LogLengths, recorded: LogLengths | null): boolean {
  if (recorded === null) return false;
  const lostTree = now.treeFork === recorded.treeFork && now.treeLength < recorded.treeLength;
  const lostContent =
    now.contentFork === recorded.contentFork && now.contentLength < recorded.contentLength;
  const older = now.treeFork < recorded.treeFork || now.contentFork < recorded.contentFork;
  return lostTree || lostContent || older;
}
