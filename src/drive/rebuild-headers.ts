/**
 * The few records by which the logs are found in the store lie beside each other, in one block of the database's with one
 * checksum: one changed byte, and nothing opens. On the machine that writes the drive they can be made anew.
 */
import { DamagedError } from '../errors.js';
import { restoreHead } from '../log/restore-head.js';
import { type DriveKeys, DriveLogs, driveKeysOf, openStorage } from './drive-logs.js';
import { createStateOfUnknown, type DriveState, readState } from './drive-state.js';
import type { DriveRecord, Home } from './home.js';
import type { WriterKeys } from './key-derivation.js';
import type { LogLengths } from './lease-messages.js';
import { type RebuiltStore, rebuildStore } from './rebuild-store.js';
import type { Repairs } from './repairs.js';
import { StateFile } from './state-file.js';
import { expectedKeys } from './store-keys.js';
import { StoreLock } from './store-lock.js';

/** Blocks that may have been appended since the lengths of the logs were recorded. */
const BLOCKS_SINCE = 4096;

const NO_LENGTHS: LogLengths = { treeFork: 0, treeLength: 0, contentFork: 0, contentLength: 0 };

/** A drive that nobody has open. */
interface ClosedDrive {
  record: DriveRecord;
  keys: DriveKeys;
  state: DriveState;
  store: string;
  stateFile: StateFile;
}

/** Makes the database of a store anew of all that can be read. Throws BusyError, NoSpaceError, StoreError. */
export async function rebuildDatabase(home: Home, name: string, repairs: Repairs): Promise<void> {
  await withClosed(home, name, (drive) => rebuild(drive, repairs));
}

/**
 * The same for a store that does not open. Where the records that describe the logs are lost, they are made anew of what is
 * in the logs, which then go on under a new fork: what was appended last may be lost with the rest, and no number may be
 * given to two blocks. Throws DamagedError when that cannot be done, BusyError, NoSpaceError, StoreError.
 */
export async function rebuildHeaders(home: Home, name: string, repairs: Repairs): Promise<void> {
  await withClosed(home, name, async (drive) => {
    await rebuild(drive, repairs);
    const { keys, state, store } = drive;
    const isUnknown = state.isRestoring || (await knowsNoLog(store));
    if (keys.writer === null || state.lease.state !== 'held') {
      if (!isUnknown) return;
      throw new DamagedError(
        `Cannot repair '${name}': what describes its logs is lost, which only the machine that writes it can make anew; join it with its key under a new name`,
      );
    }
    await restoreLogs(drive, keys.writer, isUnknown, repairs);
  });
}

async function rebuild({ record, keys, state, store }: ClosedDrive, repairs: Repairs) {
  const { treeLength, contentLength } = state.lengths ?? NO_LENGTHS;
  const contentKey = keys.writer?.contentLog.key ?? record.contentLogKey;
  const logs = [{ key: keys.treeLogKey, length: treeLength + BLOCKS_SINCE }];
  if (contentKey !== null) logs.push({ key: contentKey, length: contentLength + BLOCKS_SINCE });
  const { entries }: RebuiltStore = await rebuildStore(store, expectedKeys(logs));
  repairs.add(`made the store anew of the ${entries} records in it that can be read`);
}

/** Goes on with what an earlier {@link rebuildHeaders} that was ended has begun, if there is such. Throws like that one. */
export async function finishHeaders(home: Home, name: string, repairs: Repairs): Promise<void> {
  if ((await readState(home.paths(name).state))?.isRestoring !== true) return;
  await rebuildHeaders(home, name, repairs);
}

/**
 * Whatever ends it, heads that were made are never taken for those that were lost: what was appended last may be lost, and
 * the numbers of that be given to other blocks.
 */
async function restoreLogs(
  { keys, state, store, stateFile }: ClosedDrive,
  writer: WriterKeys,
  isUnknown: boolean,
  repairs: Repairs,
): Promise<void> {
  const begin = async (): Promise<void> => {
    if (!stateFile.state.isRestoring) await stateFile.update({ isRestoring: true });
  };
  await withLogs(store, keys, async (logs) => {
    // In the order in which they were made: what is in them goes by that.
    if (isUnknown) {
      await begin();
      await logs.create(writer);
    }
    await restoreHeads(logs, writer, state.lengths ?? NO_LENGTHS, begin);
  });
  if (!stateFile.state.isRestoring) return;
  repairs.add('made the heads of the logs anew');
  await withLogs(store, keys, async (logs) => {
    const contentKey = writer.contentLog.key;
    const here = await logs.lengths(contentKey);
    const fork = 1 + Math.max(here.treeFork, here.contentFork, state.forkBegun);
    await stateFile.update({ forkBegun: fork });
    await logs.continueUnderNewFork(contentKey, here, fork);
    repairs.add(`the logs go on under fork ${fork}`);
  });
  await stateFile.update({ isRestoring: false });
}

async function withClosed<T>(
  home: Home,
  name: string,
  run: (drive: ClosedDrive) => Promise<T>,
): Promise<T> {
  const record = await home.read(name);
  if (record.capability.type === 'host') throw new DamagedError('Cannot repair with a host key');
  const paths = home.paths(name);
  const lock = StoreLock.acquire(paths.lock, name, 'check');
  try {
    const state = (await readState(paths.state)) ?? createStateOfUnknown();
    const stateFile = new StateFile(paths.state, state);
    const keys = driveKeysOf(record.capability);
    return await run({ record, keys, state, store: paths.store, stateFile });
  } finally {
    lock.release();
  }
}

async function knowsNoLog(directory: string): Promise<boolean> {
  const storage = openStorage(directory, true);
  try {
    await storage.ready();
    return (await storage.getDefaultDiscoveryKey()) === null;
  } finally {
    await storage.close();
  }
}

async function withLogs<T>(
  directory: string,
  keys: DriveKeys,
  run: (logs: DriveLogs) => Promise<T>,
): Promise<T> {
  const logs = await DriveLogs.open(directory, keys, true);
  try {
    const result = await run(logs);
    await logs.store.storage.db.flush();
    return result;
  } finally {
    await logs.store.close();
  }
}

async function restoreHeads(
  logs: DriveLogs,
  writer: WriterKeys,
  lengths: LogLengths,
  beforeWrite: () => Promise<void>,
): Promise<void> {
  for (const [core, fork, length] of [
    [logs.tree(false), lengths.treeFork, lengths.treeLength],
    [logs.content(writer.contentLog.key, false), lengths.contentFork, lengths.contentLength],
  ] as const) {
    try {
      await core.ready();
      await restoreHead(core, fork, length, beforeWrite);
    } finally {
      await core.close();
    }
  }
}
