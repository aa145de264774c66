/** Ends of a mount under adverse conditions, and what cannot be mounted on. */
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { ended } from '../support/command.js';
import { Machine, SHOAL } from '../support/drive-mount.js';
import { LineReader } from '../support/line-reader.js';
import { mountsBelow } from '../support/runner/leftovers.js';
import { checkDrive, describeReport } from './support/check-drive.js';

const WRITTEN = Buffer.alloc(3_000_000, 'written');

test('end - SIGTERM and SIGINT keep what was written just before, and exit with 0', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { child, directory, pid } = await mountInForeground(t, machine);
    writeFileSync(join(directory, `closed-${signal}`), WRITTEN);
    // What is still in the kernel's cache, of a file that is open.
    const descriptor = openSync(join(directory, `open-${signal}`), 'w');
    writeSync(descriptor, WRITTEN);
    process.kill(pid, signal);
    t.is((await ended(child)).code, 0, `exit code after ${signal}`);
    closeQuietly(descriptor);
    t.alike(mountsBelow(machine.folder), []);
  }
  const mount = await machine.mount('notes', ['--offline']);
  const names = ['closed-SIGINT', 'closed-SIGTERM', 'open-SIGINT', 'open-SIGTERM'];
  t.alike(readdirSync(mount.directory).sort(), names);
  for (const name of names) {
    t.ok(readFileSync(join(mount.directory, name)).equals(WRITTEN), name);
  }
  await mount.unmount();
});

test('end - unmount names who has a file open; --force keeps what was written', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  const path = join(mount.directory, 'open file');
  const holder = spawn('sleep', ['1000'], { stdio: [openSync(path, 'w'), 'ignore', 'ignore'] });
  t.teardown(() => holder.kill('SIGKILL'), { force: true });
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, WRITTEN);

  const busy = await machine.tryShoal(['unmount', mount.directory]);
  t.is(busy.code, exitCodes.busy);
  t.ok(busy.stderr.includes(`sleep (pid ${holder.pid}: open file 'open file')`), busy.stderr);
  t.ok(busy.stderr.includes(`(pid ${process.pid}: open file 'open file')`), busy.stderr);
  t.ok(
    busy.stderr.includes(`with 'shoal unmount --force ${mount.directory}'`),
    'it says what to do',
  );
  t.is(statSync(path).size, WRITTEN.length, 'the mount goes on');

  await machine.shoal('unmount', mount.directory, '--force');
  await mount.ended();
  t.alike(mountsBelow(machine.folder), []);
  const late = errorCode(() => {
    // The kernel may take it into its cache; it cannot come any further.
    writeSync(descriptor, 'x');
    fsyncSync(descriptor);
  });
  t.ok(late !== undefined, 'open files are cut off');
  closeQuietly(descriptor);
  const again = await machine.mount('notes', ['--offline'], mount.directory);
  t.ok(readFileSync(path).equals(WRITTEN));
  await again.unmount();
});

test('end - a mount that nobody serves any more is cleaned away by the next', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  writeFileSync(join(mount.directory, 'file'), 'synced', { flush: true });
  const unmounters = unmountersOf(mount.directory);
  t.is(unmounters.length, 1, 'fusermount3 waits for the end of the process');
  // From now on the kernel can say what that is without asking.
  statSync(mount.directory);
  for (const pid of unmounters) process.kill(pid, 'SIGKILL');
  await mount.kill('SIGKILL');
  t.alike(mountsBelow(machine.folder), [mount.directory], 'the mount is left');
  t.ok(errorCode(() => readdirSync(mount.directory)) !== undefined, 'and dead');

  const mounted = await machine.tryShoal(['mount', 'notes', mount.directory, '--offline']);
  t.is(mounted.code, 0, mounted.stderr);
  t.ok(/^shoal: Detached a dead mount at '[^\n]+'\n$/.test(mounted.stderr), mounted.stderr);
  t.alike(mountsBelow(machine.folder), [mount.directory], 'there is one mount');
  t.is(readFileSync(join(mount.directory, 'file'), 'utf8'), 'synced');
  await machine.shoal('unmount', 'notes');
  t.alike(mountsBelow(machine.folder), []);
});

