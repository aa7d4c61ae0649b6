/** Medians and percentiles of measurements. Pure. */

/** The mean of the two middle values when there is an even number of them. */
export function median(values: readonly number[]): number {
  const sorted = sortedCopy(values, 'median');
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The nearest-rank percentile, 0 < `percent` <= 100: a value that was measured, never one in between. */
export function percentile(values: readonly number[], percent: number): number {
  if (!(percent > 0 && percent <= 100)) {
    throw new RangeError(
      `Cannot compute percentile: expected more than 0 and at most 100: current value is ${percent}`,
    );
  }
  const sorted = sortedCopy(values, 'percentile');
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN;
}

function sortedCopy(values: readonly number[], what: string): number[] {
  if (values.length === 0) throw new RangeError(`Cannot compute ${what}: expected at least one value`);
  return values.toSorted((a, b) => a - b);
}
