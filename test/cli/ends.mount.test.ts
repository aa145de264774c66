/** How mounts begin and end, seen from the command line. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { eventually, statusOf } from '../sharing/support/shared-drive.js';
import { ended } from '../support/command.js';
import { BootstrapNode, isRunning, Machine, SHOAL } from '../support/drive-mount.js';
import { LineReader } from '../support/line-reader.js';
import { mountsBelow } from '../support/runner/leftovers.js';

test('mount - SIGTERM and SIGINT commit and unmount', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const mount = await machine.mount('notes', ['--offline']);
    writeFileSync(join(mount.directory, signal), signal);
    await mount.kill(signal);
    t.alike(mountsBelow(machine.folder), []);
  }
  const mount = await machine.mount('notes', ['--offline']);
  t.is(readFileSync(join(mount.directory, 'SIGTERM'), 'utf8'), 'SIGTERM');
  t.is(readFileSync(join(mount.directory, 'SIGINT'), 'utf8'), 'SIGINT');
  await mount.unmount();
});

test('mount - after kill -9 it mounts again at once, at the same place and elsewhere', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  const first = await machine.mount('notes', ['--offline']);
  await first.kill('SIGKILL');
  const second = await machine.mount('notes', ['--offline'], first.directory);
  await second.kill('SIGKILL');
  const third = await machine.mount('notes', ['--offline']);
  await third.unmount();
});

test('mount - a drive that is mounted is refused, and so is its directory', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'other');
  const mount = await machine.createAndMount('notes', ['--offline']);
  const again = await machine.tryShoal(['mount', 'notes', machine.makeMountPoint(), '--offline']);
  t.is(again.code, exitCodes.busy);
  t.ok(again.stderr.includes(`mounted at ${mount.directory} by process ${mount.pid}`));
  const taken = await machine.tryShoal(['mount', 'other', mount.directory, '--offline']);
  t.is(taken.code, exitCodes.busy);
  t.ok(taken.stderr.includes("drive 'notes' is mounted there"));
  await mount.unmount();
});

test('unmount - in use, it names the process and the mount goes on; --force detaches', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  const inside = join(mount.directory, 'folder');
  mkdirSync(inside);
  const holder = spawn('sleep', ['1000'], { cwd: inside, stdio: 'ignore' });
  t.teardown(() => holder.kill('SIGKILL'), { force: true });
  for (const what of ['notes', mount.directory]) {
    const busy = await machine.tryShoal(['unmount', what]);
    t.is(busy.code, exitCodes.busy);
    t.ok(busy.stderr.includes(`sleep (pid ${holder.pid}: working directory)`), busy.stderr);
  }
  writeFileSync(join(inside, 'file'), 'still here');
  const forced = await machine.shoal('unmount', 'notes', '--force');
  const cutOff = `cut off: sleep (pid ${holder.pid}: working directory)`;
  t.is(forced, `unmounted notes; ${cutOff}; all that it was given is committed\n`);
  await mount.ended();
  t.alike(mountsBelow(machine.folder), []);
  const again = await machine.mount('notes', ['--offline']);
  t.is(readFileSync(join(again.directory, 'folder', 'file'), 'utf8'), 'still here');
  await again.unmount();
});

test('unmount - by somebody else the process ends in order', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  writeFileSync(join(mount.directory, 'file'), 'x');
  const unmount = spawn('umount', [mount.directory], { stdio: 'inherit' });
  t.is((await ended(unmount)).code, 0);
  await mount.ended();
  const again = await machine.mount('notes', ['--offline']);
  t.ok(existsSync(join(again.directory, 'file')));
  await again.unmount();
});

test('mount --foreground - stays, and ends the mount when it is ended, even killed', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  for (const [signal, code] of [
    ['SIGTERM', 0],
    ['SIGKILL', null],
  ] as const) {
    const directory = machine.makeMountPoint();
    const args = [SHOAL, 'mount', 'notes', directory, '--offline', '--foreground', '--json'];
    const env = { ...process.env, SHOAL_HOME: machine.home };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => child.kill('SIGKILL'), { force: true });
    const line = await new LineReader(child.stdout).next();
    const report = JSON.parse(line) as { directory: string; pid: number };
    t.is(report.directory, directory);
    writeFileSync(join(directory, signal), '');
    child.kill(signal);
    t.is((await ended(child)).code, code);
    const giveUpAt = performance.now() + 10_000;
    // What serves the mount holds the drive for a while after the mount is gone.
    while (isRunning(report.pid) && performance.now() < giveUpAt) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    t.alike(mountsBelow(machine.folder), []);
  }
  const mount = await machine.mount('notes', ['--offline']);
  t.ok(existsSync(join(mount.directory, 'SIGTERM')));
  t.ok(existsSync(join(mount.directory, 'SIGKILL')));
  await mount.unmount();
});

test('mount KEY - joins once, under a name, from the command line or standard input', async (t) => {
  const node = await BootstrapNode.forTest(t);
  const bootstrap = { bootstrap: node.address };
  const origin = Machine.forTest(t, bootstrap);
  const reader = Machine.forTest(t, bootstrap);
  const mount = await origin.createAndMount('notes');
  // Committed when it is synced, so that the reader's first look finds it.
  writeFileSync(join(mount.directory, 'file'), 'shared', { flush: true });
  const key = (await origin.shoal('share', 'notes')).trim();

  const copy = await reader.mount(key, ['--name', 'copy']);
  t.is(copy.name, 'copy');
  t.is(readFileSync(join(copy.directory, 'file'), 'utf8'), 'shared');
  t.is(
    errorCode(() => writeFileSync(join(copy.directory, 'x'), '')),
    'EROFS',
  );
  // Of two connections with one peer, one is dropped.
  await eventually('one peer', async () => (await statusOf(copy)).peers === 1);
  t.ok((await statusOf(copy)).readOnly);
  await copy.unmount();

  const directory = reader.makeMountPoint();
  const printed = await reader.tryShoal(['mount', '-', directory, '--json'], `${key}\n`);
  t.is((JSON.parse(printed.stdout) as { name: string }).name, 'copy', 'the same drive');
  await reader.shoal('unmount', 'copy');
  t.is((JSON.parse(await reader.shoal('list', '--json')) as unknown[]).length, 1);
  await mount.unmount();
});

test('mount KEY - with nobody there it fails at the deadline with one line', async (t) => {
  const node = await BootstrapNode.forTest(t);
  const machine = Machine.forTest(t, { bootstrap: node.address });
  const stranger = Machine.forTest(t);
  await stranger.shoal('create', 'notes');
  const key = (await stranger.shoal('share', 'notes')).trim();
  const directory = machine.makeMountPoint();
  const result = await machine.tryShoal(['mount', key, directory, '--deadline', '0.5']);
  t.is(result.code, exitCodes.unavailable);
  // The node may not have answered yet by then.
  t.ok(
    /^shoal: Cannot open 'drive-[0-9a-f]+': (bootstrap node \S+ does not answer, so that )?no peer [^\n]+\n$/.test(
      result.stderr,
    ),
    result.stderr,
  );
  t.alike(mountsBelow(machine.folder), []);
});

test('mount - an unreachable bootstrap node does not stop a drive that is here', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--bootstrap', '127.0.0.1:1']);
  writeFileSync(join(mount.directory, 'file'), 'x');
  const log = join(machine.home, 'drives', 'notes', 'log');
  const giveUpAt = performance.now() + 20_000;
  while (!readFileSync(log, 'utf8').includes('does not answer') && performance.now() < giveUpAt) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.ok(readFileSync(log, 'utf8').includes('bootstrap node 127.0.0.1:1 does not answer'));
  await mount.unmount();
});

test('mount - keys are in no log and in no process list', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  const drive = join(machine.home, 'drives', 'notes');
  const { capability } = JSON.parse(readFileSync(join(drive, 'drive.json'), 'utf8')) as {
    capability: string;
  };
  t.ok(capability.startsWith('shoal-write-'));
  for (const file of [
    join(drive, 'log'),
    `/proc/${mount.pid}/cmdline`,
    `/proc/${mount.pid}/environ`,
  ]) {
    t.absent(readFileSync(file, 'latin1').includes(capability.slice(12)), file);
  }
  await mount.unmount();
});

function errorCode(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
