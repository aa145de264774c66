/** What an entry of the sync journal has of files' written data, which is in no chunk yet. */
import { limits } from '../limits.js';
import { type Extent, firstEndingBehind, isMemory, memoryBytes } from './extents.js';
import { type FileData, type Inode, segmentOf } from './inode.js';
import type { Stretch } from './noted-writes.js';

const SEGMENT = limits.segment_bytes;

/** Written data of a file. */
export interface NotedWrite {
  ino: number;
  /** In the file. */
  offset: number;
  data: Buffer;
}

/** What an entry of the journal says of files' data. */
export interface WriteNotes {
  /** Of these files, what entries before it have does not count any more. */
  forgotten: number[];
  /** A later one goes over an earlier one. */
  writes: NotedWrite[];
}

/** Whether what is in memory of a file is noted as it is; else it is sealed. */
export function isNotedAsWritten(inode: Inode): boolean {
  const { data, size } = inode;
  if (data === null || data.memoryBytes === 0 || !inode.isFile) return false;
  // One without a name has no record, and a small one's content is in its record.
  if (inode.nlink === 0 && !inode.persisted) return false;
  return size > limits.inline_file_bytes_max || inode.segmentsEnd > 1;
}

/**
 * Adds what the next entry of the series is to have of a file. Its data is not copied. Throws RangeError for a segment in so many
 * pieces that its record might be too long once they are chunks: nobody finds that out before the next mount else.
 */
export function noteWrites(inode: Inode, series: number, notes: WriteNotes): void {
  const { data } = inode;
  if (data === null) return;
  const { noted } = data;
  const wasIn = noted.isIn(series);
  if (!isNotedAsWritten(inode)) {
    if (wasIn) notes.forgotten.push(inode.ino);
    noted.forget();
    return;
  }
  const written = noted.take(series);
  if (written === null && wasIn) notes.forgotten.push(inode.ino);
  const stretches = written ?? [...data.memorySegments].map(wholeSegment);
  for (const stretch of stretches) addMemory(inode.ino, data, stretch, notes.writes);
}

function wholeSegment(index: number): Stretch {
  return { start: index * SEGMENT, end: (index + 1) * SEGMENT };
}

/** Adds what is in memory of a stretch. */
function addMemory(
  ino: number,
  data: FileData,
  { start, end }: Stretch,
  writes: NotedWrite[],
): void {
  for (let index = segmentOf(start); index * SEGMENT < end; index++) {
    const base = index * SEGMENT;
    const extents = data.segments.get(index)?.extents ?? [];
    if (extents.length > 2 * limits.segment_extents_max)
      throw new RangeError(`Segment ${index} of inode ${ino} is in ${extents.length} pieces`);
    for (let i = firstEndingBehind(extents, start - base); i < extents.length; i++) {
      const extent = extents[i] as Extent;
      const at = base + extent.start;
      if (at >= end) break;
      if (!isMemory(extent)) continue;
      const from = Math.max(start, at);
      const to = Math.min(end, at + extent.length);
      writes.push({ ino, offset: from, data: memoryBytes(extent).subarray(from - at, to - at) });
    }
  }
}
