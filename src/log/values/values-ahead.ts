/**
 * Values that are written to their file before the database is told of them. A log takes up one batch of blocks after the other,
 * and each would wait for the disk; so the disk gets the next ones while the log takes up the one before.
 */
import type { ValueFiles, WrittenValues } from './value-files.js';

/** By the first of the values that were written together. */
const known = new WeakMap<Buffer, ValuesAhead>();

export class ValuesAhead {
  readonly #files: ValueFiles;
  readonly #values: readonly Buffer[];
  readonly #written: Promise<WrittenValues | null>;
  /** Somebody else gives back what was written. */
  #isTaken = false;

  /** @param values At least one. They must not change until {@link ValuesAhead.settled}. */
  constructor(files: ValueFiles, values: readonly Buffer[]) {
    this.#files = files;
    this.#values = values;
    // Who is told to store them writes them again then, and says why that fails.
    this.#written = files.write(values, true).catch(() => null);
    known.set(values[0] as Buffer, this);
  }

  /**
   * What was written, durably, of exactly these values: the caller's to settle. Null when nothing was, or when it failed. Never
   * rejects.
   */
  static async take(values: readonly Buffer[]): Promise<WrittenValues | null> {
    const ahead = values[0] === undefined ? undefined : known.get(values[0]);
    if (ahead === undefined || ahead.#isTaken || !isSame(ahead.#values, values)) return null;
    ahead.#isTaken = true;
    return await ahead.#written;
  }

  /** The values may change, since nothing reads them here any more. Never rejects. */
  async settled(): Promise<void> {
    await this.#written;
  }

  /** Nobody will be told to store them, if nobody was by now: gives back what they take. Never rejects. */
  async discard(): Promise<void> {
    if (this.#isTaken) return;
    this.#isTaken = true;
    const written = await this.#written;
    if (written === null) return;
    written.settle();
    // Nothing ever pointed there: there is no sync to wait for.
    await this.#files.release(written.pointers);
  }
}

function isSame(some: readonly Buffer[], others: readonly Buffer[]): boolean {
  return some.length === others.length && some.every((value, i) => value === others[i]);
}
