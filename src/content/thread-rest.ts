/**
 * Ends a thread of which nothing was asked for a while. Not sooner: starting one takes as long as decrypting a thousand blocks, and
 * what V8 compiled for the one before is lost with it, so a stream after a pause took a quarter to a half longer.
 */
export class ThreadRest {
  readonly #end: () => void;
  readonly #restMs: number;
  #usedMs = 0;
  #timer: NodeJS.Timeout | null = null;

  /** `end` is called once after each {@link used}, unless that comes again. */
  constructor(end: () => void, restMs: number) {
    this.#end = end;
    this.#restMs = restMs;
  }

  /** Something was asked of the thread, or it has answered. */
  used(): void {
    this.#usedMs = performance.now();
    if (this.#timer === null) this.#lookAfter(this.#restMs);
  }

  /** The thread has ended. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #lookAfter(ms: number): void {
    this.#timer = setTimeout(() => {
      const leftMs = this.#usedMs + this.#restMs - performance.now();
      if (leftMs > 0) return this.#lookAfter(Math.ceil(leftMs));
      this.#timer = null;
      this.#end();
    }, ms);
    this.#timer.unref();
  }
}
