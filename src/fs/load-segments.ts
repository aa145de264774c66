/** Brings records of segments into memory. */
import type { ChunkReference } from '../content/content-store.js';
import { decodeSegment } from '../tree/segment-record.js';
import { extentOf } from './extents.js';
import { newSegment, type Segment } from './inode.js';

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
