/**
 * Sealing turns written data into chunks: content-defined ones where a stretch is long, small ones of their own for
 * small overwrites, and inline content for small files. It is synchronous; chunks have their place before they are
 * appended.
 *
 * A commit in the middle of a stream cuts its last chunk where the content says nothing. When the stream goes on, that
 * chunk is cut again with what came behind it (`OpenTails`): else no copy of the file would have the same chunks there.
 */
import type { ChunkReference, ContentStore } from '../content/content-store.js';
import { limits } from '../limits.js';
import { insert, isMemory, type MemoryBuffer, memoryBytes, punch } from './extents.js';
import type { DirtyBytesAccount } from './file-contents.js';
import { type FileData, type Inode, segmentOf } from './inode.js';
import { OpenTails } from './open-tails.js';

const SEGMENT = limits.segment_bytes;
/** While a file is being written, stretches shorter than this wait for more. */
const STREAMED_RUN_BYTES_MIN = 1 << 20;
/** Data that a file gathers before it is looked through for complete chunks. */
const STREAM_SEAL_BYTES = 2 << 20;

/** A stretch of a file that is in memory without a gap. */
interface Run {
  start: number;
  length: number;
  pieces: Buffer[];
  /** What each piece lies in. */
  sources: MemoryBuffer[];
  /** Of its bytes, those at its start that are in a chunk already. */
  sealedBytes: number;
}

export class Sealer {
  readonly #content: ContentStore;
  readonly #account: DirtyBytesAccount;
  readonly #onSealed: (inode: Inode) => void;
  readonly #tails = new OpenTails();

  /** `onSealed` is called when all of a file was sealed for a commit. */
  constructor(content: ContentStore, account: DirtyBytesAccount, onSealed: (inode: Inode) => void) {
    this.#content = content;
    this.#account = account;
    this.#onSealed = onSealed;
  }

  /** Seals complete chunks of long stretches once enough has gathered. Cheap when there is nothing to do. */
  sealStream(inode: Inode): void {
    const { data } = inode;
    if (data === null || data.memoryBytes < Math.max(data.sealAtBytes, STREAM_SEAL_BYTES)) return;
    const sealed: Run[] = [];
    for (const run of runsOf(data)) {
      if (run.length < STREAMED_RUN_BYTES_MIN) continue;
      this.#sealRun(inode, data, run, false);
      sealed.push(run);
    }
    recycleUnused(data, sealed);
    data.sealAtBytes = data.memoryBytes + STREAMED_RUN_BYTES_MIN;
  }

  /** Seals everything that a commit is to carry. Afterwards the file has inline content or extents of chunks only. */
  sealAll(inode: Inode): void {
    const { data } = inode;
    if (data === null) return;
    if (data.memorySegments.size > 0 && !this.#toInline(inode, data)) {
      const runs = runsOf(data);
      for (const run of runs) this.#sealRun(inode, data, run, true);
      recycleUnused(data, runs);
    }
    data.sealAtBytes = 0;
    // Also without new data: punching holes splits extents, too.
    this.#onSealed(inode);
  }

  /** Gives memory back that is only held to cut streams better. */
  releaseMemory(): void {
    this.#tails.clear();
  }

