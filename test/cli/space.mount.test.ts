/** `shoal rm` and `shoal du`, with a running mount and without. */
import { existsSync, linkSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import type { UsageReport } from '../../src/drive/usage-report.js';
import { Machine } from '../support/drive-mount.js';
import { SeededRandom } from '../support/seeded-random.js';

const MIB = 1 << 20;
const FILES = 300;

function fill(directory: string): void {
  mkdirSync(join(directory, 'below'), { recursive: true });
  for (let i = 0; i < FILES; i++) writeFileSync(join(directory, `file-${i}`), `content ${i}`);
  writeFileSync(join(directory, 'below', 'last'), 'last');
}

test('shoal rm', { timeout: 120_000 }, async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('drive', ['--offline']);
  const at = (...names: string[]): string => join(mount.directory, ...names);
  for (const name of ['one', 'two', 'three']) fill(at(name));
  linkSync(at('one', 'file-7'), at('kept'));
  t.is(statSync(at('kept')).nlink, 2);
  t.is(statSync(mount.directory).nlink, 5);

  const { stdout } = await machine.tryShoal(['rm', 'drive', 'one']);
  t.is(stdout, "removed '/one' from drive\n");
  t.absent(existsSync(at('one')), 'gone at once');
  t.is(statSync(mount.directory).nlink, 4);
  await machine.shoal('rm', 'drive', '/two/file-1', '--wait');
  t.is(statSync(at('kept')).nlink, 1, 'a name elsewhere keeps a file');
  t.is(readdirSync(at('two')).length, FILES);
  const status = JSON.parse(await machine.shoal('status', 'drive', '--json'));
  t.is(JSON.stringify(status).match(/"inodes":(\d+)/)?.[1], String(2 + 2 * (FILES + 3) - 1));

  const failing: [string, number][] = [
    ['nothing', 3],
    ['kept/below', 3],
    ['/', 2],
    ['a/../two', 2],
  ];
  for (const [path, code] of failing) {
    t.is((await machine.tryShoal(['rm', 'drive', path])).code, code, `rm ${path}`);
  }

  // In the middle of it, or before: whatever is left goes after the next mount.
  await machine.shoal('rm', 'drive', 'two');
  await mount.kill();
  await machine.shoal('rm', 'drive', 'three', '--wait');
  const check = JSON.parse(await machine.shoal('check', 'drive', '--json'));
  t.is(check.problemCount, 0);
  t.is(check.orphans, 0);
  t.is(check.inodes, 2, 'the root and what was kept');
  const readOnly = await machine.mount('drive', ['--offline', '--read-only']);
  t.is((await machine.tryShoal(['rm', 'drive', 'kept'])).code, 11);
  t.alike(readdirSync(readOnly.directory), ['kept']);
  await readOnly.unmount();
});

test('shoal du', { timeout: 120_000 }, async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('drive', ['--offline']);
  const random = new SeededRandom(1);
  const shared = random.bytes(2 * MIB);
  const write = (bytes: Buffer, ...names: string[]): void => {
    const path = join(mount.directory, ...names);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, bytes);
  };
  write(shared, 'a', 'deep', 'file');
  write(shared, 'b', 'copy');
  write(shared, 'b', 'again');
  write(random.bytes(MIB), 'c', 'old');
  await machine.shoal('du', 'drive');
  write(random.bytes(MIB), 'c', 'old');
  write(Buffer.alloc(100, 1), 'c', 'small');

  const mounted = JSON.parse(await machine.shoal('du', 'drive', '--json')) as UsageReport;
  const row = (report: UsageReport, path: string) => report.rows.find((each) => each.path === path);
  t.alike(
    mounted.rows.map(({ path }) => path),
    ['/', '/a', '/b', '/c'],
  );
  const figures = (path: string) => {
    const { files, logicalBytes, storedBytes, sharedBytes } = row(mounted, path) ?? {};
    return { files, logicalBytes, storedBytes, sharedBytes };
  };
  const a = { files: 1, logicalBytes: 2 * MIB, storedBytes: 2 * MIB, sharedBytes: 2 * MIB };
  t.alike(figures('/a'), a);
  t.alike(figures('/b'), { ...a, files: 2, logicalBytes: 4 * MIB }, 'twice in it, stored once');
  const c = { files: 2, logicalBytes: MIB + 100, storedBytes: MIB + 100, sharedBytes: 0 };
  t.alike(figures('/c'), c);
  const whole = {
    files: 5,
    logicalBytes: 7 * MIB + 100,
    storedBytes: 3 * MIB + 100,
    sharedBytes: 0,
  };
  t.alike(figures('/'), whole, 'with nobody outside to share with');
  t.is(row(mounted, '/')?.referencedBytes, 7 * MIB + 100);
  // What was overwritten, but for a small chunk in a block with another that is needed.
  const { bytes } = mounted.history;
  t.ok(bytes > 0.9 * MIB && bytes < 1.02 * MIB, `one version of c/old: ${bytes}`);
  t.ok(mounted.chunkLog.bytes > 4 * MIB && mounted.chunkLog.bytes < 4.1 * MIB);

  const text = await machine.shoal('du', 'drive');
  t.ok(/2\.0 MiB \(100 %\) +1 +\/a/.test(text), text);
  t.ok(text.includes('deduplication saves 4.0 MiB (57 % of the content)'), text);
  await mount.unmount();
  const unmounted = JSON.parse(await machine.shoal('du', 'drive', '--json')) as UsageReport;
  t.alike(unmounted.rows, mounted.rows, 'the same without a mount');
  t.alike(unmounted.history, mounted.history);

  const deep = JSON.parse(
    await machine.shoal('du', 'drive', 'a', '--depth', '3', '--json'),
  ) as UsageReport;
  t.alike(
    deep.rows.map(({ path, sharedBytes }) => [path, sharedBytes]),
    [
      ['/', 0],
      ['/a', 2 * MIB],
      ['/a/deep', 2 * MIB],
    ],
  );
  const file = JSON.parse(await machine.shoal('du', 'drive', 'c/small', '--json')) as UsageReport;
  t.alike(file.rows[0], mounted.rows[0], 'the whole is the same, whatever is asked for');
  const { path, files, storedBytes } = file.rows[1] ?? {};
  t.alike([path, files, storedBytes], ['/c/small', 1, 100], 'a file has a line, too');
  const copy = JSON.parse(await machine.shoal('du', 'drive', 'b/copy', '--json')) as UsageReport;
  t.alike([copy.rows[1]?.storedBytes, copy.rows[1]?.sharedBytes], [2 * MIB, 2 * MIB]);
  for (const command of ['du', 'ls', 'rm', 'log', 'pin']) {
    for (const missing of ['c/nothing', '/c/nothing/']) {
      const { code, stderr } = await machine.tryShoal([command, 'drive', missing]);
      t.is(code, 3, command);
      t.ok(stderr.startsWith("shoal: Cannot find '/c/nothing' in the drive"), stderr);
    }
  }
  t.is((await machine.tryShoal(['du', 'drive', '..'])).code, 2);
  t.is((await machine.tryShoal(['du', 'drive', '--depth', 'x'])).code, 2);
});
