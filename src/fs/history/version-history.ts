/**
 * The versions of a drive: finds one by number, time or label. Goes by the skip pointers of commits, never through a
 * version that was collected: its records may be gone.
 */
import { DamagedError, NotFoundError } from '../../errors.js';
import { type CollectionRecord, decodeCollection } from '../../tree/collection-record.js';
import type { CommitRecord } from '../../tree/commit-record.js';
import { collectionKey, RecordKind, rangeOfKind, snapshotKey } from '../../tree/keys.js';
import { decodeSnapshot, labelOfKey } from '../../tree/snapshot-record.js';
import type { Head, TreeView } from '../../tree/tree.js';
import type { VersionPoint } from '../../tree/version-point.js';
import { readCommit } from '../read-commit.js';
import type { VersionName } from './version-name.js';

/** A version with the record of the commit that made it. */
export interface KnownVersion {
  point: VersionPoint;
  commit: CommitRecord;
}

export interface Snapshot extends VersionPoint {
  label: string;
}

/** Labels named in an error. */
const LABELS_NAMED_MAX = 8;

/** What `VersionHistory` reads: the tree as it is now, and older states of it. */
export interface VersionedTree extends TreeView {
  at(head: Head): TreeView;
}

export class VersionHistory {
  readonly #tree: VersionedTree;

  constructor(tree: VersionedTree) {
    this.#tree = tree;
  }

  /** Throws DamagedError, UnavailableError, StoreError, as all methods do. */
  newest(): Promise<KnownVersion> {
    return this.#read(this.#tree.head);
  }

  /** What a person named. Throws NotFoundError, which says what there is. */
  async find(name: VersionName): Promise<VersionPoint> {
    if ('version' in name) return await this.findVersion(name.version);
    if ('timeMs' in name) return await this.findTime(name.timeMs);
    return await this.findSnapshot(name.label);
  }

  /** Throws NotFoundError for a version that was collected or never was. */
  async findVersion(version: number): Promise<VersionPoint> {
    const newest = await this.newest();
    if (version < 1 || version > newest.point.version) {
      throw new NotFoundError(
        `Cannot find version ${version}: the drive has versions 1 to ${newest.point.version}`,
      );
    }
    const { contiguous, kept } = await this.kept();
    if (version >= contiguous) {
      const found = await this.#goBack(newest, contiguous, (each) => each.version <= version);
      if (found.point.version === version) return found.point;
      throw new DamagedError(
        `Cannot find version ${version}: the commits of the drive lead past it`,
      );
    }
    const found = kept.find((each) => each.version === version);
    if (found !== undefined) return found;
    const before = kept.findLast((each) => each.version < version)?.version;
    const after = kept.find((each) => each.version > version)?.version ?? contiguous;
    const nearest = before === undefined ? `is ${after}` : `are ${before} and ${after}`;
    throw new NotFoundError(
      `Cannot find version ${version}: it was collected; the nearest kept ${nearest}`,
    );
  }

  /** The newest version that is not younger. Throws NotFoundError when all are. */
  async findTime(timeMs: number): Promise<VersionPoint> {
    const newest = await this.newest();
    const { contiguous, kept } = await this.kept();
    const isOldEnough = (each: { timeMs: number }): boolean => each.timeMs <= timeMs;
    const { point } = await this.#goBack(newest, contiguous, isOldEnough);
    if (isOldEnough(point)) return point;
    const found = kept.findLast(isOldEnough);
    if (found !== undefined) return found;
    const oldest = kept[0] ?? point;
    throw new NotFoundError(
      `Cannot find a version of ${formatTime(timeMs)}: the oldest that is kept is version ${oldest.version} of ${formatTime(oldest.timeMs)}`,
    );
  }

