/** Blocks that were stored a moment ago, for whoever is about to want them: they need not be read back. */

/**
 * @param data Number of the log's data in the store.
 * @param value As it is stored. Its memory is the listener's until it returns.
 */
export type FreshValueListener = (data: number, block: number, value: Buffer) => void;

export class FreshValues {
  readonly #listeners = new Set<FreshValueListener>();

  /** Whether anybody is to be told. */
  get isWanted(): boolean {
    return this.#listeners.size > 0;
  }

  /** From now on `listener`, which must not throw, is told of each block that went to a value file. Answers how to end that. */
  listen(listener: FreshValueListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell(data: number, block: number, value: Buffer): void {
    for (const listener of this.#listeners) listener(data, block, value);
  }
}
