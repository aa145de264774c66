/** snapshot, log, diff and restore: the same with a running mount and without. */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import test, { type Assertions } from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import type { UsageReport } from '../../src/drive/usage-report.js';
import type { LogPage } from '../../src/fs/history/change-log.js';
import type { PathDifference } from '../../src/fs/history/version-diff.js';
import { limits } from '../../src/limits.js';
import { type ListedFile, listTree } from '../format/tree-listing.js';
import { statusOf } from '../sharing/support/shared-drive.js';
import { type DriveMount, Machine } from '../support/drive-mount.js';
import { randomBytes } from '../support/random-bytes.js';
import { mknod, utimensat } from '../support/syscalls.js';
import { setxattr } from '../support/xattr.js';
import { shoalHere, tryHere } from './support/command-here.js';

const TIME = { timeout: 120_000 } as const;
const S_IFIFO = 0o010000;

/** Runs a command with the drive mounted and again without; both must print the same. */
async function both(t: Assertions, mount: DriveMount, args: string[]): Promise<string> {
  const { machine, name } = mount;
  await mount.commit();
  const mounted = await shoalHere(machine, ...args);
  await mount.unmount();
  const unmounted = await shoalHere(machine, ...args);
  await machine.mount(name, ['--offline'], mount.directory);
  t.is(unmounted, mounted, `${args.join(' ')}: the same with and without a mount`);
  return mounted;
}

async function drive(t: Assertions): Promise<DriveMount> {
  return await Machine.forTest(t, { here: true }).createAndMount('drive', ['--offline']);
}

test('snapshots: made, listed, deleted; a label is there once', TIME, async (t) => {
  const mount = await drive(t);
  const { machine, directory } = mount;
  writeFileSync(path.join(directory, 'file'), 'first');
  // Not committed before the command: a snapshot has all that was written.
  const first = JSON.parse(await shoalHere(machine, 'snapshot', 'drive', 'one', '--json'));
  t.is(readFileSync(path.join(directory, '.shoal/snapshots/one/file'), 'utf8'), 'first');
  const again = await tryHere(machine, 'snapshot', 'drive', 'one');
  t.is(again.code, exitCodes.alreadyExists);
  t.ok(
    /there is one, of version \d+; delete it first with --delete/.test(again.stderr),
    again.stderr,
  );
  for (const label of ['12', '2026-11-20', 'a/b', '.a', 'x'.repeat(65)]) {
    t.is((await tryHere(machine, 'snapshot', 'drive', label)).code, exitCodes.usage, label);
  }
  await mount.unmount();
  const second = JSON.parse(await shoalHere(machine, 'snapshot', 'drive', 'two', '--json'));
  t.ok(second.version > first.version, 'the record of the first is a version, too');
  t.is((await tryHere(machine, 'snapshot', 'drive', 'two')).code, exitCodes.alreadyExists);
  const list = JSON.parse(await shoalHere(machine, 'snapshots', 'drive', '--json'));
  t.alike(list, [first, second]);
  const older = await shoalHere(machine, 'snapshot', 'drive', 'older', '--at', 'one', '--json');
  t.is(JSON.parse(older).version, first.version, 'an older version');
  t.is((await tryHere(machine, 'snapshot', 'drive', 'x', '--at', '99')).code, exitCodes.notFound);
  const both = ['snapshot', 'drive', '--delete', 'older', '--at', 'one'];
  t.is((await tryHere(machine, ...both)).code, exitCodes.usage);
  await shoalHere(machine, 'snapshot', 'drive', '--delete', 'older');
  t.is((await tryHere(machine, 'snapshot', 'drive', '--delete', 'three')).code, exitCodes.notFound);
  await shoalHere(machine, 'snapshot', 'drive', '--delete', 'one');
  const log = await shoalHere(machine, 'log', 'drive');
  const { version } = first;
  const told = log.split('\n').filter((line) => line.startsWith('    snapshot '));
  t.alike(
    told.map((line) => line.trim()),
    [
      `snapshot one of version ${version} deleted`,
      `snapshot older of version ${version} deleted`,
      `snapshot older of version ${version}`,
      `snapshot two of version ${second.version}`,
      `snapshot one of version ${version}`,
    ],
  );
  const remounted = await machine.mount('drive', ['--offline']);
  t.absent(existsSync(path.join(remounted.directory, '.shoal/snapshots/one')));
  t.ok(existsSync(path.join(remounted.directory, '.shoal/snapshots/two/file')));
  await shoalHere(machine, 'snapshot', 'drive', '--delete', 'two');
  t.is((await shoalHere(machine, 'snapshots', 'drive')).trim(), 'no snapshots');
  const neither = await tryHere(machine, 'snapshot', 'drive');
  t.is(neither.code, exitCodes.usage);
  await remounted.unmount();
});

