/** Drives with and without compression, and deduplication, on real mounts. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'brittle';
import { measureDedup } from '../../scripts/space/dedup.js';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { Machine } from '../support/drive-mount.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Compiled programs: they shrink, and are here wherever the tests run. */
const PROGRAMS = fileURLToPath(new URL('../../src', import.meta.url));

function sourceFiles(): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const names = readdirSync(PROGRAMS, { recursive: true, encoding: 'utf8' });
  for (const name of names.filter((found) => found.endsWith('.js')).sort()) {
    files.set(name.replaceAll('/', '-'), readFileSync(path.join(PROGRAMS, name)));
  }
  const all = Buffer.concat([...files.values()]);
  files.set('large', all);
  files.set('random', randomBytes(300_000, 1));
  files.set('mixed', Buffer.concat([all.subarray(7), randomBytes(300_000, 2), all]));
  return files;
}

async function storedBytes(t: Parameters<typeof Machine.forTest>[0], options: string[]) {
  const machine = Machine.forTest(t, { here: true });
  await machine.shoal('create', 'drive', ...options);
  const files = sourceFiles();
  const expectSame = (directory: string): void => {
    for (const [name, data] of files) {
      if (!readFileSync(path.join(directory, name)).equals(data)) t.fail(`${name} is different`);
    }
  };
  const first = await machine.mount('drive', ['--offline']);
  for (const [name, data] of files) writeFileSync(path.join(first.directory, name), data);
  // A small change in the middle of a compressed chunk leaves two parts of it.
  const large = files.get('large') as Buffer;
  execFileSync('dd', [
    'if=/dev/zero',
    `of=${path.join(first.directory, 'large')}`,
    'bs=1',
    'seek=99999',
    'count=5',
    'conv=notrunc',
    'status=none',
  ]);
  large.fill(0, 99_999, 100_004);
  expectSame(first.directory);
  await first.unmount();
  const second = await machine.mount('drive', ['--offline']);
  expectSame(second.directory);
  rmSync(path.join(second.directory, 'mixed'));
  await second.unmount();
  const check = await machine.shoal('check', 'drive');
  t.ok(/no problems/.test(check), check);
  return Number(
    /chunk log .*, ([0-9.]+) (?:KiB|MiB)/.exec(
      check.replace(/([0-9.]+) MiB/g, (_, n) => `${Number(n) * 1024} KiB`),
    )?.[1],
  );
}

test('a drive is compressed unless it was made otherwise, and reads back either way', {
  timeout: 120_000,
}, async (t) => {
  const plain = await storedBytes(t, ['--compression', 'none']);
  const compressed = await storedBytes(t, []);
  t.ok(plain > 800, `${plain} KiB`);
  t.ok(compressed < plain * 0.75, `${compressed} KiB in place of ${plain}`);
  t.comment(`${compressed} KiB in place of ${plain}`);
});

test('a compression that does not exist is refused', async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const { code, stderr } = await machine.tryShoal(['create', 'drive', '--compression', 'lzma']);
  t.is(code, exitCodes.usage);
  t.ok(/Allowed choices are none, zstd/.test(stderr), stderr);
});

test('data that the drive has already costs next to nothing', { timeout: 120_000 }, async (t) => {
  const folder = temporaryFolder(t, 'dedup');
  // Records of files cost the same whatever their size, so these are not small.
  const sources = path.join(folder, 'sources');
  mkdirSync(sources);
  for (let i = 0; i < 8; i++) writeFileSync(path.join(sources, `${i}`), randomBytes(1e6, i));
  const rows = await measureDedup(folder, { treeBytes: 8e6, fileBytes: 10e6, sources });
  t.is(rows.filter(({ atMost }) => atMost !== undefined).length, 4);
  for (const { name, value, unit, atMost } of rows) {
    if (atMost === undefined || name.startsWith('tree: store')) continue;
    t.ok(value < atMost, `${name}: ${value.toFixed(2)} ${unit}, wanted below ${atMost}`);
  }
});
