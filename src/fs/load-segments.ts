/** Brings records of segments into memory. */
import type { ChunkReference } from '../content/content-store.js';
import { segmentKey, segmentOfKey } from '../tree/keys.js';
import { decodeSegment } from '../tree/segment-record.js';
import type { TreeView } from '../tree/tree.js';
import { extentOf } from './extents.js';
import { type Inode, newSegment, type Segment } from './inode.js';

/** Segments loaded with one range scan at most. */
export const SEGMENTS_PER_SCAN_MAX = 256;

/** `onChunk` is told of the chunks in it. Throws DamagedError. */
export function loadedSegment(
  ino: number,
  index: number,
  bytes: Buffer,
  onChunk: (chunk: ChunkReference) => void,
): Segment {
  const records = decodeSegment(ino, index, bytes);
  for (const { chunk } of records) if (chunk !== null) onChunk(chunk);
  return { ...newSegment(), extents: records.map(extentOf) };
}

/** The first segment at or behind `index` that may hold data, or -1. Skips what the tree has no record of. */
export async function nextSegment(view: TreeView, inode: Inode, index: number): Promise<number> {
  let next = -1;
  for (const [at, { extents }] of inode.data?.segments ?? []) {
    if (at >= index && extents.length > 0 && (next === -1 || at < next)) next = at;
  }
  const end = Math.min(inode.storedSegmentsEnd, next === -1 ? Number.POSITIVE_INFINITY : next);
  if (index >= end) return next;
  const range = view.range(segmentKey(inode.ino, index), segmentKey(inode.ino, end));
  for await (const { key } of range) {
    const stored = segmentOfKey(key);
    // Memory knows better: it may have been emptied.
    if (!inode.data?.segments.has(stored)) return stored;
  }
  return next;
}
