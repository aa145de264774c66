/** What commands print. */
import type { Readable, Writable } from 'node:stream';
import { printableText } from './printable-name.js';

/** A table with aligned columns, two spaces apart. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Bytes for people: 0 B, 1.5 KiB, 20 MiB. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** "1 file", "2 files"; `many` is the plural where it is another word. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** One JSON value on one line. */
export function formatJson(value: unknown): string {
  return JSON.stringify(value);
}

/**
 * An error as one line; parts of it may be somebody else's text. A system call's names no function of ours: its text
 * ("EACCES: permission denied, open '/x'") says what failed.
 */
export function formatError(error: unknown): string {
  const text = systemErrorText(error) ?? (error instanceof Error ? error.message : String(error));
  return `shoal: ${printableText(text.replace(/\s*\n\s*/g, ' '))}`;
}

/** A failed system call on a path, which is one of the program's own folders: "ENOTDIR: not a directory, lstat '/x'". */
function systemErrorText(error: unknown): string | null {
  if (!(error instanceof Error) || !('syscall' in error) || !('path' in error)) return null;
  const reason = /^\w+: ([^,]+),/.exec(error.message)?.[1] ?? error.message;
  return `Cannot use '${String(error.path)}': ${reason}; SHOAL_HOME must be a folder that you may write to`;
}

/** Whether somebody sees it, and not a program. */
export function isTerminal(stream: (Readable | Writable) & { isTTY?: boolean }): boolean {
  return stream.isTTY === true;
}

/** Writes a line to a stream. */
export function printLine(stream: Writable, line: string): void {
  stream.write(`${line}\n`);
}

/** A time as "2026-11-21T20:06:54Z". */
export function formatInstant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
