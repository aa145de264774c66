/**
 * Content of regular files: writes go to memory, reads come from memory, inline content or chunks.
 * Methods are synchronous over what is in memory (see `not-in-memory.ts`), except that reading chunks may wait.
 */
import type { ChunkReference, ContentStore, ReadOptions } from '../content/content-store.js';
import { NoSpaceError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { copyOf } from '../log/copy-bytes.js';
import {
  type Extent,
  firstEndingBehind,
  holes,
  insert,
  isMemory,
  MemoryBuffer,
  memoryBytes,
  punch,
  UNWRITTEN,
} from './extents.js';
import { type Inode, type Segment, segmentOf } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { requireNotCollected } from './kept-inodes.js';
import { NotInMemory } from './not-in-memory.js';
import { PosixError } from './posix-error.js';

const SEGMENT = limits.segment_bytes;
const ZEROS = Buffer.alloc(SEGMENT);
/** Dropping more segments than this at once does not load them only to count what they held. */
const COUNTED_SEGMENTS_MAX = 4096;

/** Told of every change in the amount of data that is in no chunk yet. */
export interface DirtyBytesAccount {
  add(bytes: number): void;
}

export class FileContents {
  readonly #table: InodeTable;
  readonly #content: ContentStore;
  readonly #account: DirtyBytesAccount;
  readonly #join: (ino: number, index: number) => Promise<void>;

  /** `join` joins the extents of a segment; see `defragmenter.ts`. */
  constructor(
    table: InodeTable,
    content: ContentStore,
    account: DirtyBytesAccount,
    join: (ino: number, index: number) => Promise<void>,
  ) {
    this.#table = table;
    this.#content = content;
    this.#account = account;
    this.#join = join;
  }

  /**
   * Up to `length` bytes from `offset`; fewer only at the end of the file. Holes are zeros. What is answered at once
   * must be used before anything is waited for.
   * Throws NotInMemory, and what reading a chunk throws.
   */
  read(
    inode: Inode,
    offset: number,
    length: number,
    options: ReadOptions,
  ): Buffer | Buffer[] | Promise<Buffer[]> {
    const end = Math.min(offset + length, inode.size);
    if (offset >= end) return [];
    if (inode.inline !== null) return inode.inline.subarray(offset, end);
    this.#table.needSegments(inode, segmentOf(offset), segmentOf(end - 1) + 1);
    const pieces: (Buffer | Promise<Buffer>)[] = [];
    let waits = false;
    let at = offset;
    while (at < end) {
      const index = segmentOf(at);
      const base = index * SEGMENT;
      const stop = Math.min(end, base + SEGMENT);
      const { extents } = this.#table.needSegment(inode, index);
      for (let i = firstEndingBehind(extents, at - base); at < stop; i++) {
        const extent = extents[i];
        const start = extent === undefined ? stop : Math.min(stop, base + extent.start);
        if (start > at) {
          pieces.push(ZEROS.subarray(0, start - at));
          at = start;
        }
        if (extent === undefined || at >= stop) continue;
        const skipped = at - base - extent.start;
        const count = Math.min(extent.length - skipped, stop - at);
        const piece = this.#readExtent(inode, extent, skipped, count, options);
        if (piece instanceof Promise) waits = true;
        pieces.push(piece);
        at += count;
      }
    }
    if (!waits) return pieces as Buffer[];
    // What is at hand is so until something is waited for.
    return Promise.all(
      pieces.map((piece) => (Buffer.isBuffer(piece) ? Buffer.from(piece) : piece)),
    );
  }

  #readExtent(
    inode: Inode,
    extent: Extent,
    skipped: number,
    count: number,
    options: ReadOptions,
  ): Buffer | Promise<Buffer> {
    if (extent.source === UNWRITTEN) return ZEROS.subarray(0, count);
    if (isMemory(extent)) {
      // A copy: the buffer may be written to before the answer is out.
      return Buffer.from(memoryBytes(extent).subarray(skipped, skipped + count));
    }
    const chunk = extent.source as ChunkReference;
    if (inode.kept !== null) return this.#readOlder(chunk, extent.skip + skipped, count, options);
    return this.#content.read(chunk, extent.skip + skipped, count, options);
  }

  /** A chunk of an inode that the drive has no more. Throws ESTALE, too. */
  async #readOlder(
    chunk: ChunkReference,
    offset: number,
    length: number,
    options: ReadOptions,
  ): Promise<Buffer> {
    if (!this.#content.isLocal(chunk)) await requireNotCollected(this.#table.view, chunk);
    try {
      const bytes = this.#content.read(chunk, offset, length, options);
      return bytes instanceof Promise ? await bytes : copyOf(bytes);
    } catch (error) {
      if (error instanceof UnavailableError) await requireNotCollected(this.#table.view, chunk);
      throw error;
    }
  }

  /** Writes `data`, growing the file when needed; copies what it keeps. Throws NotInMemory, EFBIG. */
  write(inode: Inode, offset: number, data: Buffer): void {
    const end = offset + data.length;
    if (end > limits.file_bytes_max) throw new PosixError('EFBIG');
    if (data.length === 0) return;
    this.#table.needSegments(inode, segmentOf(offset), segmentOf(end - 1) + 1);
    this.#requireJoined(inode, segmentOf(offset), segmentOf(end - 1));
    this.#requireMemory(inode);
    this.toExtents(inode);
    let done = 0;
    while (done < data.length) {
      const index = segmentOf(offset + done);
      const start = offset + done - index * SEGMENT;
      const count = Math.min(data.length - done, SEGMENT - start);
      this.#writeSegment(inode, index, start, data.subarray(done, done + count));
      done += count;
    }
    if (end > inode.size) inode.size = end;
  }

  #writeSegment(inode: Inode, index: number, start: number, data: Buffer): void {
    const segment = this.#table.segmentForWriting(inode, index);
    const fileData = this.#table.dataOf(inode);
    const { extents } = segment;
    const base = index * SEGMENT;
    fileData.noted.wrote(base + start, base + start + data.length);
    const at = firstEndingBehind(extents, start - 1);
    const extent = extents[at];
    if (extent !== undefined && isMemory(extent)) {
      const within = start - extent.start;
      if (within >= 0 && within + data.length <= extent.length) {
        data.copy(extent.source.bytes, extent.skip + within);
        return;
      }
      const next = extents[at + 1];
      const appends =
        within === extent.length && extent.skip + extent.length === extent.source.length;
      if (appends && (next === undefined || next.start >= start + data.length)) {
        extent.source.append(data, SEGMENT - extent.start + extent.skip);
        extent.length += data.length;
        this.#added(inode, data.length, data.length);
        return;
      }
    }
    const removed = punch(extents, start, start + data.length);
    const source = new MemoryBuffer(data, data.length);
    insert(extents, { start, length: data.length, source, skip: 0 });
    fileData.memorySegments.add(index);
    this.#added(inode, data.length - removed.bytes, data.length - removed.memoryBytes);
  }

  #added(inode: Inode, allocated: number, memory: number): void {
    inode.allocatedBytes = Math.max(0, inode.allocatedBytes + allocated);
    this.#table.dataOf(inode).memoryBytes += memory;
    this.#account.add(memory);
  }

  /** Moves inline content into a segment, because it is about to change. */
  toExtents(inode: Inode): void {
    const { inline } = inode;
    if (inline === null || !inode.isFile) return;
    inode.inline = null;
    inode.allocatedBytes = 0;
    if (inline.length > 0) this.#writeSegment(inode, 0, 0, inline);
  }

  /**
   * Cuts or extends the file; what is added is a hole. Space that was allocated behind the new end goes in any case: the
   * size here may lag behind what the kernel holds, so a file that seems to grow may be cut. Throws NotInMemory, EFBIG.
   */
  truncate(inode: Inode, size: number): void {
    if (size > limits.file_bytes_max) throw new PosixError('EFBIG');
    if (inode.inline === null || size < inode.size) this.#cut(inode, size);
    else if (size > inode.size) this.toExtents(inode);
    inode.size = size;
  }

  #cut(inode: Inode, size: number): void {
    const keptEnd = Math.ceil(size / SEGMENT);
    const dropped = inode.segmentsEnd - keptEnd;
    const counted = dropped <= COUNTED_SEGMENTS_MAX;
    if (size > 0) {
      if (counted) this.#table.needSegments(inode, Math.max(0, keptEnd - 1), inode.segmentsEnd);
      else if (keptEnd > 0) this.#table.needSegments(inode, keptEnd - 1, keptEnd);
    }
    const many = counted ? null : this.#table.needStoredSegments(inode, keptEnd);
    this.toExtents(inode);
    if (many !== null) {
      // Of a huge file only what is there: its range may be a million times as large.
      const inMemory = [...(inode.data?.segments.keys() ?? [])].filter((index) => index >= keptEnd);
      for (const index of new Set([...many, ...inMemory])) {
        this.#punchSegment(inode, index, 0, SEGMENT);
      }
    }
    for (let index = keptEnd; many === null && index < inode.segmentsEnd; index++) {
      this.#punchSegment(inode, index, 0, SEGMENT);
    }
    const within = size - (keptEnd - 1) * SEGMENT;
    if (keptEnd > 0 && within < SEGMENT && keptEnd - 1 < inode.segmentsEnd) {
      this.#punchSegment(inode, keptEnd - 1, within, SEGMENT);
    }
    inode.segmentsEnd = Math.min(inode.segmentsEnd, keptEnd);
    if (size === 0) inode.allocatedBytes = 0;
    else if (!counted) inode.allocatedBytes = Math.min(inode.allocatedBytes, size);
  }

  #punchSegment(inode: Inode, index: number, start: number, end: number): void {
    const known = inode.data?.segments.get(index);
    if (known !== undefined && known.extents.length === 0) return;
    const segment = this.#table.segmentForWriting(inode, index);
    const removed = punch(segment.extents, start, end);
    if (removed.memoryBytes > 0) inode.data?.noted.lost();
    this.#added(inode, -removed.bytes, -removed.memoryBytes);
    if (!segment.extents.some(isMemory)) inode.data?.memorySegments.delete(index);
  }

  /** Makes [start, end) within one segment a hole. Throws NotInMemory. */
  punchWithin(inode: Inode, start: number, end: number): void {
    const index = segmentOf(start);
    if (index >= inode.segmentsEnd && inode.inline === null) return;
    this.#table.needSegments(inode, index, index + 1);
    this.#requireJoined(inode, index, index);
    this.toExtents(inode);
    if (index >= inode.segmentsEnd) return;
    this.#punchSegment(inode, index, start - index * SEGMENT, end - index * SEGMENT);
  }

  /** Allocates the holes in [start, end) within one segment. Throws NotInMemory. */
  allocateWithin(inode: Inode, start: number, end: number): void {
    const index = segmentOf(start);
    this.#table.needSegments(inode, index, index + 1);
    this.#requireJoined(inode, index, index);
    this.#requireMemory(inode);
    this.toExtents(inode);
    const base = index * SEGMENT;
    const gaps = holes(this.#table.needSegment(inode, index).extents, start - base, end - base);
    if (gaps.length === 0) return;
    const segment = this.#table.segmentForWriting(inode, index);
    for (const [from, to] of gaps) {
      insert(segment.extents, { start: from, length: to - from, source: UNWRITTEN, skip: 0 });
      this.#added(inode, to - from, 0);
    }
  }

  /**
   * Shares the extents of [offset, offset + length) of one file with another stretch, without copying chunks.
   * Both stretches lie within one segment each, and do not overlap. Throws NotInMemory.
   */
  shareWithin(from: Inode, offset: number, to: Inode, toOffset: number, length: number): void {
    const fromIndex = segmentOf(offset);
    const toIndex = segmentOf(toOffset);
    this.#table.needSegments(from, fromIndex, fromIndex + 1);
    this.#table.needSegments(to, toIndex, toIndex + 1);
    if (toOffset + length > limits.file_bytes_max) throw new PosixError('EFBIG');
    // Both, or a copy of copies would be in more pieces each time.
    this.#requireJoined(from, fromIndex, fromIndex);
    this.#requireJoined(to, toIndex, toIndex);
    this.#requireMemory(to);
    this.toExtents(from);
    this.toExtents(to);
    const start = offset - fromIndex * SEGMENT;
    const copied: Extent[] = [];
    for (const extent of this.#table.needSegment(from, fromIndex).extents) {
      const first = Math.max(start, extent.start);
      const last = Math.min(start + length, extent.start + extent.length);
      if (first < last) {
        const skip = extent.skip + first - extent.start;
        copied.push({ start: first, length: last - first, source: extent.source, skip });
      }
    }
    const segment = this.#table.segmentForWriting(to, toIndex);
    const target = toOffset - toIndex * SEGMENT;
    const removed = punch(segment.extents, target, target + length);
    this.#table.dataOf(to).noted.lost();
    let added = 0;
    let memory = 0;
    for (const extent of copied) {
      const place = extent.start - start + target;
      if (isMemory(extent)) {
        const bytes = memoryBytes(extent);
        const source = new MemoryBuffer(bytes, bytes.length);
        insert(segment.extents, { start: place, length: extent.length, source, skip: 0 });
        this.#table.dataOf(to).memorySegments.add(toIndex);
        memory += extent.length;
      } else {
        insert(segment.extents, { ...extent, start: place });
      }
      added += extent.length;
    }
    this.#added(to, added - removed.bytes, memory - removed.memoryBytes);
    if (toOffset + length > to.size) to.size = toOffset + length;
  }

  /** Whether a byte at or behind `offset` is data (or, with `hole`, a hole) within the segment; -1 if none. */
  seekWithin(segment: Segment, index: number, offset: number, hole: boolean): number {
    const base = index * SEGMENT;
    const written = segment.extents.filter((extent) => extent.source !== UNWRITTEN);
    if (hole) {
      const first = holes(written, Math.max(0, offset - base), SEGMENT)[0];
      return first === undefined ? -1 : base + first[0];
    }
    const extent = written[firstEndingBehind(written, Math.max(0, offset - base))];
    return extent === undefined ? -1 : Math.max(offset, base + extent.start);
  }

  /** Puts other extents with the same content in place of a segment's. */
  replaceSegment(inode: Inode, index: number, extents: Extent[]): void {
    const segment = this.#table.segmentForWriting(inode, index);
    const before = bytesOf(segment.extents);
    const after = bytesOf(extents);
    segment.extents = extents;
    inode.data?.noted.lost();
    if (after.memory > 0) this.#table.dataOf(inode).memorySegments.add(index);
    this.#added(inode, after.all - before.all, after.memory - before.memory);
  }

  /** Throws NotInMemory when a segment has so many extents that it must be joined first. */
  #requireJoined(inode: Inode, first: number, last: number): void {
    for (let index = first; index <= last; index++) {
      const count = inode.data?.segments.get(index)?.extents.length ?? 0;
      if (count > limits.segment_extents_max) throw new NotInMemory(this.#join(inode.ino, index));
    }
  }

  /** Where the extents of a file without a name are is known in memory only. Throws NoSpaceError. */
  #requireMemory(inode: Inode): void {
    if (!inode.isMemoryOnly || this.#table.heldSegments <= limits.nameless_segments_max) return;
    throw new NoSpaceError(
      `Cannot write to file ${inode.ino}: there is no more memory for files without a name; give it one, or close others`,
    );
  }

  /** Forgets unsealed data of a file that is deleted for good. */
  discard(inode: Inode): void {
    if (inode.data === null) return;
    this.#account.add(-inode.data.memoryBytes);
    inode.data.memoryBytes = 0;
    inode.data.memorySegments.clear();
    inode.data.segments.clear();
  }
}

function bytesOf(extents: readonly Extent[]): { all: number; memory: number } {
  const bytes = { all: 0, memory: 0 };
  for (const extent of extents) {
    bytes.all += extent.length;
    if (isMemory(extent)) bytes.memory += extent.length;
  }
  return bytes;
}
