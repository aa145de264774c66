/** Why the last commit failed, while nothing was committed since. */

/** While commits fail, who wants to add something tries again, but not more often than this. */
const ATTEMPT_INTERVAL_MS = 200;

export class CommitFailure {
  readonly #log: (line: string) => void;
  #last: { error: unknown; atMs: number } | null = null;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  get isSet(): boolean {
    return this.#last !== null;
  }

  /** Throws it, unless it is time to try again. */
  throwIfRecent(): void {
    if (this.#last === null) return;
    if (performance.now() - this.#last.atMs < ATTEMPT_INTERVAL_MS) throw this.#last.error;
  }

  set(error: unknown): void {
    if (this.#last === null) {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      this.#log(`commit failed, will be tried again: ${text}`);
    }
    this.#last = { error, atMs: performance.now() };
  }

  clear(): void {
    if (this.#last !== null) this.#log('commits succeed again');
    this.#last = null;
  }
}
