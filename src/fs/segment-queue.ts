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

  /** @param max Segments that stay. */
  constructor(max: number) {
    this.#max = max;
  }

  get length(): number {
    return this.#queue.length - this.#start;
  }

  push(inode: Inode, index: number): void {
    this.#queue.push({ inode, index });
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
      if (segment.dirty || inode.committing > 0 || !inode.persisted) queue.push(oldest);
      else inode.data?.segments.delete(index);
    }
    if (this.#start > queue.length / 2) {
      this.#queue = queue.slice(this.#start);
      this.#start = 0;
    }
  }
}
