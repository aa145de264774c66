/** The disk that a drive's store takes. */
import { join } from 'node:path';
import type Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { core as storageKeys } from 'hypercore-storage/lib/keys.js';
import type { StoreSpace } from '../content/disk-cache.js';
import { asShoalError } from '../log/store-errors.js';
import { sweepValues } from '../log/values/after-power-loss.js';
import { valuesOf } from '../log/values/value-database.js';
import { VALUES } from '../log/values/value-files.js';
import { diskUsage } from './disk-usage.js';

/** Values of RocksDB's options, by their names in `rocksdb-native`. */
const FORCE = 1;
const DISABLE = 2;
const ALSO_BOTTOMMOST = 2;

/** Measures the store of a drive, and gives back what removed blocks of some logs take. */
export function storeSpaceOf(
  store: Corestore,
  logs: () => readonly Hypercore[],
  tree: Hypercore,
): StoreSpace {
  return {
    async usedBytes() {
      const { path } = store.storage;
      const bytes =
        (await diskUsage(join(path, 'db'), isLasting)) + (await diskUsage(join(path, VALUES)));
      return Math.max(0, bytes - localBytes(tree));
    },
    async reclaim(share) {
      for (const log of logs()) await reclaimSpace(store, log, share);
    },
  };
}

/**
 * Gives back what removed blocks of a log take. Of what lies in the database itself (small blocks, and those of a store that
 * is older than value files): merges the tables of its keys, so that a file of values in which nothing is in use goes.
 * `share` of all such files, the oldest, are emptied before: 0 none, 1 all. With 1 also what nothing points to in the value
 * files, and was not freed. Throws StoreError, NoSpaceError.
 */
export async function reclaimSpace(store: Corestore, log: Hypercore, share: number): Promise<void> {
  const pointer = log.core?.state.storage.core.dataPointer;
  if (pointer === undefined) return;
  // The library hands out slices of memory that it fills anew.
  const start = Buffer.from(storageKeys.data(pointer));
  const end = Buffer.from(storageKeys.data(pointer + 1));
  const { files } = valuesOf(store.storage);
  const freed = files.takeFreed();
  try {
    // Not before it is durable that they are removed.
    await store.storage.db.flush().catch((error: unknown) => {
      files.free(freed);
      throw error;
    });
    await files.release(freed);
    if (share === 1) await sweepValues(store.storage);
    await store.storage.db.compactRange(start, end, {
      blobGarbageCollectionPolicy: share > 0 ? FORCE : DISABLE,
      blobGarbageCollectionAgeCutoff: share,
      ...(share > 0 ? { bottommostLevelCompaction: ALSO_BOTTOMMOST } : {}),
    });
  } catch (error) {
    throw asShoalError(error, 'give disk space back');
  }
}

/** Not a write-ahead file or the manifest, for which RocksDB reserves room. */
function isLasting(name: string): boolean {
  return !name.endsWith('.log') && !name.startsWith('MANIFEST');
}

/** What a log's blocks that are here take, about. */
function localBytes(log: Hypercore): number {
  if (log.core === null || log.length === 0) return 0;
  return (log.byteLength * log.core.bitfield.countSet(0, log.length)) / log.length;
}
