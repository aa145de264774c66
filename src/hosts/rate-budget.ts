/** So many bytes a second, for work that can wait. */
import { setTimeout as sleep } from 'node:timers/promises';

/** What was not used is good for so long. */
const BURST_MS = 1000;

export class RateBudget {
  readonly #bytesPerSecond: number;
  readonly #nowMs: () => number;
  /** When all that was taken is paid for. */
  #paidMs = Number.NEGATIVE_INFINITY;

  /** `nowMs`: monotonic. */
  constructor(bytesPerSecond: number, nowMs: () => number = () => performance.now()) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#nowMs = nowMs;
  }

  /** Waits until so many bytes may be spent; at once while there is some left. Rejects when the signal aborts. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const nowMs = this.#nowMs();
    const waitMs = this.#paidMs - nowMs;
    this.#paidMs = Math.max(this.#paidMs, nowMs - BURST_MS) + (1000 * bytes) / this.#bytesPerSecond;
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
  }
}
