/**
 * The extents of one segment: an ascending list of stretches that do not overlap. Pure functions on arrays.
 * Offsets count bytes from the start of the segment.
 */
import type { ChunkReference } from '../content/content-store.js';
import { limits } from '../limits.js';
import type { ExtentRecord } from '../tree/segment-record.js';

/**
 * Whole segments of memory to use again. Fresh memory costs more than the copy into it: the system clears it page by
 * page, and the runtime collects garbage for every few megabytes of it.
 */
const pool: Buffer[] = [];
const POOLED_BYTES = limits.segment_bytes;

/** Lets the memory go that is kept for later writes. */
export function releasePooledMemory(): void {
  pool.length = 0;
}

function takeMemory(bytes: number): Buffer {
  if (bytes <= POOLED_BYTES / 2 || bytes > POOLED_BYTES) return Buffer.allocUnsafeSlow(bytes);
  return pool.pop() ?? Buffer.allocUnsafeSlow(POOLED_BYTES);
}

/** Written data that is in no chunk yet. */
export class MemoryBuffer {
  /** May be larger than what is used. */
  bytes: Buffer;
  /** Bytes used. */
  length: number;
  #holds = 0;
  #unused = false;

  /** Takes a copy of `data`, with room for `capacity` bytes. */
  constructor(data: Buffer, capacity: number) {
    this.bytes = takeMemory(Math.max(capacity, data.length));
    this.length = data.copy(this.bytes);
  }

  /** A chunk on its way to the log lies in it. */
  hold(): void {
    this.#holds++;
  }

  /** The counterpart of {@link MemoryBuffer.hold}. */
  release(): void {
    this.#holds--;
    if (this.#unused) this.#recycle();
  }

  /** No extent refers to it any more. */
  recycle(): void {
    this.#unused = true;
    this.#recycle();
  }

  #recycle(): void {
    if (this.#holds > 0) return;
    if (this.bytes.length !== POOLED_BYTES || pool.length >= limits.pooled_segments_max) return;
    pool.push(this.bytes);
    this.bytes = Buffer.alloc(0);
    this.length = 0;
  }

  /** Adds `data` at the end, doubling the room up to `capacityMax` as needed. */
  append(data: Buffer, capacityMax: number): void {
    const length = this.length + data.length;
    if (length > this.bytes.length) {
      const capacity = Math.min(
        Math.max(length, 2 * this.bytes.length),
        Math.max(capacityMax, length),
      );
      const grown = takeMemory(capacity);
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    data.copy(this.bytes, this.length);
    this.length = length;
  }
}

/** Allocated space that was never written (fallocate): reads as zeros. */
export const UNWRITTEN = Symbol('unwritten');

export type Source = ChunkReference | MemoryBuffer | typeof UNWRITTEN;

export interface Extent {
  start: number;
  length: number;
  source: Source;
  /** First byte of the source that belongs to the extent. */
  skip: number;
}

/** An extent as the tree records it. */
export function extentOf(record: ExtentRecord): Extent {
  return {
    start: record.start,
    length: record.length,
    source: record.chunk ?? UNWRITTEN,
    skip: record.skip,
  };
}

/** An extent as the tree is to record it, which cannot be data in memory. */
export function recordOf(extent: Extent): ExtentRecord {
  if (isMemory(extent)) throw new Error('A record refers to data that is in no chunk');
  const { start, length, skip } = extent;
  return { start, length, chunk: chunkOf(extent), skip };
}

/** Index of the first extent that ends behind `offset`; the length of the list when none does. */
export function firstEndingBehind(extents: readonly Extent[], offset: number): number {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const extent = extents[middle] as Extent;
    if (extent.start + extent.length > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What `punch` took away, in bytes. */
export interface Removed {
  bytes: number;
  /** The part of it that was written data in memory. */
  memoryBytes: number;
}

/** Makes [start, end) a hole. Extents that reach over an edge are cut. */
export function punch(extents: Extent[], start: number, end: number): Removed {
  const removed = { bytes: 0, memoryBytes: 0 };
  const first = firstEndingBehind(extents, start);
  const kept: Extent[] = [];
  let last = first;
  for (; last < extents.length; last++) {
    const extent = extents[last] as Extent;
    if (extent.start >= end) break;
    const extentEnd = extent.start + extent.length;
    const cutStart = Math.max(start, extent.start);
    const cutEnd = Math.min(end, extentEnd);
    removed.bytes += cutEnd - cutStart;
    if (extent.source instanceof MemoryBuffer) removed.memoryBytes += cutEnd - cutStart;
    if (extent.start < start) {
      kept.push({ ...extent, length: start - extent.start });
    }
    if (extentEnd > end) {
      const cut = end - extent.start;
      kept.push({ ...extent, start: end, length: extentEnd - end, skip: extent.skip + cut });
    }
  }
  if (last > first) extents.splice(first, last - first, ...kept);
  return removed;
}

/** Puts an extent where there is a hole. */
export function insert(extents: Extent[], extent: Extent): void {
  const last = extents[extents.length - 1];
  if (last === undefined || last.start < extent.start) {
    extents.push(extent);
    return;
  }
  extents.splice(firstEndingBehind(extents, extent.start), 0, extent);
}

/** The holes in [start, end) as [start, end) pairs. */
export function holes(extents: readonly Extent[], start: number, end: number): [number, number][] {
  const found: [number, number][] = [];
  let at = start;
  for (let i = firstEndingBehind(extents, start); i < extents.length; i++) {
    const extent = extents[i] as Extent;
    if (extent.start >= end) break;
    if (extent.start > at) found.push([at, extent.start]);
    at = extent.start + extent.length;
  }
  if (at < end) found.push([at, end]);
  return found;
}

/** The bytes of a memory extent. */
export function memoryBytes(extent: Extent & { source: MemoryBuffer }): Buffer {
  return extent.source.bytes.subarray(extent.skip, extent.skip + extent.length);
}

export function isMemory(extent: Extent): extent is Extent & { source: MemoryBuffer } {
  return extent.source instanceof MemoryBuffer;
}

/** The chunk that an extent's bytes are in; null for those in memory, and where nothing was written. */
export function chunkOf({ source }: Extent): ChunkReference | null {
  return source === UNWRITTEN || source instanceof MemoryBuffer ? null : source;
}
