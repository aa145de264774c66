/** Notices sequential reading of one open file, and asks for what comes next. */
import type { ChunkReference, ContentStore } from '../content/content-store.js';
import { limits } from '../limits.js';
import { chunkOf, type Extent, firstEndingBehind } from './extents.js';
import { type Inode, segmentOf } from './inode.js';
import type { InodeTable } from './inode-table.js';

const SEGMENT = limits.segment_bytes;
const FIRST_WINDOW_BYTES = 256 << 10;
/** The kernel asks for pieces out of order within its own read-ahead; this far apart is still sequential. */
const SLACK_BYTES = 2 << 20;
/**
 * A smaller read is none of the kernel's own read-ahead, unless that has begun: it must be next to the one before. Of reads at
 * random places of a file, many are closer than the slack to the one before, and each would fetch much that nobody wants.
 */
const AHEAD_READ_BYTES_MIN = 64 << 10;
/** A file that is no larger is taken to be read as a whole. */
const SMALL_FILE_BYTES_MAX = 256 << 10;
/** A file that is no larger, and is read from its beginning on, may be one of many that are read one after the other. */
const ONE_OF_MANY_BYTES_MAX = 32 << 20;
/** So much of the beginning the kernel may have, from when somebody looked what the file is. */
const BEGINNING_BYTES_MAX = 1 << 20;

export class Readahead {
  readonly #table: InodeTable;
  readonly #content: ContentStore;
  /** Where the next sequential read would begin. */
  #expected = 0;
  /** Where the sequential reading began. */
  #began = 0;
  /** Asked for up to here. */
  #askedEnd = 0;

  constructor(table: InodeTable, content: ContentStore) {
    this.#table = table;
    this.#content = content;
  }

  /** Call after each read. Never throws and never waits. */
  advance(inode: Inode, offset: number, length: number): void {
    const end = offset + length;
    const isStreaming = this.#askedEnd > 0 || length >= AHEAD_READ_BYTES_MIN;
    const slack = isStreaming ? SLACK_BYTES : AHEAD_READ_BYTES_MIN;
    const sequential = Math.abs(offset - this.#expected) <= slack;
    const fromStart = this.#expected === 0 && offset !== 0;
    if (!sequential || fromStart) {
      this.#began = offset;
      this.#askedEnd = 0;
      this.#expected = end;
      return;
    }
    this.#note(inode, this.#expected, end);
    this.#expected = Math.max(this.#expected, end);
    if (inode.inline !== null || this.#expected >= inode.size) return;
    // As far ahead as was read so far: who stops soon has not caused much more to be fetched than was wanted.
    const window = Math.min(
      limits.readahead_bytes_max,
      Math.max(FIRST_WINDOW_BYTES, this.#expected - this.#began),
    );
    // Ask again when half of what was asked for is used up.
    if (this.#askedEnd > this.#expected + window / 2) return;
    const from = Math.max(this.#expected, this.#askedEnd);
    const until = Math.min(inode.size, this.#expected + window);
    this.#askedEnd = this.#ask(inode, from, until);
  }

  /** Tells what follows on what was read before. */
  #note(inode: Inode, from: number, until: number): void {
    const { size } = inode;
    if (this.#began > BEGINNING_BYTES_MAX || inode.inline !== null || size > ONE_OF_MANY_BYTES_MAX)
      return;
    const isSmall = size <= SMALL_FILE_BYTES_MAX;
    if (isSmall && from > 0) return;
    const { chunks } = chunksBetween(inode, from, isSmall ? size : until);
    if (chunks.length > 0) this.#content.noteRead(chunks, inode.ino);
  }

  /** Returns up to where it asked. */
  #ask(inode: Inode, from: number, until: number): number {
    const { chunks, end } = chunksBetween(inode, from, until);
    if (end < until) this.#loadSegments(inode, segmentOf(end));
    if (chunks.length > 0) this.#content.prefetch(chunks);
    return end;
  }

  #loadSegments(inode: Inode, index: number): void {
    if (index >= inode.segmentsEnd || !inode.persisted) return;
    const end = Math.min(inode.segmentsEnd, index + 16);
    // A failure shows when the reader gets there.
    this.#table.loadSegments(inode, index, end).catch(() => undefined);
  }
}

/** Chunks of a file's bytes [from, until), each of a run of the same one once, up to the first segment that is not in memory. */
function chunksBetween(
  inode: Inode,
  from: number,
  until: number,
): { chunks: ChunkReference[]; end: number } {
  const chunks: ChunkReference[] = [];
  let end = from;
  for (let index = segmentOf(from); end < until; index++) {
    const segment = inode.data?.segments.get(index);
    if (segment === undefined) break;
    const base = index * SEGMENT;
    const { extents } = segment;
    for (let i = firstEndingBehind(extents, Math.max(0, from - base)); i < extents.length; i++) {
      const extent = extents[i] as Extent;
      if (base + extent.start >= until) break;
      const chunk = chunkOf(extent);
      if (chunk !== null && chunks[chunks.length - 1] !== chunk) chunks.push(chunk);
    }
    end = Math.min(until, base + SEGMENT);
  }
  return { chunks, end };
}
