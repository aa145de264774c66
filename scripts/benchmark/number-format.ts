/** Numbers as people read them. */

/** Three digits at least, thousands apart: `1,234`, `12.3`, `0.123`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value === 0 ? '0' : value.toPrecision(3);
}
