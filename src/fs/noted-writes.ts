/**
 * What of a file's written data the sync journal has. It notes data as it was written: hashing it and finding a place for it is
 * left to the commit, which makes longer chunks of it. Once noted, it is not noted again while it stays what the file has there.
 */
import { limits } from '../limits.js';

/** Of a file, counted in bytes from its start. */
export interface Stretch {
  start: number;
  end: number;
}

export class NotedWrites {
  /** The entries behind one commit: those that have something of this file. */
  #series: number | null = null;
  /** Written since the last of them. */
  #written: Stretch[] = [];
  /** What these entries have and what was written since is all that is in memory, and lies as it was written. */
  #isExact = false;

  /** [start, end) was written. */
  wrote(start: number, end: number): void {
    if (!this.#isExact) return;
    const last = this.#written.at(-1);
    if (last !== undefined && start <= last.end && end >= last.start) {
      last.start = Math.min(last.start, start);
      last.end = Math.max(last.end, end);
    } else if (this.#written.length < limits.noted_stretches_max) {
      this.#written.push({ start, end });
    } else {
      this.lost();
    }
  }

  /** Data in memory came or went in another way: as a hole, as chunks, from elsewhere. */
  lost(): void {
    this.#isExact = false;
    this.#written = [];
  }

  /** Whether an entry of the series has something of the file. */
  isIn(series: number): boolean {
    return this.#series === series;
  }

  /**
   * What the next entry is to have: null for all that is in memory. What older entries of the series have is to be forgotten
   * then.
   */
  take(series: number): readonly Stretch[] | null {
    const written = this.#isExact && this.isIn(series) ? this.#written : null;
    this.#series = series;
    this.#written = [];
    this.#isExact = true;
    return written === null ? null : merged(written);
  }

  /** No entry has anything of the file that counts. */
  forget(): void {
    this.#series = null;
    this.lost();
  }
}

/** In order, and none over another: what was written several times is noted once. */
function merged(stretches: readonly Stretch[]): Stretch[] {
  const result: Stretch[] = [];
  for (const { start, end } of [...stretches].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}
