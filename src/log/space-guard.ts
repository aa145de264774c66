import { statfsSync } from 'node:fs';
import { NoSpaceError } from '../errors.js';

/** Free and total bytes of a disk, as an ordinary user may use them. */
export interface DiskSpace {
  availableBytes: number;
  totalBytes: number;
}

export interface SpaceGuardOptions {
  /** A directory on the disk in question. */
  directory: string;
  /** What stays free; on a small disk at most an eighth of it. */
  reserveBytes: number;
  /** Default: statfs. */
  measure?: (directory: string) => DiskSpace;
  /** Milliseconds, monotonic. */
  now?: () => number;
}

/** A measurement is good for so long, and only while so much more would fit: more than is written in that time. */
const fresh_ms = 100;
const fresh_spare_bytes = 64 << 20;

/**
 * Refuses to add to a disk that is nearly full, so that RocksDB does not run into the end of it: its background work
 * and its deletes need room too, and after a write that failed for lack of space it refuses all others until some
 * seconds after the space is back. Nothing is lost then either; this only keeps the drive able to delete.
 *
 * The check is a guess of an instant, since others write to the disk as well: what is written may still fail.
 */
export class SpaceGuard {
  readonly #directory: string;
  readonly #reserveBytes: number;
  readonly #measure: (directory: string) => DiskSpace;
  readonly #now: () => number;
  #spareBytes = 0;
  #claimedBytes = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;

  constructor(options: SpaceGuardOptions) {
    this.#directory = options.directory;
    this.#reserveBytes = options.reserveBytes;
    this.#measure = options.measure ?? measureWithStatfs;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Claims room for `bytes` more. Throws NoSpaceError where that would eat into the reserve. */
  claim(bytes: number): void {
    this.require(bytes);
    this.#claimedBytes += bytes;
  }

  /** Throws NoSpaceError unless `bytes` more would fit now. Claims nothing. */
  require(bytes: number): void {
    if (this.fits(bytes)) return;
    throw new NoSpaceError(
      `Cannot store ${bytes} bytes more: the disk of '${this.#directory}' is nearly full; free space there and try again`,
    );
  }

  /** Whether `bytes` more would fit now. Claims nothing. */
  fits(bytes: number): boolean {
    const isFar = this.#claimedBytes + bytes + fresh_spare_bytes <= this.#spareBytes;
    const now = this.#now();
    // A refusal is always from a fresh look, so that freed space counts at once.
    if (isFar && now - this.#measuredAt < fresh_ms) return true;
    const space = this.#measure(this.#directory);
    const reserve = Math.min(this.#reserveBytes, Math.floor(space.totalBytes / 8));
    this.#spareBytes = Math.max(0, space.availableBytes - reserve);
    this.#claimedBytes = 0;
    this.#measuredAt = now;
    return bytes <= this.#spareBytes;
  }
}

function measureWithStatfs(directory: string): DiskSpace {
  const figures = statfsSync(directory);
  return {
    availableBytes: figures.bavail * figures.bsize,
    totalBytes: figures.blocks * figures.bsize,
  };
}