test('end - a file that was deleted while open and then the process killed is collected', async (t) => {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount('notes', ['--offline']);
  const path = join(mount.directory, 'deleted');
  writeFileSync(path, WRITTEN, { flush: true });
  const descriptor = openSync(path, 'r');
  const { ino } = statSync(path);
  // A name that goes and a name that comes are synced together.
  writeFileSync(join(mount.directory, 'kept'), 'kept');
  await deleteAndSync(mount.directory, 'deleted');
  await mount.kill('SIGKILL');
  closeQuietly(descriptor);
  const crashed = await checkDrive(machine.home, 'notes');
  t.alike(crashed.orphans, [ino], 'the crash left an orphan');
  t.alike(crashed.problems, []);

  const again = await machine.mount('notes', ['--offline'], mount.directory);
  t.alike(readdirSync(again.directory), ['kept']);
  await again.unmount();
  const report = await checkDrive(machine.home, 'notes');
  t.alike(describeReport(report), []);
  t.is(report.inodes, 2, 'the root and one file are left');
});

test('mount - what cannot be mounted on is refused with one line that says what to do', async (t) => {
  const machine = Machine.forTest(t);
  await machine.shoal('create', 'notes');
  const filled = machine.makeMountPoint();
  writeFileSync(join(filled, 'file'), '');
  const inStore = join(machine.home, 'drives', 'notes', 'mount');
  mkdirSync(inStore);
  const missing = join(machine.folder, 'missing');
  const refusals: [string, number, RegExp][] = [
    [filled, exitCodes.usage, /not empty; choose an empty one/],
    [join(filled, 'file'), exitCodes.usage, /not a directory/],
    [inStore, exitCodes.usage, /inside SHOAL_HOME/],
    [machine.folder, exitCodes.usage, /SHOAL_HOME '.*' is inside it/],
    [missing, exitCodes.notFound, /no such directory; make it with 'mkdir -p/],
    [join(missing, 'deeper'), exitCodes.notFound, /no such directory/],
  ];
  for (const [directory, code, message] of refusals) {
    const result = await machine.tryShoal(['mount', 'notes', directory, '--offline']);
    t.is(result.code, code, basename(directory));
    t.ok(message.test(result.stderr), result.stderr);
    t.ok(/^shoal: Cannot mount at '[^\n]+\n$/.test(result.stderr), 'one line');
    t.ok(result.stderr.includes(`'${directory}'`), 'it names the directory');
  }
  t.absent(existsSync(missing), 'nothing was made');
  t.alike(mountsBelow(machine.folder), []);
});

/** `shoal mount --foreground`; killed when the test ends. */
async function mountInForeground(t: Assertions, machine: Machine) {
  const directory = machine.makeMountPoint();
  const args = [SHOAL, 'mount', 'notes', directory, '--offline', '--foreground', '--json'];
  const env = { ...process.env, SHOAL_HOME: machine.home };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'), { force: true });
  const { pid } = JSON.parse(await new LineReader(child.stdout).next()) as { pid: number };
  return { child, directory, pid };
}

/** The processes that unmount a directory when the process that serves it ends. */
function unmountersOf(directory: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid)) return false;
      const words = readOrEmpty(`/proc/${pid}/cmdline`).split('\0');
      return basename(words[0] ?? '') === 'fusermount3' && words.includes(directory);
    });
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}

/** In a process of its own, which has nothing open there. */
async function deleteAndSync(directory: string, name: string): Promise<void> {
  const child = spawn('sh', ['-c', 'rm -- "$1" && sync .', 'sh', name], {
    cwd: directory,
    stdio: 'inherit',
  });
  const { code } = await ended(child);
  if (code !== 0) throw new Error(`Deleting '${name}' ended with ${code}`);
}

/** The mount may be gone. */
function closeQuietly(descriptor: number): void {
  const code = errorCode(() => closeSync(descriptor));
  if (code !== undefined && code !== 'ECONNABORTED' && code !== 'ENOTCONN') {
    throw new Error(`Cannot close: ${code}`);
  }
}

function errorCode(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
