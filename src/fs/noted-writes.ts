/**
 * What of a file's written data the sync journal has. It notes data as it was written: hashing it and finding a place for it is
 * left to the commit, which makes longer chunks of it. Once noted, it is not noted again while it stays what the file has there.
 */
import { limits } from '../limits.js';
import { isMemory, memoryBytes } from './extents.js';
import type { FileData } from './inode.js';
import { type Inode, segmentOf } from './inode.js';

const SEGMENT = limits.segment_bytes;

/** Of a file, counted in bytes from its start. */
interface Stretch {
  start: number;
  end: number;
}

export class NotedWrites {
  /** The entries behind one commit: those that have something of this file. */
  #series: number | null = null;
  /** Written since the last of them. */
  #written: Stretch[] = [];
  /** What these entries have and what was written since is all that is in memory, and lies as it was written. */
  #isExact = false;

  /** [start, end) was written. */
  wrote(start: number, end: number): void {
    if (!this.#isExact) return;
    const last = this.#written.at(-1);
    if (last !== undefined && start <= last.end && end >= last.start) {
      last.start = Math.min(last.start, start);
      last.end = Math.max(last.end, end);
    } else if (this.#written.length < limits.noted_stretches_max) {
      this.#written.push({ start, end });
    } else {
      this.lost();
    }
  }

  /** Data in memory came or went in another way: as a hole, as chunks, from elsewhere. */
  lost(): void {
    this.#isExact = false;
    this.#written = [];
  }

  /** Whether an entry of the series has something of the file. */
  isIn(series: number): boolean {
    return this.#series === series;
  }

  /**
   * What the next entry is to have: null for all that is in memory. What older entries of the series have is to be forgotten
   * then.
   */
  take(series: number): readonly Stretch[] | null {
    const written = this.#isExact && this.isIn(series) ? this.#written : null;
    this.#series = series;
    this.#written = [];
    this.#isExact = true;
    return written;
  }

  /** No entry has anything of the file that counts. */
  forget(): void {
    this.#series = null;
    this.lost();
  }
}

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

/** Adds what the next entry of the series is to have of a file. Its data is not copied. */
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
  const all = [{ start: 0, end: Number.POSITIVE_INFINITY }];
  for (const stretch of written ?? all) addMemory(inode.ino, data, stretch, notes.writes);
}

/** Adds what is in memory of a stretch, ascending. */
function addMemory(
  ino: number,
  data: FileData,
  { start, end }: Stretch,
  writes: NotedWrite[],
): void {
  for (const index of [...data.memorySegments].sort((a, b) => a - b)) {
    const base = index * SEGMENT;
    if (index < segmentOf(start) || base >= end) continue;
    for (const extent of data.segments.get(index)?.extents ?? []) {
      if (!isMemory(extent)) continue;
      const at = base + extent.start;
      const from = Math.max(start, at);
      const to = Math.min(end, at + extent.length);
      if (from >= to) continue;
      writes.push({ ino, offset: from, data: memoryBytes(extent).subarray(from - at, to - at) });
    }
  }
}