  #toInline(inode: Inode, data: FileData): boolean {
    const { size } = inode;
    if (size > limits.inline_file_bytes_max || inode.segmentsEnd > 1) return false;
    const segment = data.segments.get(0);
    if (segment === undefined || !segment.extents.every(isMemory)) return false;
    const extents = segment.extents as {
      source: MemoryBuffer;
      length: number;
      start: number;
      skip: number;
    }[];
    const held = extents.reduce((sum, extent) => sum + extent.length, 0);
    // A file with holes keeps them.
    if (held !== size) return false;
    data.noted.lost();
    inode.inline = Buffer.concat(extents.map((extent) => memoryBytes(extent)));
    punch(segment.extents, 0, SEGMENT);
    segment.dirty = true;
    segment.changes++;
    inode.segmentsEnd = 0;
    inode.allocatedBytes = size;
    data.memorySegments.clear();
    this.#release(data, held);
    return true;
  }

  #sealRun(inode: Inode, data: FileData, run: Run, final: boolean): void {
    data.noted.lost();
    this.#tails.prepend(data, run);
    const ends = this.#content.boundaries(run.pieces, false);
    const cut = ends[ends.length - 1] ?? 0;
    const total = run.length;
    if (final && cut < total) ends.push(total);
    let start = 0;
    const cursor = { piece: 0, used: 0 };
    for (const end of ends) {
      const stretch = takeStretch(run, cursor, end - start);
      const source = this.#placeChunk(data, run.start + start, end - start, stretch);
      // Nothing is expected to follow in a small file. Of a stream, a commit may find a short rest.
      if (end > cut && run.start + total >= STREAMED_RUN_BYTES_MIN) {
        this.#tails.note(data, { start: run.start + start, source, pieces: stretch.pieces });
      }
      start = end;
    }
    this.#release(data, Math.max(0, start - run.sealedBytes));
    const last = segmentOf(run.start + Math.max(0, start - 1));
    for (let index = segmentOf(run.start); index <= last; index++) {
      if (!data.segments.get(index)?.extents.some(isMemory)) data.memorySegments.delete(index);
    }
    inode.touched = true;
  }

  /** Stores one chunk and lets the extents at its place refer to it. A chunk may lie across segments. */
  #placeChunk(data: FileData, offset: number, bytes: number, stretch: Stretch): ChunkReference {
    const source = this.#put(stretch);
    let skip = 0;
    while (skip < bytes) {
      const index = segmentOf(offset + skip);
      const start = offset + skip - index * SEGMENT;
      const length = Math.min(bytes - skip, SEGMENT - start);
      const segment = data.segments.get(index);
      if (segment === undefined) throw new Error(`Segment ${index} vanished while it was sealed`);
      punch(segment.extents, start, start + length);
      insert(segment.extents, { start, length, source, skip });
      segment.changes++;
      // One that was committed may be placed anew.
      segment.dirty = true;
      skip += length;
    }
    return source;
  }

  /** The memory stays as it is until the log has the chunk. */
  #put({ pieces, sources }: Stretch): ChunkReference {
    for (const source of sources) source.hold();
    const release = (): void => {
      for (const source of sources) source.release();
    };
    try {
      return this.#content.put(pieces, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  #release(data: FileData, bytes: number): void {
    data.memoryBytes -= bytes;
    this.#account.add(-bytes);
  }
}

/** A part of a run. */
interface Stretch {
  pieces: Buffer[];
  sources: MemoryBuffer[];
}

/** The next `bytes` of a run, from where the cursor stands. */
function takeStretch(run: Run, cursor: { piece: number; used: number }, bytes: number): Stretch {
  const stretch: Stretch = { pieces: [], sources: [] };
  for (let wanted = bytes; wanted > 0; ) {
    const piece = run.pieces[cursor.piece] as Buffer;
    const taken = piece.subarray(cursor.used, cursor.used + wanted);
    stretch.pieces.push(taken);
    stretch.sources.push(run.sources[cursor.piece] as MemoryBuffer);
    wanted -= taken.length;
    cursor.used += taken.length;
    if (cursor.used === piece.length) {
      cursor.piece++;
      cursor.used = 0;
    }
  }
  return stretch;
}

/** All stretches of a file that are in memory, ascending. */
function runsOf(data: FileData): Run[] {
  const runs: Run[] = [];
  let run: Run | undefined;
  for (const index of [...data.memorySegments].sort((a, b) => a - b)) {
    const base = index * SEGMENT;
    for (const extent of data.segments.get(index)?.extents ?? []) {
      if (!isMemory(extent)) continue;
      const start = base + extent.start;
      if (run === undefined || run.start + run.length !== start) {
        run = { start, length: 0, pieces: [], sources: [], sealedBytes: 0 };
        runs.push(run);
      }
      run.pieces.push(memoryBytes(extent));
      run.sources.push(extent.source);
      run.length += extent.length;
    }
  }
  return runs;
}

/** Gives memory back that held the runs, unless another part of it is still in use. */
function recycleUnused(data: FileData, runs: readonly Run[]): void {
  const used = new Set<MemoryBuffer>();
  for (const index of data.memorySegments) {
    for (const extent of data.segments.get(index)?.extents ?? []) {
      if (isMemory(extent)) used.add(extent.source);
    }
  }
  for (const { sources } of runs) {
    for (const source of new Set(sources)) if (!used.has(source)) source.recycle();
  }
}
