/** Printing what was measured. */
import { formatNumber } from './number-format.js';

/** One measured directory. */
export interface DirectoryReport {
  directory: string;
  /** Rates by the workload's name. */
  rates: Record<string, number>;
  /** Of the process that serves it, when there is one: bytes resident before, at most, and a while after. */
  memory?: { pid: number; idleBefore: number; peak: number; idleAfter: number };
}

export interface Row {
  name: string;
  unit: string;
}

/** A table of rates, one column a directory, each after the first with its ratio to the first. */
export function formatTable(rows: readonly Row[], reports: readonly DirectoryReport[]): string {
  const table: string[][] = [
    [
      '',
      '',
      ...reports.flatMap(({ directory }, index) =>
        index === 0 ? [directory] : [directory, 'ratio'],
      ),
    ],
  ];
  for (const { name, unit } of rows) {
    const first = reports[0]?.rates[name];
    const cells = reports.flatMap(({ rates }, index) => {
      const rate = rates[name];
      const text = rate === undefined ? '-' : formatNumber(rate);
      if (index === 0) return [text];
      return [text, rate === undefined || first === undefined ? '-' : (rate / first).toFixed(2)];
    });
    table.push([name, unit, ...cells]);
  }
  if (reports.some(({ memory }) => memory !== undefined)) {
    const memoryRow = (label: string, key: 'idleBefore' | 'peak' | 'idleAfter') => [
      label,
      'MB',
      ...reports.flatMap(({ memory }, index) => {
        const text = memory === undefined ? '-' : formatNumber(memory[key] / 1e6);
        return index === 0 ? [text] : [text, ''];
      }),
    ];
    table.push(memoryRow('resident memory, idle before', 'idleBefore'));
    table.push(memoryRow('resident memory, at most', 'peak'));
    table.push(memoryRow('resident memory, idle after', 'idleAfter'));
  }
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? '').length)),
  );
  return table
    .map((row) =>
      row
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
