/** Whether the clock can be right, before versions are dropped for their age. */
import { limits } from '../limits.js';
import type { VersionPoint } from '../tree/version-point.js';

const DAY_MS = 86_400_000;

export interface ClockNow {
  nowMs: number;
  /** Nothing was committed for at least so long, by a clock that nobody sets. */
  restedMs: number;
}

/**
 * How far the clock went ahead at once, with versions of less than a day since; 0 when it did not. That is a drive which rested for
 * so long, or a wrong clock, which makes everything look old; nobody can tell which, so it is given a day to be set right. The
 * times are followed from now back for a day; those that a clock told which was behind are passed over.
 *
 * @param versions Newest first.
 */
export async function clockJumpMs(
  versions: AsyncIterable<VersionPoint> | Iterable<VersionPoint>,
  { nowMs, restedMs }: ClockNow,
): Promise<number> {
  let followedMs = nowMs - restedMs;
  /** The newest time behind a jump. */
  let beforeMs: number | null = null;
  for await (const { timeMs } of versions) {
    if (timeMs > followedMs) continue;
    if (followedMs - timeMs > limits.collect_clock_jump_ms_max) {
      beforeMs = Math.max(beforeMs ?? 0, timeMs);
      continue;
    }
    followedMs = timeMs;
    if (nowMs - followedMs > limits.collect_clock_trial_ms) return 0;
  }
  return beforeMs === null ? 0 : followedMs - beforeMs;
}

/** For people. */
export function describeClockJump(jumpMs: number): string {
  const days = Math.floor(jumpMs / DAY_MS);
  return `the clock went ${days} days ahead of the versions before, which look old by it`;
}
