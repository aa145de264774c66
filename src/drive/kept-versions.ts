/** Which versions of a drive its retention policy keeps. */
import { readCommit } from '../fs/read-commit.js';
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

/** `versions`: newest first, at least one. The newest is kept in any case. */
export async function chooseKept(
  versions: AsyncIterable<VersionPoint> | Iterable<VersionPoint>,
  rules: KeepRules,
): Promise<KeptVersions> {
  const { retention, nowMs, snapshots, inUse } = rules;
  const kept: KeptVersions = { lengths: [], record: { contiguous: 1, kept: [] }, dropped: 0 };
  const dailyFromMs = nowMs - retention.keepMs - retention.keepDailyMs;
  const days = new Set<number>();
  let isContiguous = true;
  let isPast = false;
  let last: VersionPoint | null = null;
  for await (const point of versions) {
    // An older one comes behind a gap.
    if (last !== null && point.version < last.version - 1) isContiguous = false;
    const day = Math.floor(point.timeMs / DAY_MS);
    // The one before the time that is kept whole is what the drive was when that time began.
    const isRecent = last === null || retention.keepAll || (retention.keepMs > 0 && !isPast);
    isPast ||= point.timeMs <= nowMs - retention.keepMs;
    const isOfDay = !days.has(day) && point.timeMs > dailyFromMs;
    const isLabelled = retention.keepSnapshots && snapshots.has(point.version);
    days.add(day);
    if (isRecent || isOfDay || isLabelled || inUse.has(point.head.length)) {
      kept.lengths.push(point.head.length);
      if (isContiguous) kept.record.contiguous = point.version;
      else kept.record.kept.push(point);
    } else {
      isContiguous = false;
      kept.dropped++;
    }
    last = point;
  }
  kept.record.kept.reverse();
  return kept;
}
