import { test } from 'brittle';
import { type BarChart, barChartSvg } from '../../scripts/benchmark/bar-chart.js';
import { withSection } from '../../scripts/benchmark/document.js';

const chart: BarChart = {
  title: 'Rates <fast & slow>',
  subtitle: 'word '.repeat(60).trim(),
  groups: [
    {
      title: 'write',
      unit: 'MB/s',
      bars: [
        { label: 'one', value: 50, min: 40, max: 100, isMain: true },
        { label: 'two', value: 25 },
        { label: 'disk', value: 3000, isBeside: true },
      ],
    },
    { title: 'nothing', unit: 'ops/s', bars: [{ label: 'one', value: 0 }] },
    { title: 'third', unit: 'ops/s', bars: [{ label: 'one', value: 1 }] },
  ],
};

/** Widths of the bars, without the background. */
function widths(svg: string): number[] {
  return [...svg.matchAll(/<rect x="[^>]* width="([\d.]+)"/g)].map((match) => Number(match[1]));
}

test('benchmark: bars are as long as their values, on the scale of their group', (t) => {
  const svg = barChartSvg(chart);
  const [one = 0, two = 0, disk = 0, none, third = 0] = widths(svg);
  t.is(one, two * 2);
  t.is(disk, one * 2, 'one that is beside the others is cut where the longest of them ends');
  t.is(none, 0);
  t.is(third, disk, 'a group has its own scale');
  t.ok(svg.includes('» 3,000'), 'and says that it is cut');
  t.is(svg.match(/<line /g)?.length, 1, 'a line shows the spread where there is one');
});

test('benchmark: a picture is well-formed, and nothing lies outside', (t) => {
  const svg = barChartSvg(chart);
  t.ok(svg.includes('Rates &lt;fast &amp; slow&gt;'));
  t.absent(/NaN|undefined|Infinity/.test(svg));
  const open: string[] = [];
  for (const [, end, name = '', rest = ''] of svg.matchAll(/<(\/?)(\w+)([^>]*)>/g)) {
    if (end === '/') t.is(open.pop(), name);
    else if (!rest.endsWith('/')) open.push(name);
  }
  t.alike(open, [], 'every element is closed');
  const height = Number(/height="(\d+)"/.exec(svg)?.[1]);
  for (const [, y] of svg.matchAll(/ y="([\d.]+)"/g)) t.ok(Number(y) < height);
});

test('benchmark: a section of a document is replaced, and the rest stays', (t) => {
  const document = '# Head\n\n<!-- bench: one -->\n\nold\n\n<!-- bench: end -->\n\nfoot\n';
  const next = withSection(document, 'one', 'new');
  t.is(next, '# Head\n\n<!-- bench: one -->\n\nnew\n\n<!-- bench: end -->\n\nfoot\n');
  t.is(
    withSection(next, 'two', 'second'),
    `${next}\n<!-- bench: two -->\n\nsecond\n\n<!-- bench: end -->\n`,
  );
  t.is(withSection('', 'one', 'new'), '<!-- bench: one -->\n\nnew\n\n<!-- bench: end -->\n');
  t.exception(() => withSection('<!-- bench: one -->', 'one', 'new'), /is missing/);
});
