/** The bytes of files whose chunks are damaged, joined where they touch. */
import { limits } from '../../limits.js';
import type { FileRange } from './check-files.js';
import type { TreeProblem } from './tree-problem.js';

interface Damage {
  start: number;
  end: number;
  reason: string;
}

export class DamagedRanges {
  readonly #files = new Map<number, Damage[]>();
  #listed = 0;
  #left = 0;

  add({ ino, start, end }: FileRange, reason: string): void {
    // Beyond the limit they are only counted.
    if (this.#listed >= limits.check_problems_max) {
      this.#left++;
      return;
    }
    this.#listed++;
    const ranges = this.#files.get(ino);
    if (ranges === undefined) this.#files.set(ino, [{ start, end, reason }]);
    else ranges.push({ start, end, reason });
  }

  /** Stretches that are damaged. */
  get count(): number {
    let count = this.#left;
    for (const ranges of this.#files.values()) count += joined(ranges).length;
    return count;
  }

  problems(): TreeProblem[] {
    const problems: TreeProblem[] = [];
    for (const [ino, ranges] of this.#files) {
      for (const { start, end, reason } of joined(ranges)) {
        problems.push({ ino, range: { start, end }, message: reason, fix: null });
      }
    }
    return problems;
  }
}

function joined(ranges: readonly Damage[]): Damage[] {
  const result: Damage[] = [];
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last !== undefined && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else result.push({ ...range });
  }
  return result;
}
