import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'brittle';
import { plot, table } from '../../scripts/simulation/report.js';
import type { SchemeResult } from '../../scripts/simulation/scheme.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const SIMULATE = fileURLToPath(new URL('../../scripts/simulate.js', import.meta.url));

const lost: SchemeResult = {
  data: 1,
  parity: 1,
  name: '2 copies',
  overhead: 2,
  hostsOfDrive: 4,
  stripeYears: 1000,
  losses: 3,
  lossRate: 0.003,
  closedForm: 0.002,
  driveYears: 100,
  driveLoss: 0.01,
  driveLossMax: 0.047,
  unreadable: 0.001,
  traffic: 3.25,
  surplus: 0.5,
};

const kept: SchemeResult = {
  ...lost,
  name: '10+10',
  losses: 0,
  lossRate: 0,
  closedForm: 1e-25,
  driveLoss: 0,
  driveLossMax: 0.03,
  unreadable: 0,
};

test('simulation report - a table, and what was not lost is only said to be below', (t) => {
  const [head = '', rule, first = '', second = ''] = table([lost, kept], true).split('\n');
  t.is(head.split('|').length, first.split('|').length);
  t.is(rule, `|${'---|'.repeat(head.split('|').length - 2)}`);
  t.is(first, '| 2 copies | 2.00× | 4 | 3.0e-3 | 2.0e-3 | 1.0e-2 | 8.8 h | 3.3× | 50 % |');
  t.is(second, '| 10+10 | 2.00× | 4 | < 3.0e-2 | 1.0e-25 | < 3.0e-2 | never | 3.3× | 50 % |');
  const plain = table([lost, kept], false).trimEnd().split('\n');
  t.is(new Set(plain.map((line) => line.length)).size, 1, 'columns are aligned');
});

test('simulation report - a plot has a mark for each figure', (t) => {
  const svg = plot([lost, kept], 'title');
  t.is(svg.match(/class="simulated"/g)?.length, 1);
  t.is(svg.match(/class="bound"/g)?.length, 1);
  t.is(svg.match(/<circle class="formula"/g)?.length, 2);
  t.is(svg.match(/class="traffic"/g)?.length, 2);
  t.absent(/NaN|Infinity|undefined/.test(svg));
  t.is(svg.match(/<text/g)?.length, svg.match(/<\/text>/g)?.length);
});

test('simulation report - the script', (t) => {
  const folder = temporaryFolder(t);
  const image = path.join(folder, 'plot.svg');
  const run = (...options: string[]) =>
    spawnSync(process.execPath, [SIMULATE, ...options], { encoding: 'utf8' });
  const small = ['--hosts', '200', '--years', '1', '--schemes', '2c,4+2', '--markdown'];
  const { status, stdout } = run(
    ...small,
    '--plot',
    image,
    '--site-hosts',
    '2',
    '--burst',
    '5,0.5',
  );
  t.is(status, 0);
  t.ok(stdout.includes('| 4+2 |') && stdout.includes('50 % gone at once every 5 years'));
  t.ok(readFileSync(image, 'utf8').startsWith('<svg'));
  for (const wrong of [
    ['--schemes', '4x2'],
    ['--hosts', 'many'],
    ['--profile', 'none'],
    ['--burst', '5'],
  ]) {
    const { status, stderr } = run(...wrong);
    t.is(status, 2, wrong.join(' '));
    t.ok(stderr.includes('--help'));
  }
});