test('log: what each version changed, in pages, and of one path', TIME, async (t) => {
  const mount = await drive(t);
  const at = (name: string): string => path.join(mount.directory, name);
  mkdirSync(at('docs'));
  writeFileSync(at('docs/a'), 'a');
  await mount.commit();
  writeFileSync(at('docs/b'), 'b');
  await mount.commit();
  appendFileSync(at('docs/a'), 'more');
  await mount.commit();
  appendFileSync(at('docs/b'), 'more');
  await mount.commit();
  renameSync(at('docs/b'), at('c'));
  await mount.commit();
  const ofRenamed = await shoalHere(mount.machine, 'log', 'drive', 'c');
  const goOn = /renamed from docs\/b: shoal (log drive docs\/b --before \d+)$/m.exec(
    ofRenamed,
  )?.[1];
  t.ok(goOn !== undefined, ofRenamed);
  t.ok(/M docs\/b/.test(await shoalHere(mount.machine, ...(goOn ?? '').split(' '))), goOn);
  rmSync(at('c'));
  await mount.commit();
  const all: LogPage = JSON.parse(await both(t, mount, ['log', 'drive', '--json']));
  // A version may have done no more than delete the records of a file that has no name any more.
  const seen = all.versions.filter(({ changes }) => changes === null || changes.length > 0);
  const told = seen.map(({ changes }) => {
    return (changes ?? []).map(({ kind, path: changed }) => `${kind} ${changed}`).sort();
  });
  t.alike(told, [
    ['removed c'],
    ['added c', 'removed docs/b'],
    // As it was called then, though it is gone by now.
    ['changed docs/b'],
    ['changed docs/a'],
    ['added docs/b'],
    ['added docs', 'added docs/a'],
    ['changed .'],
  ]);
  const rest = all.versions.filter((each) => !seen.includes(each)).flatMap(({ notes }) => notes);
  t.ok(
    rest.every((note) => note === 'the rest of 1 deleted file removed'),
    rest.join(),
  );
  t.ok(
    seen.every(({ notes }) => notes.length === 0),
    'where files changed, only these are told',
  );
  t.is(all.before, null);
  t.ok(all.versions.every(({ timeMs, writer }) => Date.now() - timeMs < 3_600_000 && writer === 0));
  const versions = all.versions.map(({ version }) => version);
  const pages: number[] = [];
  for (let before: number | null = null; ; ) {
    const args = before === null ? [] : ['--before', String(before)];
    const page: LogPage = JSON.parse(
      await shoalHere(mount.machine, 'log', 'drive', '--limit', '2', '--json', ...args),
    );
    t.ok(page.versions.length <= 2);
    pages.push(...page.versions.map(({ version }) => version));
    before = page.before;
    if (before === null) break;
  }
  t.alike(pages, versions, 'pages have all of it once');
  const ofPath = async (name: string): Promise<number[]> => {
    const page: LogPage = JSON.parse(
      await shoalHere(mount.machine, 'log', 'drive', name, '--json'),
    );
    return page.versions.map(({ version }) => version);
  };
  const numbers = seen.map(({ version }) => version);
  t.alike(await ofPath('docs/a'), [numbers[3], numbers[5]]);
  t.alike(await ofPath('docs'), [numbers[1], numbers[4], numbers[5]]);
  const gone = await tryHere(mount.machine, 'log', 'drive', 'c');
  t.is(gone.code, exitCodes.notFound, gone.stderr);
  t.is((await tryHere(mount.machine, 'log', 'drive', '../x')).code, exitCodes.usage);
  t.is((await tryHere(mount.machine, 'log', 'drive', '--limit', '0')).code, exitCodes.usage);
  t.is((await tryHere(mount.machine, 'log', 'none')).code, exitCodes.notFound);
});

