/** The order in which segments are forgotten again: as they came into memory. */
import type { Inode } from './inode.js';

interface QueuedSegment {
  inode: Inode;
  index: number;
}

export class SegmentQueue {
  readonly #max: number;
  /** Oldest first. */
  #queue: QueuedSegment[] = [];
  #start = 0;
  /** Numbers of those of files that only memory knows: no commit lets them go, so they are not in the queue. */
  #held = new Map<Inode, number[]>();
  #heldCount = 0;

  /** @param max Segments that stay. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Without those that are held for as long as their file has no name. */
  get length(): number {
    return this.#queue.length - this.#start;
  }

  get heldCount(): number {
    return this.#heldCount;
  }

  push(inode: Inode, index: number): void {
    this.#queue.push({ inode, index });
  }

  /** The inode's content is dropped. */
  drop(inode: Inode): void {
    this.#heldCount -= this.#held.get(inode)?.length ?? 0;
    this.#held.delete(inode);
  }

  #hold(inode: Inode, index: number): void {
    const indexes = this.#held.get(inode);
    if (indexes === undefined) this.#held.set(inode, [index]);
    else indexes.push(index);
    this.#heldCount++;
  }

  /** After a commit, which may have given files a record: like {@link SegmentQueue.evict}, with a look at all. */
  evictAll(): void {
    for (const [inode, indexes] of this.#held) {
      if (inode.isMemoryOnly) continue;
      this.drop(inode);
      for (const index of indexes) this.push(inode, index);
    }
    this.evict(this.length);
  }

  /** Forgets clean segments beyond the limit, oldest first, after a look at `stepsMax` at most. */
  evict(stepsMax: number): void {
    const queue = this.#queue;
    for (let steps = 0; steps < stepsMax; steps++) {
      const oldest = queue[this.#start];
      if (oldest === undefined) break;
      const { inode, index } = oldest;
      const segment = inode.data?.segments.get(index);
      const isStale = segment === undefined || inode.gone;
      const isFull = queue.length - this.#start > this.#max;
      if (!isStale && !isFull) break;
      this.#start++;
      if (isStale) continue;
      if (inode.isMemoryOnly) this.#hold(inode, index);
      else if (segment.dirty || inode.committing > 0 || !inode.persisted) queue.push(oldest);
      else inode.data?.segments.delete(index);
    }
    if (this.#start > queue.length / 2) {
      this.#queue = queue.slice(this.#start);
      this.#start = 0;
    }
  }
}
