import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'brittle';
import { floorOf } from '../../scripts/budget/floor.js';
import type { MeasuredRow } from '../../scripts/budget/measured-row.js';
import type { RawFigures } from '../../scripts/budget/raw-figures.js';
import { tryCommand } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const BUDGET = fileURLToPath(new URL('../../scripts/budget/main.js', import.meta.url));

test('benchmark: the budget of a workload, from counters and a profile', {
  timeout: 150_000,
}, async (t) => {
  const folder = temporaryFolder(t);
  const markdown = path.join(folder, 'table.md');
  const { code, stdout, stderr } = await tryCommand(
    process.execPath,
    [
      BUDGET,
      ...'--tiny --rounds 1 --no-floor --only seq-read,append --json'.split(' '),
      ...['--markdown', markdown, folder],
    ],
    { deadlineMs: 120_000 },
  );
  t.is(code, 0, stderr);
  const { rows } = JSON.parse(stdout) as { rows: MeasuredRow[] };
  t.alike(
    rows.map(({ id }) => id),
    ['seq-read', 'append'],
  );
  const [read, append] = rows as [MeasuredRow, MeasuredRow];
  t.ok(Math.abs(read.bytesRead - 1e6) < 1e5, `${read.bytesRead} bytes for a megabyte`);
  t.ok(read.us > 0 && read.plainUs > 0);
  t.ok(read.threadUs.main > 0 && read.threadUs.pool > 0, 'threads are told apart');
  t.ok((append.requests.fsync ?? 0) >= 1);
  t.ok(append.journalWrites + append.syncs >= 1, 'it waits for the device');
  // Of so little work the profiler may have seen none of Shoal's own.
  const sampledMs = Object.values(append.profile.ms).reduce((sum, ms) => sum + ms, 0);
  t.ok(sampledMs > 0 && append.profile.top.length > 0);
  const text = readFileSync(markdown, 'utf8');
  t.ok(text.includes('<!-- bench: budget -->') && text.includes('| append 4 KiB and fsync'));
  t.absent(text.includes('<!-- bench: floor -->'));
  t.alike(readdirSync(folder), ['table.md'], 'it leaves nothing else');
});

const raw: RawFigures = {
  processors: 2,
  roundTripUs: 20,
  driverRead: 2000,
  driverWrite: 1000,
  chunking: 1000,
  chunkHash: 2000,
  encrypt: 1000,
  decrypt: 1000,
  leafHash: 1000,
  logAppend: 500,
  logRead: 800,
  logBlockUs: 200,
  logSectorsUs: 80,
  syncUs: 300,
  sealedFirst: 800,
  sealedAgain: 1000,
  inMemory: { append: 450, sqlite: 2000, 'sqlite-wal': 1000, stat: 30 },
};

const row: MeasuredRow = {
  id: 'stat',
  name: 'stat',
  unit: 'files/s',
  operations: 1,
  us: 100,
  plainUs: 5,
  requests: { lookup: 1, statx: 1 },
  bytesRead: 0,
  bytesWritten: 0,
  journalWrites: 0,
  syncs: 0,
  syncUs: 0,
  threadUs: { main: 40, pool: 0, seal: 0, open: 0, other: 0 },
  laterUs: 0,
  profile: {
    ms: {
      kernel: 0,
      hash: 0,
      encrypt: 0,
      compress: 0,
      copy: 0,
      store: 0,
      'log and tree': 0,
      Shoal: 0,
      runtime: 0,
    },
    diskMs: 0,
    top: [],
  },
};

test('benchmark: the floor is a sum of what comes one after the other', (t) => {
  t.is(floorOf({ ...row, id: 'unlink' }, raw).us, 2 * 20, 'round trips');
  t.is(floorOf(row, raw).us, 30, 'or what they take as a whole');
  t.is(
    floorOf({ ...row, id: 'git' }, raw).us,
    5 + 2 * 20,
    'and the program, where it is more than calls',
  );
  const append = { ...row, id: 'append', requests: { write: 1, fsync: 1 }, journalWrites: 1 };
  const measured = floorOf(append, raw);
  t.is(measured.us, 450, 'what waits for the device is measured');
  t.alike(
    measured.terms.map(({ name, us }) => [name, us]),
    [
      ['crossings', 150],
      ['device', 300],
    ],
  );
  const random = { ...row, id: 'rand-read', requests: { read: 1 }, bytesRead: 4096 };
  const expected = 20 + 4096 / 2000 + (1.5 * 8192) / 1000 + 80;
  t.ok(Math.abs(floorOf(random, raw).us - expected) < 1e-9, 'some sectors for each read');
});

test('benchmark: the floor of a stream is its slowest part, or all of them on all processors', (t) => {
  const read = { ...row, id: 'seq-read', unit: 'MB/s' as const, requests: { read: 1 } };
  const stream = { ...read, bytesRead: 1e6 };
  // Not the slowest, 1250 us: there is more to do for each processor.
  t.is(floorOf(stream, raw).us, (1e6 / 2000 + 1e6 / 1000 + 1e6 / 800) / 2);
  t.is(floorOf(stream, { ...raw, processors: 64 }).us, 1e6 / 800);
});
