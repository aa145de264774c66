/** Tells whether a program writes to the drive so fast that what can wait should. */
import { limits } from '../limits.js';

/** What was written since the start. Both only grow. */
export interface WrittenSoFar {
  /** Of data. */
  bytes: number;
  /** To inodes and directories. */
  changes: number;
}

export class WritingPace {
  readonly #written: () => WrittenSoFar;
  readonly #nowMs: () => number;
  #seen: WrittenSoFar;
  #seenMs: number;
  #fastUntilMs = Number.NEGATIVE_INFINITY;

  /** `nowMs`: monotonic. */
  constructor(written: () => WrittenSoFar, nowMs: () => number = () => performance.now()) {
    this.#written = written;
    this.#nowMs = nowMs;
    this.#seen = written();
    this.#seenMs = nowMs();
  }

  /**
   * Whether it was written to fast a moment ago. It looks when it is asked, and at what was written since it was asked
   * before: so who asks seldom learns it with the second call. Who writes little now and then is not slowed, whatever
   * else is done.
   */
  isFast(): boolean {
    const nowMs = this.#nowMs();
    const elapsedMs = nowMs - this.#seenMs;
    if (elapsedMs >= limits.writing_look_ms) {
      const now = this.#written();
      const seconds = elapsedMs / 1000;
      const isFast =
        now.bytes - this.#seen.bytes >= limits.writing_fast_bytes_per_second * seconds ||
        now.changes - this.#seen.changes >= limits.writing_fast_changes_per_second * seconds;
      // The commit comes after the last write, and whoever waits for it is not done either.
      if (isFast) this.#fastUntilMs = nowMs + limits.writing_fast_ms;
      this.#seen = now;
      this.#seenMs = nowMs;
    }
    return nowMs < this.#fastUntilMs;
  }
}
