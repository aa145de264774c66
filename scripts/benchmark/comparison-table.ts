/** A comparison as a Markdown table, which also reads well on a terminal. */
import {
  bestPeer,
  type Circumstances,
  type Comparison,
  cell,
  ratioSpread,
  ratioToBest,
} from './comparison.js';
import { formatNumber } from './number-format.js';

/** Medians with the smallest and the largest value, and ratios to the fastest peer. */
export function comparisonTable(comparison: Comparison): string {
  const { rows, columns, failures, circumstances } = comparison;
  const head = [
    'workload',
    'unit',
    ...columns.map(({ name }) => name),
    'best peer',
    'ratio',
    'to the best that encrypts',
  ];
  const body = rows.map(({ id, name, unit }) => [
    name,
    unit,
    ...columns.map((column) => {
      const summary = cell(comparison, column.name, id);
      if (summary === null) return failures[column.name]?.[id] === undefined ? '–' : 'failed';
      const text = formatNumber(summary.median);
      if (summary.count === 1) return text;
      return `${text} (${formatNumber(summary.min)}–${formatNumber(summary.max)})`;
    }),
    bestPeer(comparison, id)?.name ?? '–',
    ratioText(comparison, id),
    formatRatio(ratioToBest(comparison, id, true)),
  ]);
  return `${circumstancesText(circumstances)}\n\n${markdownTable(head, body, 2)}`;
}

export function circumstancesText(circumstances: Circumstances): string {
  const { date, machine, rounds, cold, sizes, loadBefore, loadAfter } = circumstances;
  const spread = rounds === 1 ? 'one round' : `medians of ${rounds} rounds (smallest–largest)`;
  const caches = cold
    ? 'caches dropped before what is called cold'
    : 'caches NOT dropped (needs root): what is called cold is warm';
  return `${date}, ${machine}; ${spread}; ${sizes} sizes; ${caches}; load average ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} after.`;
}

/** The first `textColumns` columns are text, the others numbers. Cells are padded, so that it reads well as it is. */
export function markdownTable(
  head: readonly string[],
  body: readonly (readonly string[])[],
  textColumns = 1,
): string {
  const rows = [head, ...body].map((row) => row.map((text) => text.replaceAll('|', '\\|')));
  const widths = head.map((_, column) =>
    Math.max(3, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const lines = rows.map((row) => {
    const cells = widths.map((width, column) => {
      const text = row[column] ?? '';
      return column < textColumns ? text.padEnd(width) : text.padStart(width);
    });
    return `| ${cells.join(' | ')} |`;
  });
  const rule = widths.map((width, column) =>
    column < textColumns ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`,
  );
  lines.splice(1, 0, `|${rule.join('|')}|`);
  return lines.join('\n');
}

function ratioText(comparison: Comparison, id: string): string {
  const ratio = formatRatio(ratioToBest(comparison, id));
  const spread = ratioSpread(comparison, id);
  if (comparison.circumstances.rounds === 1 || spread === null) return ratio;
  return `${ratio} (${formatRatio(spread.min)}–${formatRatio(spread.max)})`;
}

function formatRatio(ratio: number | null): string {
  return ratio === null ? '–' : ratio.toFixed(2);
}
