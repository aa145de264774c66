/** Lets go of those who wait for something of a head that is shown no longer: nobody may have it any more. */
export class Moves {
  readonly #waiting = new Set<() => void>();

  /** Resolves when the load does, or when another head is shown: then who wants it looks again. */
  race(load: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(resolve);
      load.finally(() => this.#waiting.delete(resolve)).then(resolve, reject);
    });
  }

  move(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