test('diff: what came, went, changed and got another name', TIME, async (t) => {
  const mount = await drive(t);
  const at = (name: string): string => path.join(mount.directory, name);
  mkdirSync(at('d/deep'), { recursive: true });
  mkdirSync(at('anew'));
  for (const name of [
    'same',
    'd/deep/changed',
    'd/gone',
    'd/moved',
    'replaced',
    'read',
    'anew/f',
  ]) {
    writeFileSync(at(name), name);
  }
  writeFileSync(at('large'), randomBytes(3_000_000, 1));
  await shoalHere(mount.machine, 'snapshot', 'drive', 'one');
  writeFileSync(at('d/deep/changed'), 'changed');
  writeFileSync(at('large'), 'x', { flag: 'r+' });
  rmSync(at('d/gone'));
  renameSync(at('d/moved'), at('moved'));
  renameSync(at('d/deep'), at('d/flat'));
  writeFileSync(at('tmp'), 'other');
  renameSync(at('tmp'), at('replaced'));
  writeFileSync(at('d/new'), 'new');
  chmodSync(at('d'), 0o700);
  readFileSync(at('read'));
  linkSync(at('same'), at('linked'));
  rmSync(at('anew'), { recursive: true });
  mkdirSync(at('anew'));
  writeFileSync(at('anew/f'), 'anew/f');
  await shoalHere(mount.machine, 'snapshot', 'drive', 'two');
  const forth = JSON.parse(await both(t, mount, ['diff', 'drive', 'one', 'two', '--json']));
  const show = (each: PathDifference): string =>
    each.kind === 'renamed' ? `R ${each.path} ${each.to}` : `${each.kind} ${each.path}`;
  t.alike(forth.differences.map(show), [
    'changed anew/f',
    'changed d',
    'R d/deep d/flat',
    'changed d/flat/changed',
    'removed d/gone',
    'R d/moved moved',
    'added d/new',
    'changed large',
    'added linked',
    'changed replaced',
  ]);
  const back = JSON.parse(await shoalHere(mount.machine, 'diff', 'drive', 'two', 'one', '--json'));
  t.alike(
    new Set(back.differences.map(show)),
    new Set([
      'changed anew/f',
      'changed d',
      'R d/flat d/deep',
      'changed d/deep/changed',
      'added d/gone',
      'R moved d/moved',
      'removed d/new',
      'changed large',
      'removed linked',
      'changed replaced',
    ]),
  );
  const nothing = JSON.parse(
    await shoalHere(mount.machine, 'diff', 'drive', 'one', 'one', '--json'),
  );
  t.alike(nothing.differences, []);
  t.is((await tryHere(mount.machine, 'diff', 'drive', '1', '999')).code, exitCodes.notFound);
});

/** Inode numbers, allocated blocks and the directory above aside, what is below two paths. */
function below(root: string): Omit<ListedFile, 'inode'>[] {
  return listTree(root).map(({ inode: _inode, ...rest }) => rest);
}

test('restore: a directory with everything in it, into a running mount', TIME, async (t) => {
  const mount = await drive(t);
  const { machine, directory } = mount;
  const at = (name: string): string => path.join(directory, name);
  mkdirSync(at('home/deep/empty'), { recursive: true });
  writeFileSync(at('home/deep/small'), 'small');
  writeFileSync(at('home/large'), randomBytes(9_000_000, 2));
  linkSync(at('home/large'), at('home/deep/large-too'));
  writeFileSync(at('home/hole'), 'x');
  truncateSync(at('home/hole'), 50_000_000);
  symlinkSync('deep/small', at('home/link'));
  mknod(at('home/fifo'), S_IFIFO | 0o640);
  setxattr(at('home/deep'), 'user.note', Buffer.from('attribute'));
  setxattr(at('home/large'), 'user.big', randomBytes(3000, 3));
  utimensat(at('home/deep'), { sec: 1, nsec: 2 }, { sec: 3, nsec: 4 });
  chmodSync(at('home/deep/small'), 0o4711);
  await shoalHere(machine, 'snapshot', 'drive', 'whole');
  const wanted = below(at('.shoal/snapshots/whole/home'));
  t.ok(wanted.length === 8, `${wanted.length} files`);
  rmSync(at('home'), { recursive: true });
  t.absent(existsSync(at('home')), 'which the kernel remembers');
  const before = await statusOf(mount);
  await shoalHere(machine, 'restore', 'drive', 'home', '--at', 'whole');
  t.alike(below(at('home')), wanted);
  const after = await statusOf(mount);
  t.is(after.storedBytes, before.storedBytes, 'no data was stored');
  t.is(statSync(at('home/large')).ino, statSync(at('home/deep/large-too')).ino);

  // Over what is there, elsewhere, and below directories that are gone.
  const refused = await tryHere(machine, 'restore', 'drive', 'home', '--at', 'whole');
  t.is(refused.code, exitCodes.alreadyExists, refused.stderr);
  writeFileSync(at('home/deep/small'), 'other');
  writeFileSync(at('home/more'), 'other');
  await shoalHere(machine, 'restore', 'drive', '/home', '--at', 'whole', '--force');
  t.alike(below(at('home')), wanted, 'what was there is gone');
  await shoalHere(machine, 'restore', 'drive', 'home/deep', '--at', 'whole', '--to', 'copy');
  t.is(readFileSync(at('copy/small'), 'utf8'), 'small');
  writeFileSync(at('copy/small'), 'changed');
  t.is(readFileSync(at('home/deep/small'), 'utf8'), 'small', 'a copy is a file of its own');
  rmSync(at('home'), { recursive: true });
  await shoalHere(machine, 'restore', 'drive', 'home/deep/small', '--at', 'whole');
  t.is(readFileSync(at('home/deep/small'), 'utf8'), 'small');
  t.is(statSync(at('home/deep')).mode & 0o777, 0o755);
  const bad: [string[], number][] = [
    [['home/none', '--at', 'whole'], exitCodes.notFound],
    [['home', '--at', 'none'], exitCodes.notFound],
    [['/', '--at', 'whole'], exitCodes.usage],
    [['home', '--at', 'whole', '--to', 'no/such'], exitCodes.notFound],
    [['home', '--at', 'whole', '--to', 'copy/small/x'], exitCodes.notFound],
  ];
  for (const [args, code] of bad) {
    const result = await tryHere(machine, 'restore', 'drive', ...args);
    t.is(result.code, code, `${args.join(' ')}: ${result.stderr}`);
  }
  await mount.unmount();
  const report = JSON.parse(await shoalHere(machine, 'check', 'drive', '--json'));
  t.is(report.problemCount, 0, JSON.stringify(report.problems));
});

