import { LimitError } from '../errors.js';

/** What a name takes in memory besides its characters, in bytes, about: it is listed in two places. */
const NAME_OVERHEAD_BYTES = 112;

/** Bounds what one directory takes in memory while it is listed: a malicious owner can make one of any size. */
export class NamesBudget {
  readonly #ino: number;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(ino: number, bytesMax: number) {
    this.#ino = ino;
    this.#bytesMax = bytesMax;
  }

  /** Counts one more. When it is too much, calls `drop` and throws LimitError. */
  add(name: string, drop: () => void): void {
    this.#bytes += NAME_OVERHEAD_BYTES + name.length;
    if (this.#bytes <= this.#bytesMax) return;
    drop();
    throw new LimitError(
      `Cannot list directory ${this.#ino}: its names take more than ${this.#bytesMax >> 20} MiB of memory`,
    );
  }
}
