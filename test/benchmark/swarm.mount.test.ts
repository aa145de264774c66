import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'brittle';
import type { SwarmFigure } from '../../scripts/swarm/parts.js';
import { parseSwarmArguments } from '../../scripts/swarm/swarm-arguments.js';
import { tryCommand } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const BENCH = fileURLToPath(new URL('../../scripts/swarm/main.js', import.meta.url));

test('bench-swarm: Shoal over the loopback address, a file from one machine to another', {
  timeout: 150_000,
}, async (t) => {
  const folder = temporaryFolder(t);
  const { code, stdout, stderr } = await tryCommand(
    process.execPath,
    [
      BENCH,
      ...'--tiny --systems shoal --conditions loopback --json stream'.split(' '),
      ...['--folder', folder],
    ],
    { env: { UV_THREADPOOL_SIZE: '16' }, deadlineMs: 120_000 },
  );
  t.is(code, 0, stderr);
  const { rows } = JSON.parse(stdout) as { rows: { part: string; figures: SwarmFigure[] }[] };
  t.alike(
    rows.map(({ part }) => part),
    ['stream'],
  );
  for (const { part, figures } of rows) {
    t.ok(figures.length >= 2, part);
    for (const { name, value } of figures) t.ok(value > 0, `${part}: ${name}`);
  }
  t.alike(readdirSync(folder), [], 'it leaves nothing');
});

test('bench-swarm: what is to be measured', (t) => {
  const parse = (line: string) => parseSwarmArguments(line === '' ? [] : line.split(' '));
  t.is(parse('').parts.length, 4);
  const far = parse('--rtt 80 --conditions far,loopback --mib 5 tree').conditions;
  t.alike(far[0]?.network, { name: 'far', rttMs: 80, lossPercent: 0 });
  t.is(far[1]?.network, null);
  t.is(parse('--congestion cubic').conditions[0]?.network?.congestion, 'cubic');
  const { sizes, parts } = parse('--mib 5 --peers 3 tree');
  t.alike([sizes.streamMebibytes, sizes.fanoutPeers], [5, 3]);
  t.alike(
    parts.map(({ name }) => name),
    ['tree'],
  );
  const refuses = (line: string, what: RegExp) => t.exception(() => parse(line), what, line);
  refuses('nothing', /There is no part 'nothing'/);
  refuses('--systems nothing', /There is no system 'nothing'; choose from 'shoal'/);
  refuses('--conditions nothing', /There is no condition 'nothing'/);
  refuses('--mib 0', /--mib 0: give a whole number/);
  refuses('--loss 100', /--loss 100/);
  refuses('--congestion Cubic/', /--congestion Cubic/);
  refuses('--wire string', /choose netem or relay/);
});
