/** A comparison as bars. */
import type { BarChart } from './bar-chart.js';
import { type Comparison, cell, SUBJECT } from './comparison.js';
import { circumstancesText } from './comparison-table.js';

/** A group of bars for each workload. The disk itself does not set the scale: it would dwarf the others. */
export function chartOf(comparison: Comparison): BarChart {
  const groups = comparison.rows.map(({ id, name, unit }) => ({
    title: name,
    unit,
    bars: comparison.columns.flatMap((column) => {
      const summary = cell(comparison, column.name, id);
      if (summary === null) return [];
      return [
        {
          label: column.name,
          value: summary.median,
          min: summary.min,
          max: summary.max,
          isMain: column.name === SUBJECT,
          isBeside: column.name === 'plain',
        },
      ];
    }),
  }));
  return {
    title: 'Shoal and others, higher is better',
    subtitle: circumstancesText(comparison.circumstances),
    groups: groups.filter(({ bars }) => bars.length > 0),
  };
}
