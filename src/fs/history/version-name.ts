/** How a person names a version: its number, a time, or the label of a snapshot. */
import { UsageError } from '../../errors.js';
import { limits } from '../../limits.js';
import { isValidLabel } from '../../tree/snapshot-record.js';

export type VersionName = { version: number } | { timeMs: number } | { label: string };

const TIME =
  /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?)?(Z|[+-]\d{2}:?\d{2})?$/;

/** A number, "2026-11-20 14:00" in local time (or with Z or +01:00 behind it), or a label. Throws UsageError. */
export function parseVersionName(text: string): VersionName {
  if (/^\d+$/.test(text)) {
    const version = Number(text);
    if (Number.isSafeInteger(version)) return { version };
  }
  if (TIME.test(text)) return { timeMs: parseTime(text) };
  if (isValidLabel(text)) return { label: text };
  throw new UsageError(
    `Cannot use '${text}' as a version: give its number, a time as "2026-11-20 14:00", or the label of a snapshot`,
  );
}

function parseTime(text: string): number {
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction, zone] =
    TIME.exec(text) ?? [];
  const date = `${year}-${month}-${day}`;
  const time = `${hour.padStart(2, '0')}:${minute}:${second}`;
  const timeMs = Date.parse(`${date}T${time}${fraction ?? ''}${zone ?? ''}`);
  // Some days that are none become others.
  const isDay = new Date(`${date}T00:00:00Z`).getUTCDate() === Number(day);
  if (Number.isNaN(timeMs) || !isDay)
    throw new UsageError(`Cannot use '${text}': there is no such time`);
  // A second lasts until the next one.
  return fraction === undefined ? timeMs + 999 : timeMs;
}

/** Throws UsageError unless a new snapshot may be called so. */
export function checkLabel(label: string): void {
  if (!isValidLabel(label)) {
    throw new UsageError(
      `Cannot use label ${JSON.stringify(label.slice(0, 2 * limits.snapshot_label_bytes_max))}: use up to ${limits.snapshot_label_bytes_max} letters, digits, '.', '_' and '-', beginning with a letter or digit`,
    );
  }
  if (!('label' in parseVersionName(label))) {
    throw new UsageError(`Cannot use label '${label}': it looks like a version or a time`);
  }
}
