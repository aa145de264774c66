/** Time as files have it. Comes in through constructors, so that a test can set it. */

export interface Timestamp {
  /** Seconds since 1970. */
  sec: number;
  nsec: number;
}

export interface Clock {
  now(): Timestamp;
}

const DRIFT_MS_MAX = 2;

/**
 * The machine's clock with the resolution of the monotonic one, so that two changes in one millisecond differ.
 * Follows the machine's clock when it is set.
 */
export class SystemClock implements Clock {
  #originMs = performance.timeOrigin;

  now(): Timestamp {
    const wallMs = Date.now();
    let nowMs = this.#originMs + performance.now();
    if (Math.abs(nowMs - wallMs) > DRIFT_MS_MAX) {
      this.#originMs += wallMs - nowMs;
      nowMs = wallMs;
    }
    const sec = Math.floor(nowMs / 1000);
    return { sec, nsec: Math.floor((nowMs - sec * 1000) * 1e6) };
  }
}
