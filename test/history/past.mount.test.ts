/** The past of a drive as people see it: mounted with --at, and in `.shoal`, by real tools. */
import {
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import {
  errorCode,
  eventually,
  SHARING_TIME,
  SharedDrive,
} from '../sharing/support/shared-drive.js';
import { command } from '../support/command.js';
import { type DriveMount, Machine } from '../support/drive-mount.js';
import { randomBytes } from '../support/random-bytes.js';
import { shoalHere, tryHere } from './support/command-here.js';

const TIME = { timeout: 120_000 } as const;
const OFFLINE = ['--offline'];

/** Fills a drive in three commits; returns the version of each. */
async function fill(mount: DriveMount): Promise<[number, number, number]> {
  const at = (name: string): string => path.join(mount.directory, name);
  mkdirSync(at('docs/deep'), { recursive: true });
  writeFileSync(at('docs/deep/text'), 'first\n');
  writeFileSync(at('large'), randomBytes(2_500_000, 1));
  linkSync(at('large'), at('docs/large-too'));
  symlinkSync('docs/deep', at('link'));
  const first = await versionAfterCommit(mount);
  writeFileSync(at('docs/deep/text'), 'second\n');
  const second = await versionAfterCommit(mount);
  rmSync(at('docs'), { recursive: true });
  writeFileSync(at('large'), 'small now');
  const third = await versionAfterCommit(mount);
  return [first, second, third];
}

async function versionAfterCommit(mount: DriveMount): Promise<number> {
  await mount.commit();
  const printed = await shoalHere(mount.machine, 'status', mount.name, '--json');
  return JSON.parse(printed).mount.fileSystem.version;
}

test('undelete: what was deleted is copied out of .shoal', TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const mount = await machine.createAndMount('drive', OFFLINE);
  const at = (name: string): string => path.join(mount.directory, name);
  const [first, second, third] = await fill(mount);
  await shoalHere(machine, 'snapshot', 'drive', 'after');
  const versions = at('.shoal/versions');
  t.is(readFileSync(path.join(versions, `${first}/docs/deep/text`), 'utf8'), 'first\n');
  t.is(readFileSync(path.join(versions, `${second}/docs/deep/text`), 'utf8'), 'second\n');
  t.absent(existsSync(path.join(versions, `${third}/docs`)));
  t.absent(existsSync(path.join(versions, '9999')), 'no such version');
  t.absent(existsSync(path.join(versions, `0${first}`)), 'nor such a name');
  t.alike(readdirSync(at('.shoal')), ['snapshots', 'versions']);
  t.alike(readdirSync(at('.shoal/snapshots')), ['after']);
  t.ok(readdirSync(versions).includes(String(second)));

  // The tools that people use on it.
  const copy = path.join(machine.folder, 'copy');
  await command('cp', ['-a', path.join(versions, String(second)), copy]);
  await command('diff', ['-r', '--no-dereference', path.join(versions, String(second)), copy]);
  t.is(
    statSync(path.join(copy, 'large')).ino,
    statSync(path.join(copy, 'docs/large-too')).ino,
    'links stay links',
  );
  await command('cp', ['-a', path.join(versions, `${first}/docs`), at('docs')]);
  t.is(readFileSync(at('docs/deep/text'), 'utf8'), 'first\n');
  const found = await command('find', [path.join(versions, String(first)), '-type', 'f']);
  t.is(found.trim().split('\n').length, 3);
  const [one, two] = [first, second].map((version) => path.join(versions, String(version)));
  await t.exception(command('diff', ['-r', String(one), String(two)]));
  await mount.unmount();
});

test('the past has numbers of its own, on the same device', TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const mount = await machine.createAndMount('drive', OFFLINE);
  const [first, second] = await fill(mount);
  await shoalHere(machine, 'snapshot', 'drive', 'label');
  const { directory } = mount;
  const roots = [
    `.shoal/versions/${first}`,
    `.shoal/versions/${second}`,
    '.shoal/snapshots/label',
    '.',
  ];
  const large = roots.map((root) =>
    lstatSync(path.join(directory, root, 'large'), { bigint: true }),
  );
  t.is(new Set(large.map(({ ino }) => ino)).size, 4, 'one file, four numbers');
  t.is(new Set(large.map(({ dev }) => dev)).size, 1);
  t.ok(large.every(({ ino }) => ino < 2n ** 53n));
  const [link, other] = ['large', 'docs/large-too'].map(
    (name) => lstatSync(path.join(directory, `.shoal/versions/${first}`, name)).ino,
  );
  t.is(link, other, 'two names of one file have one number');
  await mount.unmount();
});

test('whoever goes over everything does not come upon the past', TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const mount = await machine.createAndMount('drive', OFFLINE);
  const [first] = await fill(mount);
  const { directory } = mount;
  t.ok(existsSync(path.join(directory, `.shoal/versions/${first}/large`)));
  t.absent(readdirSync(directory).includes('.shoal'));
  const found = await command('find', [directory, '-name', '.shoal*']);
  t.is(found, '');
  const target = path.join(machine.folder, 'rsynced');
  await command('rsync', ['-a', `${directory}/`, target]);
  t.alike(readdirSync(target).sort(), readdirSync(directory).sort());
  for (const name of readdirSync(directory))
    await command('rm', ['-r', path.join(directory, name)]);
  t.alike(readdirSync(directory), []);
  t.ok(
    existsSync(path.join(directory, `.shoal/versions/${first}/large`)),
    'the past is still there',
  );
  await mount.unmount();
});