  /** Throws NotFoundError. */
  async findSnapshot(label: string): Promise<Snapshot> {
    const bytes = await this.#tree.get(snapshotKey(label));
    if (bytes !== null) {
      const point = decodeSnapshot(bytes);
      return { label, ...point, head: this.#now(point.head) };
    }
    const labels = (await this.snapshots()).map((each) => each.label);
    const more = labels.length > LABELS_NAMED_MAX ? ', …' : '';
    const there =
      labels.length === 0
        ? 'the drive has none'
        : `the drive has ${labels
            .slice(0, LABELS_NAMED_MAX)
            .map((each) => `'${each}'`)
            .join(', ')}${more}`;
    throw new NotFoundError(`Cannot find snapshot '${label}': ${there}`);
  }

  /** In the order of their labels. */
  async snapshots(): Promise<Snapshot[]> {
    const { from, to } = rangeOfKind(RecordKind.snapshot);
    const snapshots: Snapshot[] = [];
    for await (const { key, value } of this.#tree.range(from, to)) {
      const point = decodeSnapshot(value);
      snapshots.push({ label: labelOfKey(key), ...point, head: this.#now(point.head) });
    }
    return snapshots;
  }

  /** Which versions are kept: all from `contiguous` on, and those before it that the collection or a snapshot keeps. */
  async kept(): Promise<CollectionRecord> {
    const bytes = await this.#tree.get(collectionKey);
    if (bytes === null) return { contiguous: 1, kept: [] };
    const { contiguous, kept } = decodeCollection(bytes);
    const byVersion = new Map<number, VersionPoint>();
    for (const point of [...kept, ...(await this.snapshots())]) {
      const { version, timeMs, head } = point;
      if (version >= contiguous || byVersion.has(version)) continue;
      byVersion.set(version, { version, timeMs, head: this.#now(head) });
    }
    const points = [...byVersion.values()].sort((a, b) => a.version - b.version);
    return { contiguous, kept: points };
  }

  /** Kept versions from the newest one that is at most `from` on, back. */
  async *versions(from = Number.POSITIVE_INFINITY): AsyncGenerator<KnownVersion> {
    const { contiguous, kept } = await this.kept();
    if (from >= contiguous) {
      let known = await this.newest();
      known = await this.#goBack(known, contiguous, (each) => each.version <= from);
      for (;;) {
        yield known;
        if (known.point.version <= contiguous || known.commit.previous.length === 0) break;
        known = await this.before(known);
      }
    }
    for (const point of kept.toReversed()) {
      if (point.version <= from) yield await this.#read(point.head);
    }
  }

  /** The version that a block of the tree's log came with. Goes back from `known`. */
  versionOfBlock(known: KnownVersion, block: number, oldest: number): Promise<KnownVersion> {
    // The newest one that lacks the block, and then the one after it.
    return this.#goBack(known, oldest, ({ head }, previous) => {
      return head.length <= block || previous.length <= block;
    });
  }

  /** The version before one that is not the first. */
  before(known: KnownVersion): Promise<KnownVersion> {
    return this.#readOlder(known, known.commit.previous);
  }

  /**
   * Back from a version to the newest one for which `isReached` holds, or to `oldest`. Where it holds for one it must
   * hold for all before. It is also asked of versions whose commit is not known: then `previous` has no bounds.
   */
  async #goBack(
    from: KnownVersion,
    oldest: number,
    isReached: (point: VersionPoint, previous: Head) => boolean,
  ): Promise<KnownVersion> {
    let at = from;
    while (at.point.version > oldest && !isReached(at.point, at.commit.previous)) {
      const { commit } = at;
      if (commit.previous.length === 0) break;
      const isTooNew = (point: VersionPoint): boolean =>
        point.version >= oldest && !isReached(point, NO_BOUND);
      const skip = commit.skips?.find(isTooNew);
      at = await this.#readOlder(at, skip?.head ?? commit.previous);
      if (skip !== undefined && skip.version !== at.point.version) {
        throw new DamagedError(`Cannot go back from version ${skip.version}: it is another one`);
      }
    }
    return at;
  }

  /** Throws DamagedError where the chain of commits does not lead back: it would never end. */
  async #readOlder({ point }: KnownVersion, head: Head): Promise<KnownVersion> {
    if (head.length < point.head.length) {
      const older = await this.#read(head);
      if (older.point.version < point.version) return older;
    }
    throw new DamagedError(
      `Cannot go back from version ${point.version}: what is before it is not older`,
    );
  }

  async #read(head: Head): Promise<KnownVersion> {
    const now = this.#now(head);
    const commit = await readCommit(this.#tree.at(now));
    return { point: { version: commit.version, timeMs: commit.timeMs, head: now }, commit };
  }

  /** An older head as it lies in the log now: after a fork, all that is in it belongs to the new one. */
  #now({ length }: Head): Head {
    return { length, fork: this.#tree.head.fork };
  }
}

const NO_BOUND: Head = { length: Number.POSITIVE_INFINITY, fork: 0 };

/** "2026-11-20 14:00:05", in local time. */
export function formatTime(timeMs: number): string {
  const date = new Date(timeMs);
  if (Number.isNaN(date.getTime())) return `${timeMs} ms`;
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
