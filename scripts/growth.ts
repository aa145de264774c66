/** Whether a figure that was sampled again and again goes on growing. */

/** Fewer say nothing: a program fills its caches at first. */
export const SAMPLES_MIN = 12;

export interface Growth {
  /** Medians of the middle and the last third of the samples. */
  before: number;
  after: number;
  grows: boolean;
}

/**
 * Compares the last third of the samples with the middle one; the first is warming up. Grows when the median has risen
 * by more than `share` of it and `slack` on top. Null for too few samples.
 */
export function growthOf(
  samples: readonly number[],
  { share, slack }: { share: number; slack: number },
): Growth | null {
  if (samples.length < SAMPLES_MIN) return null;
  const third = Math.floor(samples.length / 3);
  const before = median(samples.slice(third, samples.length - third));
  const after = median(samples.slice(samples.length - third));
  return { before, after, grows: after > before * (1 + share) + slack };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
