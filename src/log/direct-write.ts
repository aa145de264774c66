/**
 * Whether a short wait for the disk is done in place, on the main thread. Having a thread of the pool wait costs two changes
 * of threads, and the kernel's next request a third: more than the wait itself, if the disk has a cache that survives a loss
 * of power, as most of servers have. On a slow disk, or a busy one, all other requests would wait, too.
 */
import { limits } from '../limits.js';

export class DirectWrites {
  readonly #now: () => number;
  /** Writes that go through the pool before the next is tried in place. */
  #rest = 0;
  /** What a slow one makes of that. */
  #nextRest: number = limits.direct_write_rest_min;

  constructor(now = (): number => performance.now()) {
    this.#now = now;
  }

  /** Whether the next write, of so many bytes, is to be done in place. To be asked once for each write. */
  admits(bytes: number): boolean {
    if (bytes > limits.direct_write_bytes_max) return false;
    if (this.#rest === 0) return true;
    this.#rest--;
    return false;
  }

  /** Writes in place, and takes the time: `write` returns when the disk has it. */
  run<T>(write: () => T): T {
    const began = this.#now();
    try {
      return write();
    } finally {
      if ((this.#now() - began) * 1000 <= limits.direct_write_us_max) {
        this.#nextRest = limits.direct_write_rest_min;
      } else {
        this.#rest = this.#nextRest;
        this.#nextRest = Math.min(2 * this.#nextRest, limits.direct_write_rest_max);
      }
    }
  }
}
