/**
 * The ends of streams that a commit cut off: the last chunk of a file that is being written, with its bytes. When the
 * stream goes on they are put in front of what came, and the chunk gets the end that its content asks for. The one that
 * the commit stored is left to the version that has it.
 */
import type { ChunkReference } from '../content/content-store.js';
import { limits } from '../limits.js';
import { firstEndingBehind, MemoryBuffer } from './extents.js';
import { type FileData, segmentOf } from './inode.js';

const SEGMENT = limits.segment_bytes;

/** So many times the end must have come since: else a file that is synced after each few bytes is stored many times. */
const GROWTH_MIN = 4;

/** A stretch of a file in memory. */
interface Run {
  start: number;
  length: number;
  pieces: Buffer[];
  sources: MemoryBuffer[];
  sealedBytes: number;
}

interface Tail {
  start: number;
  length: number;
  source: ChunkReference;
  bytes: MemoryBuffer;
}

export class OpenTails {
  /** The oldest first. */
  readonly #tails = new Map<FileData, Tail>();

  /** Remembers the last chunk of a file, which ends where the content does not say. Copies `pieces`. */
  note(
    data: FileData,
    { start, source, pieces }: { start: number; source: ChunkReference; pieces: Buffer[] },
  ): void {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const bytes = new MemoryBuffer(Buffer.alloc(0), length);
    for (const piece of pieces) bytes.append(piece, length);
    this.#tails.delete(data);
    this.#tails.set(data, { start, length, source, bytes });
    for (const oldest of this.#tails.keys()) {
      if (this.#tails.size <= limits.open_tails_max) break;
      this.#tails.delete(oldest);
    }
  }

  /**
   * Puts the last chunk in front of a run that goes on behind it, if it is still what the file has there. The run may take
   * the place of the chunk's end: the kernel writes a page again that was not full.
   */
  prepend(data: FileData, run: Run): void {
    const tail = this.#tails.get(data);
    if (tail === undefined) return;
    const length = run.start - tail.start;
    if (length <= 0 || length > tail.length || run.length < GROWTH_MIN * length) return;
    if (!isInPlace(data, tail, length)) return;
    run.start = tail.start;
    run.length += length;
    run.sealedBytes = length;
    run.pieces.unshift(tail.bytes.bytes.subarray(0, length));
    run.sources.unshift(tail.bytes);
  }

  clear(): void {
    this.#tails.clear();
  }
}

/** Whether the file's extents have the first `length` bytes of the chunk where it was put. */
function isInPlace(data: FileData, { start, source }: Tail, length: number): boolean {
  for (let at = start; at < start + length; ) {
    const index = segmentOf(at);
    const base = index * SEGMENT;
    const end = Math.min(start + length, base + SEGMENT);
    const extents = data.segments.get(index)?.extents ?? [];
    const extent = extents[firstEndingBehind(extents, at - base)];
    const isSame =
      extent?.source === source &&
      extent.start === at - base &&
      extent.length === end - at &&
      extent.skip === at - start;
    if (!isSame) return false;
    at = end;
  }
  return true;
}
