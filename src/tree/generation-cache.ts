/**
 * A bounded cache by numbers. What was not used since the younger half of it filled up is given up, all at once: that
 * is nearly as good as giving up what was used least recently, and a hit costs one look into a map.
 */
export class GenerationCache<Value> {
  readonly #bytesMax: number;
  #young = new Map<number, Value>();
  #old = new Map<number, Value>();
  #youngBytes = 0;
  readonly #bytesOf: (value: Value) => number;

  /** @param bytesOf About what a value takes in memory. */
  constructor(bytesMax: number, bytesOf: (value: Value) => number) {
    this.#bytesMax = bytesMax;
    this.#bytesOf = bytesOf;
  }

  get(id: number): Value | undefined {
    const value = this.#young.get(id);
    if (value !== undefined) return value;
    const older = this.#old.get(id);
    if (older !== undefined) this.set(id, older);
    return older;
  }

  set(id: number, value: Value): void {
    if (this.#young.has(id)) return;
    const bytes = this.#bytesOf(value);
    // One that is too large would take the place of all others.
    if (bytes > this.#bytesMax / 8) return;
    if (this.#youngBytes + bytes > this.#bytesMax / 2) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(id, value);
    this.#youngBytes += bytes;
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#youngBytes = 0;
  }
}
