import { test } from 'brittle';
import { parseBenchArguments } from '../../scripts/benchmark/bench-arguments.js';
import { workloads } from '../../scripts/benchmark/workloads.js';

test('benchmark: what is to be compared and how', (t) => {
  const args = parseBenchArguments(
    '--against gocryptfs,shoal --against plain --rounds 5 --only rm,walk --quick --svg a.svg'.split(
      ' ',
    ),
  );
  t.is(args.mode, 'compare');
  t.alike(
    args.against?.map(({ name }) => name),
    ['gocryptfs', 'plain'],
    'Shoal is there anyway',
  );
  t.alike(
    args.chosen.map(({ id }) => id),
    ['walk', 'rm'],
    'in the order of the table',
  );
  t.is(args.rounds, 5);
  t.is(args.sizesName, 'quick');
  t.is(args.svg, 'a.svg');
  t.is(args.markdown, null);
});

test('benchmark: without --only, all but what is extra', (t) => {
  const { chosen, isEveryWorkload } = parseBenchArguments(['--against', 'plain']);
  t.ok(isEveryWorkload);
  t.alike(
    workloads.filter((workload) => !chosen.includes(workload)).map(({ id }) => id),
    ['sqlite-wal'],
  );
  t.is(parseBenchArguments(['--only', 'sqlite-wal', '/tmp']).chosen.length, 1);
  t.ok(parseBenchArguments(['--only', 'cold', '/tmp']).chosen.length > 3, 'part of a name');
});

test('benchmark: what cannot be meant is refused', (t) => {
  const refuses = (line: string, what: RegExp) =>
    t.exception(() => parseBenchArguments(line.split(' ')), what, line);
  t.exception(() => parseBenchArguments([]), /Give a directory/);
  refuses('--against nothing', /'nothing': choose from shoal, plain/);
  refuses('--against plain --only xyzzy', /no workload is called so/);
  refuses('--against plain --rounds 0', /--rounds 0: give a whole number/);
  refuses('--against plain --rounds 1.5', /--rounds 1.5/);
  refuses('--against plain /tmp', /Cannot measure '\/tmp'/);
  refuses('--record /tmp', /need --against/);
  t.exception.all(() => parseBenchArguments(['--nothing']), /Unknown option/);
});

test('benchmark: no two workloads have one id', (t) => {
  t.is(new Set(workloads.map(({ id }) => id)).size, workloads.length);
});
