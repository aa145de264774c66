import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'brittle';
import type { Comparison } from '../../scripts/benchmark/comparison.js';
import type { Cost } from '../../scripts/benchmark/costs.js';
import { tryCommand } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const BENCH = fileURLToPath(new URL('../../scripts/benchmark/main.js', import.meta.url));

test('benchmark: Shoal beside the disk itself, with costs, table and picture', {
  timeout: 150_000,
}, async (t) => {
  const folder = temporaryFolder(t);
  const markdown = path.join(folder, 'table.md');
  const svg = path.join(folder, 'bars.svg');
  const { code, stdout, stderr } = await tryCommand(
    process.execPath,
    [
      BENCH,
      ...'--against plain --tiny --rounds 1 --only seq-write,create,stat --costs --json'.split(' '),
      ...['--folder', folder, '--markdown', markdown, '--svg', svg],
    ],
    { deadlineMs: 120_000 },
  );
  t.is(code, 0, stderr);
  const { rates, costs } = JSON.parse(stdout) as Comparison & { costs: Record<string, Cost> };
  for (const name of ['shoal', 'plain']) {
    for (const row of ['seq-write', 'create', 'stat']) {
      t.ok((rates[name]?.[row]?.[0] ?? 0) > 0, `${name}: ${row}`);
    }
  }
  const cost = costs.shoal;
  t.ok((cost?.writeCpuSecondsPerGib ?? 0) > 0, 'processor time of the mount');
  t.ok((costs.plain?.storedPerByte ?? 0) >= 1, 'what was written is on the disk');
  t.ok((cost?.metadataLogBytes ?? 0) > 0, 'metadata goes to a log');
  t.ok((cost?.peakBytes ?? 0) >= (cost?.restBytes ?? Number.POSITIVE_INFINITY));
  const text = readFileSync(markdown, 'utf8');
  t.ok(text.includes('<!-- bench: comparison -->') && text.includes('<!-- bench: costs -->'));
  t.ok(readFileSync(svg, 'utf8').includes('create 4 KiB file'));
  t.alike(readdirSync(folder).sort(), ['bars.svg', 'table.md'], 'it leaves nothing else');
});
