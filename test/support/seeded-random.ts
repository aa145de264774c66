/** Pseudo-random numbers that a printed seed brings back (mulberry32). Not for secrets. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 <= number < 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** 0 <= integer < `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let i = 0;
    for (; i + 4 <= length; i += 4) bytes.writeUInt32LE(Math.floor(this.next() * 2 ** 32), i);
    for (; i < length; i++) bytes[i] = this.below(256);
    return bytes;
  }
}

/** The seed of this run: SHOAL_TEST_SEED, else from the clock. Print it with every failure. */
export function seedOfRun(): number {
  const given = process.env.SHOAL_TEST_SEED;
  return given === undefined ? Date.now() >>> 0 : Number(given) >>> 0;
}