test('the past cannot be changed, and nothing can take its name', TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const mount = await machine.createAndMount('drive', OFFLINE);
  const at = (name: string): string => path.join(mount.directory, name);
  const [first] = await fill(mount);
  const old = `.shoal/versions/${first}`;
  const changes: [string, () => void][] = [
    ['EROFS', () => writeFileSync(at(`${old}/docs/deep/text`), 'x')],
    ['EROFS', () => writeFileSync(at(`${old}/new`), 'x')],
    ['EROFS', () => mkdirSync(at(`${old}/new`))],
    ['EROFS', () => rmSync(at(`${old}/large`))],
    ['EROFS', () => mkdirSync(at('.shoal/snapshots/new'))],
    ['EROFS', () => mkdirSync(at('.shoal/new'))],
    ['EEXIST', () => mkdirSync(at('.shoal'))],
    ['EISDIR', () => closeSync(openSync(at('.shoal'), 'w'))],
  ];
  for (const [code, change] of changes) t.is(errorCode(change), code, String(change));
  t.is(
    (await tryRun('mv', [at('large'), at('.shoal/')])) > 0,
    true,
    'nothing can be moved into it',
  );
  t.is((await tryRun('mv', ['-T', at('.shoal'), at('mine')])) > 0, true, 'it cannot be moved');
  t.is((await tryRun('rmdir', [at('.shoal')])) > 0, true, 'nor removed');
  t.is((await tryRun('ln', [at(`${old}/large`), at('link-out')])) > 0, true, 'nor linked to');
  t.is(readFileSync(at(`${old}/docs/deep/text`), 'utf8'), 'first\n');
  await mount.unmount();
  const report = JSON.parse(await shoalHere(machine, 'check', 'drive', '--json'));
  t.is(report.problemCount, 0);
});

async function tryRun(program: string, args: string[]): Promise<number> {
  try {
    await command(program, args);
    return 0;
  } catch (error) {
    return error instanceof Error ? 1 : 2;
  }
}

test('a drive is mounted as it was, by number, time and label', TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const mount = await machine.createAndMount('drive', OFFLINE);
  const [first, second] = await fill(mount);
  const log = JSON.parse(await shoalHere(machine, 'log', 'drive', '--json'));
  const { timeMs } = log.versions.find(({ version }: { version: number }) => version === second);
  await shoalHere(machine, 'snapshot', 'drive', 'label');
  await mount.unmount();
  const textAt = async (at: string): Promise<string | null> => {
    const old = await machine.mount('drive', ['--offline', '--at', at]);
    const file = path.join(old.directory, 'docs/deep/text');
    const text = existsSync(file) ? readFileSync(file, 'utf8') : null;
    t.is(
      errorCode(() => writeFileSync(path.join(old.directory, 'new'), '')),
      'EROFS',
    );
    await old.unmount();
    return text;
  };
  t.is(await textAt(String(first)), 'first\n');
  t.is(await textAt('label'), null);
  const time = new Date(timeMs).toISOString();
  t.is(await textAt(time), 'second\n');
  const refused: [string, number, RegExp][] = [
    ['999', exitCodes.notFound, /has versions 1 to \d+/],
    ['2001-01-01', exitCodes.notFound, /the oldest that is kept is version 1 of /],
    ['no-such', exitCodes.notFound, /the drive has 'label'$/m],
    ['a b', exitCodes.usage, /give its number, a time/],
  ];
  for (const [at, code, message] of refused) {
    const result = await tryHere(
      machine,
      ...['mount', 'drive', machine.makeMountPoint(), '--offline', '--at', at],
    );
    t.is(result.code, code, at);
    t.ok(message.test(result.stderr), result.stderr);
  }
});

test('a reader has the past, too, and of its own snapshots none', SHARING_TIME, async (t) => {
  const shared = await SharedDrive.forTest(t, { here: true });
  const [first] = await fill(shared.origin);
  await shoalHere(shared.origin.machine, 'snapshot', 'origin', 'label');
  const reader = await shared.addReader();
  const old = path.join(reader.directory, `.shoal/versions/${first}/docs/deep/text`);
  await eventually('the reader reads an old file', () => readFileSync(old, 'utf8') === 'first\n');
  await eventually('and sees the snapshot', () => {
    return readdirSync(path.join(reader.directory, '.shoal/snapshots')).join() === 'label';
  });
  const result = await tryHere(reader.machine, 'snapshot', 'reader', 'mine');
  t.is(result.code, exitCodes.readOnly, result.stderr);
  await reader.unmount();
  const then = await reader.machine.mount('reader', ['--at', String(first)]);
  t.is(readFileSync(path.join(then.directory, 'docs/deep/text'), 'utf8'), 'first\n');
  await then.unmount();
});
