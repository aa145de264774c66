/** How much of something is taken: so much at once, and so much each second on end. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  #tokens: number;
  #filledAtMs: number;

  /** `nowMs`: monotonic. */
  constructor(burst: number, perSecond: number, nowMs: () => number = () => performance.now()) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#nowMs = nowMs;
    this.#tokens = burst;
    this.#filledAtMs = nowMs();
  }

  /** Takes so many; false, and nothing taken, when they are not there. */
  take(count = 1): boolean {
    if (this.#tokens < count) {
      // The clock is asked only when it matters.
      const nowMs = this.#nowMs();
      const added = ((nowMs - this.#filledAtMs) / 1000) * this.#perSecond;
      this.#tokens = Math.min(this.#burst, this.#tokens + added);
      this.#filledAtMs = nowMs;
      if (this.#tokens < count) return false;
    }
    this.#tokens -= count;
    return true;
  }
}
