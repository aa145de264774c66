/** How often each of some numbers is there; those that are not there any more take no memory. */
export class NumberCounts {
  readonly #counts = new Map<number, number>();

  /** Answers how often it is there now. */
  add(number: number): number {
    const count = (this.#counts.get(number) ?? 0) + 1;
    this.#counts.set(number, count);
    return count;
  }

  /** Takes it out, once or `times`; answers how often it is left: 0 also when it was there less often. */
  remove(number: number, times = 1): number {
    const left = Math.max(0, (this.#counts.get(number) ?? 0) - times);
    if (left > 0) this.#counts.set(number, left);
    else this.#counts.delete(number);
    return left;
  }

  has(number: number): boolean {
    return this.#counts.has(number);
  }

  keys(): IterableIterator<number> {
    return this.#counts.keys();
  }
}
