/** Files of the store that are gone, cut short or cannot be read: an error for what was in them, and nothing else. */
import {
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { Home } from '../../src/drive/home.js';
import { VALUES } from '../../src/log/values/value-files.js';
import { contentOf } from '../durability/support/workload.js';
import { errorCode } from '../sharing/support/shared-drive.js';
import { type DriveMount, isRunning, Machine } from '../support/drive-mount.js';
import {
  check,
  checkHere,
  DRIVE,
  damageBlock,
  driveWith,
  FILE_BYTES,
  problemsOf,
} from './support/damaged-drive.js';

const TIME = { timeout: 120_000 } as const;

test('io - a file of the store with blocks is gone', TIME, async (t) => {
  const { machine, directory, file } = await driveInTwoFiles(t);
  renameSync(file, join(machine.folder, 'away'));
  const { code, report } = await check(machine);
  t.is(code, exitCodes.damaged);
  t.alike(namesIn(report.problems), ['first'], 'what was in it is named');
  const mount = await machine.mount(DRIVE, ['--offline'], directory);
  await expectOnlyFirstFails(t, mount);
  await unmountSomehow(t, mount);
  // The disk was not there for a while.
  renameSync(join(machine.folder, 'away'), file);
  t.alike(problemsOf(await checkHere(machine)), [], 'nothing was lost');
});

test('io - a file of the store is cut short while the drive is mounted', TIME, async (t) => {
  const { machine, directory, file } = await driveInTwoFiles(t);
  const mount = await machine.mount(DRIVE, ['--offline'], directory);
  truncateSync(file, 1000);
  await expectOnlyFirstFails(t, mount);
  const { code, report } = await check(machine);
  t.is(code, exitCodes.damaged, 'the mount checks itself');
  t.alike(namesIn(report.problems), ['first']);
  await unmountSomehow(t, mount);
  const repaired = await checkHere(machine, { repair: true });
  t.alike(namesIn(repaired.problems), ['first'], 'nobody has it');
  t.ok(repaired.repairs.length > 0, 'the damaged blocks are out of the way');
  const again = await machine.mount(DRIVE, ['--offline'], directory);
  t.ok(readFileSync(join(directory, 'second')).equals(contentOf(1, FILE_BYTES)));
  t.is(readFileSync(join(directory, 'third'), 'utf8'), 'third', 'what was synced is there');
  await again.unmount();
});

test('io - a damaged block is not moved by a collection: the mount goes on', TIME, async (t) => {
  const names = ['first', 'second', 'third'];
  const machine = await driveWith(t, names);
  await damageBlock(machine, 'content', 1);
  const mount = await machine.mount(DRIVE, ['--offline']);
  const { directory } = mount;
  writeFileSync(join(directory, 'third'), 'short', { flush: true });
  await machine.shoal('retention', DRIVE, '--keep', '0');
  const collected = await machine.tryShoal(['collect', DRIVE]);
  t.is(collected.code, exitCodes.damaged);
  t.ok(collected.stderr.includes('--repair'), collected.stderr);
  writeFileSync(join(directory, 'fourth'), 'fourth', { flush: true });
  t.ok(readFileSync(join(directory, 'second')).equals(contentOf(1, FILE_BYTES)));
  t.alike(namesIn((await check(machine)).report.problems), ['first']);
  await mount.unmount();
  await checkHere(machine, { repair: true });
  const again = await machine.mount(DRIVE, ['--offline'], directory);
  await machine.shoal('collect', DRIVE);
  t.is(readFileSync(join(directory, 'fourth'), 'utf8'), 'fourth');
  await again.unmount();
});

test('io - the store itself cannot be opened: one line, and an exit code', TIME, async (t) => {
  const { machine } = await driveInTwoFiles(t);
  const store = new Home(machine.home).paths(DRIVE).store;
  const table = filesOf(store, '.sst').at(-1)?.path as string;
  renameSync(table, join(machine.folder, 'away'));
  for (const command of [
    ['check', DRIVE],
    ['check', DRIVE, '--repair', '--offline'],
    ['mount', DRIVE, machine.makeMountPoint(), '--offline'],
  ]) {
    const { code, stderr } = await machine.tryShoal(command);
    t.ok(code === exitCodes.store || code === exitCodes.damaged, `${command[0]}: ${code}`);
    t.ok(/^shoal: Cannot (open|make) [^\n]+; [^\n]+\n$/.test(stderr), stderr);
  }
  renameSync(join(machine.folder, 'away'), table);
  t.alike(problemsOf(await checkHere(machine)), [], 'nothing was lost');
});

/** Two files, whose blocks are in different files of the store; `file` has those of the first. */
async function driveInTwoFiles(
  t: Assertions,
): Promise<{ machine: Machine; directory: string; file: string }> {
  const machine = Machine.forTest(t);
  let mount = await machine.createAndMount(DRIVE, ['--offline']);
  writeFileSync(join(mount.directory, 'first'), contentOf(0, FILE_BYTES), { flush: true });
  await mount.commit();
  // After such an end blocks go to another file.
  await mount.kill();
  const { store } = new Home(machine.home).paths(DRIVE);
  const file = join(store, VALUES, '00000001.values');
  mount = await machine.mount(DRIVE, ['--offline'], mount.directory);
  writeFileSync(join(mount.directory, 'second'), contentOf(1, FILE_BYTES), { flush: true });
  await mount.unmount();
  return { machine, directory: mount.directory, file };
}

function filesOf(store: string, ending: string): { path: string; bytes: number }[] {
  return readdirSync(join(store, 'db'))
    .filter((name) => name.endsWith(ending))
    .map((name) => join(store, 'db', name))
    .map((path) => ({ path, bytes: statSync(path).size }));
}

async function expectOnlyFirstFails(t: Assertions, mount: DriveMount): Promise<void> {
  const { directory } = mount;
  t.is(
    errorCode(() => readFileSync(join(directory, 'first'))),
    'EIO',
  );
  t.ok(readFileSync(join(directory, 'second')).equals(contentOf(1, FILE_BYTES)));
  writeFileSync(join(directory, 'third'), 'third', { flush: true });
  t.is(readFileSync(join(directory, 'third'), 'utf8'), 'third', 'and it can be written');
  t.ok(isRunning(mount.pid), 'the mount is up');
}

/** The database may find out, in the background, and then it cannot be closed in order. */
async function unmountSomehow(t: Assertions, mount: DriveMount): Promise<void> {
  const { code, stderr } = await mount.machine.tryShoal(['unmount', DRIVE]);
  const isNamed = code === exitCodes.store && stderr.startsWith('shoal: Cannot close the store: ');
  t.ok(code === exitCodes.ok || isNamed, `code ${code}: ${stderr}`);
  await mount.ended();
  mount.machine.forget(mount);
}

function namesIn(problems: readonly { paths: string[] }[]): string[] {
  return [...new Set(problems.flatMap(({ paths }) => paths))].sort();
}
