/**
 * Joins the extents of a segment that many small writes have split. A record with thousands of extents would be
 * written anew with every commit, and a sequential read would touch as many blocks.
 *
 * The small chunks of a file that was appended to lie one behind the other in the log: then they are referred to as one.
 * Else the segment's content becomes written data again, and the next commit cuts it into chunks like any other; chunks
 * that are still whole are found by deduplication.
 */
import type { ChunkReference } from '../content/content-store.js';
import { NoSpaceError } from '../errors.js';
import { limits } from '../limits.js';
import type { Extent } from './extents.js';
import type { Inode, Segment } from './inode.js';
import { endOf, joined, runsInPlace } from './join-extents.js';
import { withMemory } from './not-in-memory.js';
import type { Volume } from './volume.js';

const SEGMENT = limits.segment_bytes;

/** References are joined where that makes so many times fewer; else the content is written anew. */
const IN_PLACE_GAIN_MIN = 4;

export class Defragmenter {
  readonly #volume: Volume;
  /** Segments to do in the background, each once. */
  readonly #queue = new Map<string, { ino: number; index: number }>();
  #running: Promise<void> | null = null;
  #closed = false;

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  /** Looks for fragmented segments of a file that was just committed. Never throws and never waits. */
  consider(inode: Inode): void {
    for (const [index, segment] of inode.data?.segments ?? []) {
      const enough = Math.max(limits.segment_extents_wanted, 2 * segment.joinedExtents);
      if (!segment.dirty || segment.extents.length <= enough) continue;
      if (this.#queue.size >= limits.defragment_queue_segments_max) return;
      this.#queue.set(`${inode.ino}/${index}`, { ino: inode.ino, index });
    }
    if (this.#queue.size > 0) this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (const [key, { ino, index }] of this.#queue) {
      if (this.#closed) break;
      this.#queue.delete(key);
      try {
        await this.join(ino, index);
      } catch (error) {
        if (error instanceof NoSpaceError) {
          // Those that are still fragmented are considered again when they are committed next.
          this.#queue.clear();
          break;
        }
        // A gone file is no matter; anything else shows to whoever reads there.
        if (this.#volume.table.peek(ino)?.gone === false) {
          this.#volume.log(`cannot defragment segment ${index} of inode ${ino}: ${String(error)}`);
        }
      }
    }
    this.#running = null;
  }

  /**
   * Joins the extents of one segment, unless somebody writes to it meanwhile. Small holes between them are filled with
   * zeros, as a file system with blocks of that size would. Throws what reading throws.
   */
  async join(ino: number, index: number): Promise<void> {
    const { table, contents, committer } = this.#volume;
    // What is written anew has to be stored, too.
    await committer.room.take(SEGMENT);
    const base = index * SEGMENT;
    let found: { inode: Inode; segment: Segment; changes: number } | undefined;
    const answer = await withMemory(() => {
      const inode = table.need(ino);
      const segment = table.needSegment(inode, index);
      found = { inode, segment, changes: segment.changes };
      const pieces = contents.read(inode, base, SEGMENT, {});
      // What comes at once is good until something is waited for.
      return Array.isArray(pieces) ? Buffer.concat(pieces) : pieces;
    }, null);
    if (found === undefined) return;
    const { inode, segment, changes } = found;
    const overtaken = segment.changes !== changes || inode.data?.segments.get(index) !== segment;
    if (overtaken || inode.gone) return;
    const bytes = Array.isArray(answer) ? Buffer.concat(answer) : answer;
    const runs = runsInPlace(segment.extents, bytes.length);
    const isEnough = runs.length * IN_PLACE_GAIN_MIN <= segment.extents.length;
    const extents = isEnough ? this.#inPlace(runs, bytes) : joined(segment.extents, bytes);
    segment.joinedExtents = extents.length;
    // Large holes keep it in many: writing it anew would change nothing, again and again.
    if (extents.length > segment.extents.length / 2) return;
    contents.replaceSegment(inode, index, extents);
    committer.markInode(inode);
  }

  /** One extent for each run. The content of runs of several is in `bytes`, that of the whole segment. */
  #inPlace(runs: readonly (readonly Extent[])[], bytes: Buffer): Extent[] {
    return runs.map((run) => {
      const first = run[0] as Extent;
      if (run.length === 1) return first;
      const chunk = first.source as ChunkReference;
      const { start } = first;
      const data = bytes.subarray(start, endOf(run.at(-1) as Extent));
      const all = { ...chunk, offset: chunk.offset + first.skip };
      const source = this.#volume.content.referToAll(all, data);
      return { start, length: data.length, source, skip: 0 };
    });
  }
}
