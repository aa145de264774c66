/** Pseudo-random numbers that a seed brings back (sfc32: 128 bits of state, for billions of draws). */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9 | 0;
    for (let i = 0; i < 16; i++) this.next();
  }

  /** 0 ≤ number < 1. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }

  /** 0 ≤ integer < `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** Exponentially distributed; never comes for a mean of Infinity. */
  exponential(mean: number): number {
    return mean === Infinity ? Infinity : -Math.log(1 - this.next()) * mean;
  }
}
