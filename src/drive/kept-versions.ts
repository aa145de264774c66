/** Which versions of a drive its retention policy keeps. */
import { readCommit } from '../fs/read-commit.js';
import { limits } from '../limits.js';
import { type CollectionRecord, decodeCollection } from '../tree/collection-record.js';
import { collectionKey, RecordKind, rangeOfKind } from '../tree/keys.js';
import type { Retention } from '../tree/retention-record.js';
import { decodeSnapshot, labelOfKey } from '../tree/snapshot-record.js';
import type { Head, Tree, TreeView } from '../tree/tree.js';
import type { VersionPoint } from '../tree/version-point.js';

const DAY_MS = 86_400_000;
const LOCAL = { localOnly: true };

export interface KeptVersions {
  /** Heads of all versions that are kept, by the lengths of the tree's log. */
  lengths: number[];
  /** What the collection record is to say. */
  record: CollectionRecord;
  /** Versions that were kept before and are no longer. */
  dropped: number;
}

export interface KeepRules {
  retention: Retention;
  nowMs: number;
  /** Numbers of versions that have a label. */
  snapshots: ReadonlySet<number>;
  /** Versions that somebody reads, by the lengths of the tree's log. */
  inUse: ReadonlySet<number>;
}

/** Versions that can be read, newest first. Throws what reading the tree throws. */
export async function* versionsOf(tree: Tree, newest: Head): AsyncGenerator<VersionPoint> {
  const record = await readCollection(tree.at(newest));
  let head = newest;
  for (;;) {
    const { version, timeMs, previous } = await readCommit(tree.at(head));
    yield { version, timeMs, head };
    if (previous.length === 0 || previous.length >= head.length) return;
    if (record !== null && version <= record.contiguous) break;
    head = previous;
  }
  yield* [...(record?.kept ?? [])].reverse();
}

/** null: all versions are kept. */
export async function readCollection(view: TreeView): Promise<CollectionRecord | null> {
  const bytes = await view.get(collectionKey, LOCAL);
  return bytes === null ? null : decodeCollection(bytes);
}

/** Snapshots by their labels. */
export async function readSnapshots(view: TreeView): Promise<Map<string, VersionPoint>> {
  const snapshots = new Map<string, VersionPoint>();
  const { from, to } = rangeOfKind(RecordKind.snapshot);
  for await (const { key, value } of view.range(from, to, LOCAL)) {
    snapshots.set(labelOfKey(key), decodeSnapshot(value));
  }
  return snapshots;
}

/** Keeps older versions besides: those that got a label, or a reader, since it was chosen what is kept. */
export function keepAlso(kept: KeptVersions, points: readonly VersionPoint[]): KeptVersions {
  const { contiguous } = kept.record;
  const known = new Set(kept.lengths);
  const more = new Map<number, VersionPoint>();
  for (const point of points) {
    if (point.version < contiguous && !known.has(point.head.length)) more.set(point.version, point);
  }
  const older = [...kept.record.kept, ...more.values()];
  return {
    lengths: [...kept.lengths, ...[...more.values()].map(({ head }) => head.length)],
    record: { contiguous, kept: older.sort((a, b) => a.version - b.version) },
    dropped: kept.dropped - more.size,
  };
}

/**
 * How old a version is: within the time that is kept whole; so, too, though its own time says something else, since an
 * older one is; or older.
 */
type Age = 'recent' | 'misdated' | 'old';

/**
 * `versions`: newest first, at least one. The newest is kept in any case. Each goes by its own time, which a clock may have
 * told wrong: that says nothing about the versions before it.
 */
export async function chooseKept(
  versions: AsyncIterable<VersionPoint> | Iterable<VersionPoint>,
  rules: KeepRules,
): Promise<KeptVersions> {
  const { retention, nowMs } = rules;
  const choice = new Choice(rules);
  // They seem to be older than what is kept whole, until one behind them tells more.
  const old: VersionPoint[] = [];
  for await (const point of versions) {
    const isRecent = retention.keepMs > 0 && point.timeMs > nowMs - retention.keepMs;
    if (isRecent) {
      // They were made after it, whatever the clock said then. A time that has not come yet proves nothing.
      const age = point.timeMs <= nowMs ? 'misdated' : 'old';
      for (const newer of old.splice(0)) choice.add(newer, age);
      choice.add(point, 'recent');
    } else {
      old.push(point);
      if (old.length > limits.collect_misdated_versions_max) {
        choice.add(old.shift() as VersionPoint, 'old');
      }
    }
  }
  for (const point of old) choice.add(point, 'old');
  return choice.end();
}

/** Takes versions one by one, newest first. */
class Choice {
  readonly #rules: KeepRules;
  readonly #kept: KeptVersions = {
    lengths: [],
    record: { contiguous: 1, kept: [] },
    dropped: 0,
  };
  readonly #days = new Set<number>();
  #isContiguous = true;
  #last: { version: number; age: Age } | null = null;

  constructor(rules: KeepRules) {
    this.#rules = rules;
  }

  add(point: VersionPoint, age: Age): void {
    const kept = this.#kept;
    // An older one comes behind a gap.
    if (this.#last !== null && point.version < this.#last.version - 1) this.#isContiguous = false;
    if (this.#isKept(point, age)) {
      kept.lengths.push(point.head.length);
      if (this.#isContiguous) kept.record.contiguous = point.version;
      else kept.record.kept.push(point);
    } else {
      this.#isContiguous = false;
      kept.dropped++;
    }
    if (age !== 'misdated') this.#days.add(dayOf(point));
    this.#last = { version: point.version, age };
  }

  end(): KeptVersions {
    this.#kept.record.kept.reverse();
    return this.#kept;
  }

  #isKept(point: VersionPoint, age: Age): boolean {
    const { retention, nowMs, snapshots, inUse } = this.#rules;
    if (this.#last === null || retention.keepAll || age !== 'old') return true;
    // The one before the time that is kept whole is what the drive was when that time began.
    if (this.#last.age !== 'old') return true;
    const dailyFromMs = nowMs - retention.keepMs - retention.keepDailyMs;
    if (point.timeMs > dailyFromMs && !this.#days.has(dayOf(point))) return true;
    if (retention.keepSnapshots && snapshots.has(point.version)) return true;
    return inUse.has(point.head.length);
  }
}

function dayOf({ timeMs }: VersionPoint): number {
  return Math.floor(timeMs / DAY_MS);
}
