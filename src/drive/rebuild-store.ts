/** Makes the database of a store anew of all that can be read of it, for one with a damaged file. Value files stay. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DamagedError, NoSpaceError } from '../errors.js';
import { asShoalError } from '../log/store-errors.js';
import { type DamagedKeys, scanKeys } from '../log/store-scan.js';
import { syncDirectory } from '../log/sync-file.js';
import { type RawDatabase, valuesOf } from '../log/values/value-database.js';
import { openStorage } from './drive-logs.js';
import { DATABASE, finishReplacing, REPLACED } from './store-replacing.js';

const KEYS_PER_WRITE = 256;

/** What was copied. */
export interface RebuiltStore {
  entries: number;
  /** Entries whose key is known, and whose value cannot be read. */
  lostValues: number;
}

/**
 * Nobody may have the store open. A crash leaves the old database or the new one, never none ({@link finishReplacing}).
 * Throws NoSpaceError, StoreError; then the store is as it was.
 *
 * @param expected Keys that should be there. What is hidden by a damaged table can still be found by its key, where a newer
 *   table has it.
 */
export async function rebuildStore(
  directory: string,
  expected: Iterable<Buffer> = [],
): Promise<RebuiltStore> {
  const fresh = `${directory}.new`;
  await rm(fresh, { recursive: true, force: true });
  try {
    await mkdir(fresh, { mode: 0o700 });
    const copied = await copyStore(directory, fresh, expected);
    await rename(join(directory, DATABASE), join(directory, REPLACED));
    await rename(join(fresh, DATABASE), join(directory, DATABASE));
    await syncDirectory(directory);
    await rm(join(directory, REPLACED), { recursive: true });
    return copied;
  } catch (error) {
    const known = asShoalError(error, `make the store '${directory}' anew`);
    if (known instanceof DamagedError) {
      throw new DamagedError(
        `${known.message.trimEnd()}; put back a copy of the store, or join the drive with its key under a new name`,
        { cause: error },
      );
    }
    if (!(known instanceof NoSpaceError)) throw known;
    throw new NoSpaceError(`${known.message}; a copy of the store has to fit beside it`, {
      cause: error,
    });
  } finally {
    await finishReplacing(directory);
    await rm(fresh, { recursive: true, force: true });
  }
}

async function copyStore(
  from: string,
  to: string,
  expected: Iterable<Buffer>,
): Promise<RebuiltStore> {
  const source = openStorage(from, true);
  const target = openStorage(to, true);
  try {
    // Not more of it: what its first records say may be what cannot be read.
    await source.db.ready();
    await target.ready();
    const copied = await copyEntries(
      valuesOf(source).database,
      valuesOf(target).database,
      expected,
    );
    await target.db.flush();
    return copied;
  } finally {
    await source.close();
    await target.close();
  }
}

async function copyEntries(
  source: RawDatabase,
  target: RawDatabase,
  expected: Iterable<Buffer>,
): Promise<RebuiltStore> {
  const copied: RebuiltStore = { entries: 0, lostValues: 0 };
  let keys: Buffer[] = [];
  const copyKeys = async (): Promise<void> => {
    const read = source.read();
    const write = target.write();
    try {
      const values = keys.map((key) => read.get(key).catch(() => null));
      read.tryFlush();
      for (const [i, value] of (await Promise.all(values)).entries()) {
        if (value === null) copied.lostValues++;
        else {
          copied.entries++;
          write.tryPut(keys[i] as Buffer, value);
        }
      }
      await write.flush();
    } finally {
      // Else the databases would wait for them for ever when they are closed.
      read.destroy();
      write.destroy();
    }
    keys = [];
  };
  const hidden: DamagedKeys[] = [];
  for await (const found of scanKeys(source)) {
    if (Buffer.isBuffer(found)) keys.push(found);
    else if (!found.isValue) hidden.push(found);
    if (keys.length >= KEYS_PER_WRITE) await copyKeys();
  }
  if (keys.length > 0) await copyKeys();
  const { lostValues } = copied;
  for (const key of hidden.length === 0 ? [] : expected) {
    if (hidden.some((each) => isWithin(key, each))) keys.push(key);
    if (keys.length >= KEYS_PER_WRITE) await copyKeys();
  }
  if (keys.length > 0) await copyKeys();
  // Those that were only expected may never have been there.
  copied.lostValues = lostValues;
  return copied;
}

function isWithin(key: Buffer, { after, before }: DamagedKeys): boolean {
  const isBehind = after === null || Buffer.compare(key, after) > 0;
  return isBehind && (before === null || Buffer.compare(key, before) < 0);
}
