/** How much of a drive that is read is kept on this machine, and for which drives that is bounded. */
import { readFile, statfs } from 'node:fs/promises';
import type Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { DiskCache, readaheadBytesOf } from '../content/disk-cache.js';
import { limits } from '../limits.js';
import { writeFileAtomically } from './atomic-file.js';
import { checkCacheBytes } from './cache-bytes.js';
import type { DriveState } from './drive-state.js';
import type { DriveRecord } from './home.js';
import { storeSpaceOf } from './store-space.js';

/** The bound, and how a store has to be opened that is to keep to it. */
export interface CachePlan {
  bytesMax: number;
  /** RocksDB's memtable. Its write-ahead file takes as much of the disk, at times twice. */
  writeBufferBytes: number;
  /** A file of blocks. What is removed comes back a file at a time. */
  blobFileBytes: number;
}

const WRITE_BUFFER_BYTES_MIN = 2 << 20;
/** Files that RocksDB removes a little later than it could. Measured while data streams through. */
const LATE_BYTES = 12 << 20;
const BLOB_FILE_BYTES_MAX = 64 << 20;
/** RocksDB reserves a tenth more than a memtable for a write-ahead file, and there can be two. */
const WRITE_AHEAD_SHARE = 2.2;

/**
 * Whether blocks of a drive may be taken off this machine: only where none was ever written, since else they may be the
 * only ones. A copy that lost the lease, because another one took the drive over, keeps the lease's generation.
 */
export function mayForget(record: DriveRecord, { lease }: DriveState): boolean {
  if (record.origin) return false;
  return record.capability.type === 'read' || (lease.state === 'none' && lease.generation === 0);
}

/** `bytes`, or without it a share of the disk that the directory is on. Throws UsageError. */
export async function planCache(bytes: number | null, directory: string): Promise<CachePlan> {
  const bytesMax = bytes ?? (await defaultCacheBytes(directory));
  checkCacheBytes(bytesMax);
  const share = Math.floor(bytesMax / 32);
  return {
    bytesMax,
    writeBufferBytes: clamp(share, WRITE_BUFFER_BYTES_MIN, limits.store_write_buffer_bytes),
    blobFileBytes: clamp(2 * share, WRITE_BUFFER_BYTES_MIN, BLOB_FILE_BYTES_MAX),
  };
}

async function defaultCacheBytes(directory: string): Promise<number> {
  const { blocks, bsize } = await statfs(directory);
  const share = Math.floor(blocks * bsize * limits.cache_disk_share);
  return Math.max(limits.cache_default_bytes_min, share);
}

export interface LocalCacheOptions {
  plan: CachePlan;
  store: Corestore;
  /** Both ready. */
  content: Hypercore;
  tree: Hypercore;
  /** The drive is written here. */
  isWriter: boolean;
  /** Nothing is taken away before it is known which blocks are pinned. */
  hasPins: boolean;
  /** Where it is noted when blocks were last used. */
  path: string;
  log: (line: string) => void;
}

/** The bounded chunk log of an open drive, and what is noted of it until the next time. */
export class LocalCache {
  readonly disk: DiskCache;
  /** Other logs in the store of which blocks are removed. */
  readonly others: Hypercore[];
  readonly #path: string;
  readonly #log: (line: string) => void;

  private constructor(
    disk: DiskCache,
    others: Hypercore[],
    path: string,
    log: (line: string) => void,
  ) {
    this.disk = disk;
    this.others = others;
    this.#path = path;
    this.#log = log;
  }

  static async open(options: LocalCacheOptions): Promise<LocalCache> {
    const { plan, store, content, tree, hasPins, isWriter, path, log } = options;
    const fixedBytes =
      limits.store_empty_bytes + LATE_BYTES + WRITE_AHEAD_SHARE * plan.writeBufferBytes;
    const others: Hypercore[] = [];
    const disk = new DiskCache({
      core: content,
      bytesMax: plan.bytesMax,
      fixedBytes,
      onTopBytes: plan.writeBufferBytes + readaheadBytesOf(plan.bytesMax),
      space: storeSpaceOf(store, () => [content, ...others], tree),
      isWriter,
      waitsForPins: hasPins,
      saved: await readIfThere(path),
      log,
    });
    return new LocalCache(disk, others, path, log);
  }

  /** Waits for what is under way. Never rejects: what is not noted costs only some wrong choices. */
  async close(): Promise<void> {
    await this.disk.close();
    try {
      await writeFileAtomically(this.#path, this.disk.encode());
    } catch (error) {
      this.#log(`Cannot note which blocks were used last: ${String(error)}`);
    }
  }
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
