/** The next commit in the background. */
export class CommitTimer {
  readonly #commit: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(commit: () => void) {
    this.#commit = commit;
  }

  get isSet(): boolean {
    return this.#timer !== null;
  }

  /** In place of one that was set before. */
  start(ms: number): void {
    this.clear();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#commit();
    }, ms);
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
