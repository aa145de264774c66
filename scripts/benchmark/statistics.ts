/** What several rounds of one measurement say. */

export interface Summary {
  median: number;
  min: number;
  max: number;
  /** Number of rounds. */
  count: number;
}

/** The middle value; between the two middle ones for an even number of them. Throws RangeError without any. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('Cannot take the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Null when nothing was measured. */
export function summarize(values: readonly number[]): Summary | null {
  if (values.length === 0) return null;
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    count: values.length,
  };
}
