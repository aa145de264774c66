import { test } from 'brittle';
import {
  bestPeer,
  type Comparison,
  lossesSince,
  mergeRecords,
  parseRecord,
  ratioSpread,
  ratioToBest,
  recordOf,
} from '../../scripts/benchmark/comparison.js';
import { comparisonTable, markdownTable } from '../../scripts/benchmark/comparison-table.js';
import { median, summarize } from '../../scripts/benchmark/statistics.js';

/** Two rounds of two rows; the plain disk is fastest, bindfs does not encrypt. */
function comparison(own: number[] = [100, 120]): Comparison {
  const column = (name: string, encrypts: boolean) => ({ name, what: '', encrypts });
  return {
    rows: [
      { id: 'write', name: 'write, one fsync', unit: 'MB/s' },
      { id: 'other', name: 'other', unit: 'ops/s' },
    ],
    columns: [
      column('shoal', true),
      column('plain', false),
      column('bindfs', false),
      column('gocryptfs', true),
    ],
    rates: {
      shoal: { write: own, other: [5] },
      plain: { write: [1000, 1000], other: [1000] },
      bindfs: { write: [200, 240] },
      gocryptfs: { write: [50, 50] },
    },
    failures: { bindfs: { other: 'it hung' } },
    circumstances: {
      date: '2026-01-02 03:04',
      machine: 'a machine',
      rounds: 2,
      cold: true,
      sizes: 'full',
      loadBefore: 0,
      loadAfter: 1,
    },
  };
}

test('benchmark: the median is the middle, or between the two in the middle', (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([10, 9, 100]), 10, 'sorted as numbers');
  t.exception.all(() => median([]), /median of nothing/);
  t.alike(summarize([2, 8, 5]), { median: 5, min: 2, max: 8, count: 3 });
  t.is(summarize([]), null);
});

test('benchmark: the ratio is to the fastest peer of the same run, and the disk is no peer', (t) => {
  t.alike(bestPeer(comparison(), 'write'), { name: 'bindfs', rate: 220 });
  t.is(ratioToBest(comparison(), 'write'), 0.5);
  t.is(ratioToBest(comparison(), 'write', true), 2.2, 'of those that encrypt');
  t.alike(ratioSpread(comparison([100, 60]), 'write'), { min: 0.25, max: 0.5 });
  t.is(ratioToBest(comparison(), 'other'), null, 'no peer was measured');
});

test('benchmark: a row that lost more than a tenth of its recorded ratio is shown', (t) => {
  const record = parseRecord(JSON.stringify(recordOf(comparison())));
  t.alike(Object.keys(record.rows), ['write']);
  t.alike(lossesSince(record, comparison([100, 100])), [], '0.4545 of 0.5 is 9 % less');
  t.alike(lossesSince(record, comparison([99, 98])).length, 1);
  t.alike(lossesSince(record, comparison([55, 55])), [
    { name: 'write, one fsync', before: 0.5, after: 0.25 },
  ]);
  t.alike(lossesSince(record, comparison([900, 900])), []);
});

test('benchmark: a record of some rows does not forget the others', (t) => {
  const old = recordOf(comparison());
  const row = { ratio: 2, best: 'x', rate: 1, unit: 'ops/s' };
  const merged = mergeRecords(old, { ...old, rows: { other: row } });
  t.alike(merged.rows, { ...old.rows, other: row });
});

test('benchmark: what is no record is refused', (t) => {
  t.exception(() => parseRecord('{}'), /not written by --record/);
  t.exception(() => parseRecord('null'), /not written by --record/);
  const bad = { version: 1, competitors: [], rows: { write: { ratio: 'x' } } };
  t.exception(() => parseRecord(JSON.stringify(bad)), /row 'write' has no ratio/);
});

test('benchmark: the table has medians, spread, ratios, and says what failed', (t) => {
  const lines = comparisonTable(comparison()).split('\n');
  t.ok(lines[0]?.includes('medians of 2 rounds'), lines[0]);
  const cells = (line = '') => line.split('|').map((text) => text.trim());
  t.alike(cells(lines[4]).slice(1, -1), [
    'write, one fsync',
    'MB/s',
    '110 (100–120)',
    '1,000 (1,000–1,000)',
    '220 (200–240)',
    '50.0 (50.0–50.0)',
    'bindfs',
    '0.50 (0.50–0.50)',
    '2.20',
  ]);
  t.alike(cells(lines[5]).slice(3, 7), ['5.00', '1,000', 'failed', '–']);
});

test('benchmark: columns of a table are as wide as their widest cell, and a bar in a cell ends no cell', (t) => {
  t.is(
    markdownTable(['name', 'n'], [['a|b', '1000']]),
    '| name |    n |\n|------|-----:|\n| a\\|b | 1000 |',
  );
});