test('restore: without a mount, and what it puts back survives', TIME, async (t) => {
  const mount = await drive(t);
  const { machine, directory } = mount;
  const content = randomBytes(5_000_000, 4);
  writeFileSync(path.join(directory, 'file'), content);
  const { version } = JSON.parse(await shoalHere(machine, 'snapshot', 'drive', 'one', '--json'));
  writeFileSync(path.join(directory, 'file'), 'short');
  await mount.unmount();
  const refused = await tryHere(machine, 'restore', 'drive', 'file', '--at', String(version));
  t.is(refused.code, exitCodes.alreadyExists);
  const printed = await shoalHere(
    machine,
    'restore',
    'drive',
    'file',
    '--at',
    'one',
    '--force',
    '--json',
  );
  const { bytes, inodes, from } = JSON.parse(printed);
  t.alike([bytes, inodes, from.version], [content.length, 1, version]);
  const again = await machine.mount('drive', ['--offline']);
  t.ok(readFileSync(path.join(again.directory, 'file')).equals(content));
  await again.unmount();
  const report = JSON.parse(await shoalHere(machine, 'check', 'drive', '--json'));
  t.is(report.problemCount, 0, JSON.stringify(report.problems));
});

test('log and du: what does not fit into one answer of a mount', TIME, async (t) => {
  const mount = await drive(t);
  const names = Array.from({ length: 12 }, (_, i) => `${i}`.padStart(250, 'd'));
  const deep = path.join(mount.directory, ...names);
  mkdirSync(deep, { recursive: true });
  const count = 40;
  for (let version = 0; version < count; version++) {
    for (let i = 0; i < limits.log_changes_max; i++) mkdirSync(path.join(deep, `${version}-${i}`));
    await mount.commit();
  }
  const args = ['log', 'drive', '--limit', '1000', '--json'];
  const text = await both(t, mount, args);
  t.ok(text.length > limits.control_message_bytes_max, `${text.length} bytes`);
  const { versions, before }: LogPage = JSON.parse(text);
  t.is(before, null);
  t.is(versions.at(-1)?.version, 1);
  t.is(new Set(versions.map(({ version }) => version)).size, versions.length);
  t.ok(versions.length > count, `${versions.length} versions`);
  // As many as were asked for, though they come in several answers.
  const some: LogPage = JSON.parse(
    await shoalHere(mount.machine, 'log', 'drive', '--limit', '30', '--json'),
  );
  t.alike(some, { versions: versions.slice(0, 30), before: versions[29]?.version });

  const report = await both(t, mount, ['du', 'drive', '--depth', '20', '--json']);
  t.ok(report.length < limits.control_message_bytes_max, `${report.length} bytes`);
  const usage: UsageReport = JSON.parse(report);
  t.is(usage.rows[0]?.path, '/');
  t.ok(usage.rowsLeftOut > 0);
  t.is(usage.rows.length + usage.rowsLeftOut, 1 + names.length + count * limits.log_changes_max);
});
