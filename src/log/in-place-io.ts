/**
 * Whether a short wait for the disk is done in place, on the main thread. Having a thread of the pool wait costs two changes
 * of threads, and the kernel's next request a third: more than the wait itself, if the disk has a cache that survives a loss
 * of power, as most of servers have. On a slow disk, or a busy one, all other requests would wait, too.
 */
import { limits } from '../limits.js';

export class InPlaceIo {
  readonly #bytesMax: number;
  readonly #pauseFactor: number;
  readonly #now: () => number;
  /** Reads or writes that go through the pool before the next is tried in place. */
  #rest = 0;
  /** What a slow one makes of that. */
  #nextRest: number = limits.in_place_rest_min;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  /**
   * @param bytesMax What is larger takes long anyway.
   * @param pauseFactor After a slow one, nothing is done in place for so many times what it took: where others wait for
   * nothing of the sort, a disk that hangs must not stop them again and again.
   */
  constructor(bytesMax: number, pauseFactor = 0, now = (): number => performance.now()) {
    this.#bytesMax = bytesMax;
    this.#pauseFactor = pauseFactor;
    this.#now = now;
  }

  /** Whether the next one, of so many bytes, is to be done in place. To be asked once for each. */
  admits(bytes: number): boolean {
    if (bytes > this.#bytesMax || this.#now() < this.#pausedUntilMs) return false;
    if (this.#rest === 0) return true;
    this.#rest--;
    return false;
  }

  /** Does the work, which returns when the disk is done, and takes the time. */
  run<T>(work: () => T): T {
    const began = this.#now();
    try {
      return work();
    } finally {
      const now = this.#now();
      const tookMs = now - began;
      if (tookMs * 1000 <= limits.in_place_us_max) {
        this.#nextRest = limits.in_place_rest_min;
      } else {
        this.#pausedUntilMs = now + this.#pauseFactor * tookMs;
        this.#rest = this.#nextRest;
        this.#nextRest = Math.min(2 * this.#nextRest, limits.in_place_rest_max);
      }
    }
  }
}
