/** Where records of a tree are lost, so that a check knows what it cannot know. */
import { limits } from '../../limits.js';
import {
  inoOfKey,
  isKeyOfInode,
  nameOfKey,
  RecordKind,
  rangeOfInode,
  segmentOfKey,
} from '../../tree/keys.js';
import type { LostRecords } from '../../tree/tree.js';

const INO_KEY_BYTES = 9;
const SEGMENT_KEY_BYTES = 13;

export class LostRanges {
  readonly ranges: LostRecords[] = [];
  /** Files of which a segment's record is there and cannot be read. */
  readonly #segments = new Set<number>();

  get isEmpty(): boolean {
    return this.ranges.length === 0;
  }

  add(lost: LostRecords): void {
    this.ranges.push(lost);
  }

  addSegment(ino: number): void {
    this.#segments.add(ino);
  }

  hasSegment(ino: number): boolean {
    return this.#segments.has(ino);
  }

  /** What hides a record. */
  at(key: Buffer): LostRecords | null {
    return this.ranges.find((lost) => isIn(lost, key)) ?? null;
  }

  mayHold(key: Buffer): boolean {
    return this.at(key) !== null;
  }

  /** Whether a record with `from` <= key < `to` may be lost. */
  mayHoldSome(from: Buffer, to: Buffer): boolean {
    return this.#someIn(this.ranges, from, to);
  }

  /** Of those that are not only somewhere else. */
  hidesSome(from: Buffer, to: Buffer): boolean {
    const damaged = this.ranges.filter(({ isDamaged }) => isDamaged);
    return this.#someIn(damaged, from, to);
  }

  #someIn(ranges: readonly LostRecords[], from: Buffer, to: Buffer): boolean {
    return ranges.some(({ after, before }) => {
      const beginsBelow = after === null || Buffer.compare(after, to) < 0;
      const endsAbove = before === null || Buffer.compare(before, from) > 0;
      return beginsBelow && endsAbove;
    });
  }

  /** The bytes of a file whose segments may be lost. */
  segmentsOf(ino: number, segmentsEnd: number): { start: number; end: number } {
    const { from, to } = rangeOfInode(RecordKind.segment, ino);
    let first = segmentsEnd;
    let end = 0;
    for (const { after, before } of this.ranges) {
      if (after !== null && Buffer.compare(after, to) >= 0) continue;
      if (before !== null && Buffer.compare(before, from) <= 0) continue;
      first = Math.min(first, isSegmentOf(after, ino) ? segmentOfKey(after) + 1 : 0);
      end = Math.max(end, isSegmentOf(before, ino) ? segmentOfKey(before) : segmentsEnd);
    }
    return { start: first * limits.segment_bytes, end: end * limits.segment_bytes };
  }

  describe({ after, before }: LostRecords): string {
    return `behind ${describeKey(after, 'the beginning')} and before ${describeKey(before, 'the end')}`;
  }
}

function isIn({ after, before, key }: LostRecords, wanted: Buffer): boolean {
  if (key !== null) return key.equals(wanted);
  const isBehind = after === null || Buffer.compare(after, wanted) < 0;
  return isBehind && (before === null || Buffer.compare(before, wanted) > 0);
}

function isSegmentOf(key: Buffer | null, ino: number): key is Buffer {
  return (
    key !== null &&
    key[0] === RecordKind.segment &&
    key.length === SEGMENT_KEY_BYTES &&
    inoOfKey(key) === ino
  );
}

/** "the segment 3 of inode 12". */
function describeKey(key: Buffer | null, none: string): string {
  if (key === null || key[0] === undefined) return none;
  if (key[0] === RecordKind.superblock) return 'the superblock';
  if (key[0] === RecordKind.commit) return 'the commit record';
  if (key[0] === RecordKind.snapshot)
    return `the snapshot ${JSON.stringify(key.toString('latin1', 1))}`;
  if (key.length < INO_KEY_BYTES || !isKeyOfInode(key)) return `key ${key.toString('hex')}`;
  const ino = inoOfKey(key);
  switch (key[0]) {
    case RecordKind.inode:
      return `inode ${ino}`;
    case RecordKind.entry:
      return `the entry ${JSON.stringify(nameOfKey(key))} of inode ${ino}`;
    case RecordKind.segment:
      return `a segment of inode ${ino}`;
    default:
      return `an attribute of inode ${ino}`;
  }
}
