/** Where segments of files are lost, a record says so: without it the file would read as zeros there. */
import { DamagedError, LimitError } from '../../errors.js';
import { inoOfKey, RecordKind, segmentKey, segmentOfKey } from '../../tree/keys.js';
import { decodeSegment, LOST_SEGMENT } from '../../tree/segment-record.js';
import type { LostRecords, TreeRecord } from '../../tree/tree.js';
import type { CheckedInodes } from './checked-inodes.js';

/** Segments of a MiB. A file with huge holes could have any number. */
const MARKED_MAX = 1_000_000;

/**
 * Marks for all segments that may be lost; of some, `older` versions were found, which come behind the marks. Throws
 * LimitError when they are too many.
 */
export function* lostSegments(
  lost: LostRecords,
  inodes: CheckedInodes,
  older: readonly TreeRecord[],
): Generator<TreeRecord> {
  if (lost.key !== null) {
    if (lost.key[0] === RecordKind.segment) yield { key: lost.key, value: LOST_SEGMENT };
    return;
  }
  const after = placeOf(lost.after, { ino: 0, index: -1 });
  const before = placeOf(lost.before, { ino: Number.POSITIVE_INFINITY, index: 0 });
  if (after === null || before === null) return;
  let marked = 0;
  const mark = function* (ino: number, first: number, end: number): Generator<TreeRecord> {
    for (let index = first; index < end; index++) {
      if (++marked > MARKED_MAX) {
        throw new LimitError('Cannot mend the tree: a file with too many holes lost its segments');
      }
      yield { key: segmentKey(ino, index), value: LOST_SEGMENT };
    }
  };
  // A file without an inode record is known by the segments around the gap only.
  if (after.ino === before.ino && inodes.find(after.ino) < 0) {
    yield* mark(after.ino, after.index + 1, before.index);
    return;
  }
  const foundBytes = extentBytesOf(older);
  for (let row = 0; row < inodes.length; row++) {
    const ino = inodes.get(row, 'ino');
    if (ino < after.ino || ino > before.ino || !inodes.isFile(row)) continue;
    const found = inodes.get(row, 'extentBytes') + (foundBytes.get(ino) ?? 0);
    if (inodes.get(row, 'allocatedBytes') <= found) continue;
    if (inodes.get(row, 'inlineBytes') > 0) continue;
    const first = ino === after.ino ? after.index + 1 : 0;
    yield* mark(ino, first, ino === before.ino ? before.index : inodes.get(row, 'segmentsEnd'));
  }
}

/** By inode. */
function extentBytesOf(records: readonly TreeRecord[]): Map<number, number> {
  const bytes = new Map<number, number>();
  for (const { key, value } of records) {
    if (key[0] !== RecordKind.segment) continue;
    const ino = inoOfKey(key);
    let sum = bytes.get(ino) ?? 0;
    try {
      for (const { length } of decodeSegment(ino, segmentOfKey(key), value)) sum += length;
    } catch (error) {
      // It stays as it is, and reading it is an error.
      if (!(error instanceof DamagedError)) throw error;
    }
    bytes.set(ino, sum);
  }
  return bytes;
}

interface Place {
  ino: number;
  index: number;
}

/** Where among the segments a key is; null when none can be on this side of it. */
function placeOf(key: Buffer | null, end: Place): Place | null {
  if (key === null || key[0] === undefined) return end;
  if (key[0] === RecordKind.segment) return { ino: inoOfKey(key), index: segmentOfKey(key) };
  const isBelow = key[0] < RecordKind.segment;
  // The lower bound is below all segments, or the upper one above all; else there is none in between.
  return isBelow === (end.ino === 0) ? end : null;
}
