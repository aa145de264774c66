/**
 * Which step of a run a time belongs to. Both sides take a time from the clock in the same step, at different moments:
 * they are compared by their step, so that no delay of a busy machine counts as a difference.
 */

/** The kernel's clock for files stands still for up to this long (one tick at 100 Hz). */
const TICK_MS = 10;
/** How far two clocks of one machine are apart. */
const DRIFT_MS = 3;

export class StepClock {
  readonly #startsMs: number[] = [];
  readonly #endsMs: number[] = [];

  begin(): void {
    this.#startsMs.push(Date.now());
  }

  end(): void {
    this.#endsMs.push(Date.now());
  }

  /** Whether two times, in nanoseconds, can be of one step. */
  sameStep(first: bigint, second: bigint): boolean {
    const [a, b] = [this.#stepsOf(first), this.#stepsOf(second)];
    return Math.max(a.from, b.from) <= Math.min(a.to, b.to);
  }

  /** In words, for a message. */
  describe(timeNs: bigint): string {
    const { from, to } = this.#stepsOf(timeNs);
    return `made in steps ${from} to ${to}`;
  }

  /** The steps that can have made a time. */
  #stepsOf(timeNs: bigint): { from: number; to: number } {
    const ms = Number(timeNs / 1000n) / 1000;
    return {
      from: firstAtLeast(this.#endsMs, ms - DRIFT_MS),
      to: firstAtLeast(this.#startsMs, ms + TICK_MS + DRIFT_MS),
    };
  }
}

/** The index of the first number that is not smaller; numbers ascend. */
function firstAtLeast(numbers: readonly number[], wanted: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
