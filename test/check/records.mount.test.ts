/** `shoal check --repair` and records of the tree that are damaged or do not fit together. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { decodeCommit, encodeCommit } from '../../src/tree/commit-record.js';
import { decodeEntry, encodeEntry } from '../../src/tree/entry-record.js';
import { decodeInode, encodeInode, type InodeRecord } from '../../src/tree/inode-record.js';
import {
  commitKey,
  entryKey,
  inodeKey,
  orphanKey,
  segmentKey,
  superblockKey,
  xattrKey,
} from '../../src/tree/keys.js';
import type { TreeChange } from '../../src/tree/tree.js';
import { withDrive } from '../durability/support/check-drive.js';
import { contentOf } from '../durability/support/workload.js';
import { errorCode } from '../sharing/support/shared-drive.js';
import { type DriveMount, Machine } from '../support/drive-mount.js';
import { checkHere, DRIVE, FILE_BYTES, problemsOf } from './support/damaged-drive.js';

const ROOT_INO = 1;
/** Many commands, one after the other, on a busy machine. */
const TIME = { timeout: 120_000 } as const;
const GARBAGE = Buffer.alloc(40, 0xee);
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;

test('records - what does not decode', TIME, async (t) => {
  const drive = await TestDrive.make(t);
  const { inos } = drive;
  await drive.write([
    { key: inodeKey(inos.directory), value: GARBAGE },
    { key: inodeKey(inos.large), value: GARBAGE },
    { key: inodeKey(inos.small), value: GARBAGE },
    { key: inodeKey(inos.link), value: null },
    { key: segmentKey(inos.other, 0), value: GARBAGE },
    { key: entryKey(ROOT_INO, 'named'), value: GARBAGE },
    { key: entryKey(ROOT_INO, 'a/../b'), value: encodeEntry({ ino: inos.other, type: S_IFREG }) },
    { key: superblockKey, value: null },
  ]);
  const found = await checkHere(drive.machine);
  const paths = new Set(found.problems.flatMap((problem) => problem.paths));
  for (const path of ['directory', 'large', 'small', 'link', 'other', 'named', 'a/../b']) {
    t.ok(paths.has(path), `${path} is named`);
  }
  const bytes = found.problems.find((problem) => problem.paths[0] === 'other');
  t.alike(bytes?.range, { start: 0, end: FILE_BYTES });

  const { repairs } = await checkHere(drive.machine, { repair: true });
  t.ok(repairs.some((line) => line.startsWith("made the directory 'directory' anew")));
  t.ok(repairs.some((line) => line.startsWith("removed the name 'small'")));
  t.ok(repairs.some((line) => line.startsWith('wrote the superblock anew')));
  const left = problemsOf(await checkHere(drive.machine));
  t.is(left.length, 1, 'a damaged segment is left');
  t.ok(left[0]?.startsWith('other'));

  const { directory } = await drive.mount();
  t.alike(readdirSync(directory).sort(), ['directory', 'large', 'lost+found', 'other', 'twice']);
  t.is(readFileSync(join(directory, 'directory/inner'), 'utf8'), 'inner', 'its files are there');
  t.ok(readFileSync(join(directory, 'large')).equals(contentOf(0, FILE_BYTES)));
  t.is(statSync(join(directory, 'large')).mode, S_IFREG | 0o600);
  t.is(
    errorCode(() => readFileSync(join(directory, 'other'))),
    'EIO',
    'never zeros',
  );
  const kept = readFileSync(join(directory, 'lost+found', `#${inos.named}`), 'utf8');
  t.is(kept, 'named', 'what lost its name has another');
  unlinkSync(join(directory, 'other'));
  await drive.unmountSound();
});

test('records - counts, types, totals, and what belongs to nothing', TIME, async (t) => {
  const drive = await TestDrive.make(t);
  const { inos } = drive;
  const gone = 1000;
  await drive.change(inos.large, { nlink: 7, allocatedBytes: 1 });
  await drive.change(inos.other, { size: 10, segmentsEnd: 0 });
  await drive.change(inos.directory, { size: 9, nlink: 9, parent: 99 });
  await drive.write([
    {
      key: entryKey(ROOT_INO, 'small'),
      value: encodeEntry({ ino: inos.small, type: S_IFDIR }),
    },
    { key: entryKey(ROOT_INO, 'nowhere'), value: encodeEntry({ ino: gone, type: S_IFREG }) },
    { key: entryKey(inos.small, 'odd'), value: encodeEntry({ ino: inos.large, type: S_IFREG }) },
    { key: entryKey(ROOT_INO, 'named'), value: null },
    { key: xattrKey(gone, 'user.a'), value: Buffer.of(1) },
    { key: orphanKey(gone), value: Buffer.alloc(0) },
    { key: orphanKey(inos.other), value: Buffer.alloc(0) },
  ]);
  await drive.changeCommit({ inodeCount: 1, fileBytes: 1, nextIno: 2 });
  t.ok((await checkHere(drive.machine)).problemCount > 10);
  t.alike(problemsOf(await checkHere(drive.machine, { repair: true })), []);

  const { directory } = await drive.mount();
  t.ok(readFileSync(join(directory, 'other')).equals(contentOf(1, FILE_BYTES)), 'no data is lost');
  t.is(statSync(join(directory, 'large')).nlink, 1);
  const kept = readFileSync(join(directory, 'lost+found', `#${inos.named}`), 'utf8');
  t.is(kept, 'named');
  t.absent(readdirSync(directory).includes('nowhere'));
  writeFileSync(join(directory, 'next'), 'a new number');
  await drive.unmountSound();
});

test('records - directories in a ring, and one with two names', TIME, async (t) => {
  const drive = await TestDrive.make(t);
  const { inos } = drive;
  await drive.write([
    // "directory" is in its own subdirectory.
    { key: entryKey(ROOT_INO, 'directory'), value: null },
    {
      key: entryKey(inos.below, 'directory'),
      value: encodeEntry({ ino: inos.directory, type: S_IFDIR }),
    },
    { key: entryKey(ROOT_INO, 'second'), value: encodeEntry({ ino: inos.twice, type: S_IFDIR }) },
  ]);
  t.ok((await checkHere(drive.machine)).problemCount > 1);
  t.alike(problemsOf(await checkHere(drive.machine, { repair: true })), []);
  const { directory } = await drive.mount();
  const all = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  t.is(all.filter((path) => path.endsWith('/inner')).length, 1, 'its files are in one place');
  t.is(all.filter((path) => path.endsWith('file-in-twice')).length, 1);
  await drive.unmountSound();
});

test('records - the commit record is damaged, then the root directory', TIME, async (t) => {
  const drive = await TestDrive.make(t);
  await drive.write([{ key: commitKey, value: GARBAGE }]);
  t.ok((await checkHere(drive.machine)).problemCount > 0);
  t.alike(problemsOf(await checkHere(drive.machine, { repair: true })), []);
  await drive.write([{ key: inodeKey(ROOT_INO), value: null }]);
  t.ok((await checkHere(drive.machine)).problemCount > 0);
  t.alike(problemsOf(await checkHere(drive.machine, { repair: true })), []);
  const { directory } = await drive.mount();
  t.is(readFileSync(join(directory, 'named'), 'utf8'), 'named');
  await drive.unmountSound();
});

test(
  'records - a file that was deleted while open, and then the process was killed',
  TIME,
  async (t) => {
    const drive = await TestDrive.make(t);
    const mount = await drive.mount();
    const file = openSync(join(mount.directory, 'large'), 'r');
    unlinkSync(join(mount.directory, 'large'));
    closeSync(openSync(join(mount.directory, 'synced'), 'w'));
    writeFileSync(join(mount.directory, 'synced'), 'x', { flush: true });
    await mount.kill();
    // The mount is gone; the number is free again.
    errorCode(() => closeSync(file));
    const report = await checkHere(drive.machine);
    t.alike(problemsOf(report), [], 'that is no problem');
    t.is(report.orphans, 1);
    const repaired = await checkHere(drive.machine, { repair: true });
    t.is(repaired.orphans, 0);
    t.alike(repaired.repairs, ['deleted 1 files that had been deleted while open']);
    t.is(repaired.inodes, report.inodes - 1);
  },
);

interface Inos {
  directory: number;
  below: number;
  twice: number;
  large: number;
  other: number;
  small: number;
  link: number;
  named: number;
}

/** A drive with one of each, and its records. */
class TestDrive {
  readonly machine: Machine;
  readonly inos: Inos;
  #mounted: DriveMount | null = null;

  private constructor(machine: Machine, inos: Inos) {
    this.machine = machine;
    this.inos = inos;
  }

  static async make(t: Assertions): Promise<TestDrive> {
    const machine = Machine.forTest(t, { here: true });
    const mount = await machine.createAndMount(DRIVE, ['--offline']);
    const at = (path: string): string => join(mount.directory, path);
    mkdirSync(at('directory/below'), { recursive: true });
    mkdirSync(at('twice'));
    writeFileSync(at('twice/file-in-twice'), '');
    writeFileSync(at('directory/inner'), 'inner');
    writeFileSync(at('large'), contentOf(0, FILE_BYTES));
    writeFileSync(at('other'), contentOf(1, FILE_BYTES));
    writeFileSync(at('small'), 'small');
    symlinkSync('large', at('link'));
    writeFileSync(at('named'), 'named');
    await mount.unmount();
    const inos = await withDrive(machine.home, DRIVE, async ({ tree }) => {
      const inoOf = async (parent: number, name: string): Promise<number> =>
        decodeEntry((await tree.get(entryKey(parent, name))) as Buffer).ino;
      const directory = await inoOf(ROOT_INO, 'directory');
      return {
        directory,
        below: await inoOf(directory, 'below'),
        twice: await inoOf(ROOT_INO, 'twice'),
        large: await inoOf(ROOT_INO, 'large'),
        other: await inoOf(ROOT_INO, 'other'),
        small: await inoOf(ROOT_INO, 'small'),
        link: await inoOf(ROOT_INO, 'link'),
        named: await inoOf(ROOT_INO, 'named'),
      };
    });
    return new TestDrive(machine, inos);
  }

  write(changes: TreeChange[]): Promise<unknown> {
    return withDrive(this.machine.home, DRIVE, ({ tree }) => tree.write(changes));
  }

  async change(ino: number, changes: Partial<InodeRecord>): Promise<void> {
    await withDrive(this.machine.home, DRIVE, async ({ tree }) => {
      const record = decodeInode(ino, (await tree.get(inodeKey(ino))) as Buffer);
      await tree.write([{ key: inodeKey(ino), value: encodeInode({ ...record, ...changes }) }]);
    });
  }

  async changeCommit(changes: Partial<ReturnType<typeof decodeCommit>>): Promise<void> {
    await withDrive(this.machine.home, DRIVE, async ({ tree }) => {
      const commit = decodeCommit((await tree.get(commitKey)) as Buffer);
      await tree.write([{ key: commitKey, value: encodeCommit({ ...commit, ...changes }) }]);
    });
  }

  async mount(): Promise<DriveMount> {
    this.#mounted = await this.machine.mount(DRIVE, ['--offline']);
    return this.#mounted;
  }

  /** After whatever a test did in the mount, the drive is sound. */
  async unmountSound(): Promise<void> {
    await this.#mounted?.unmount();
    const problems = problemsOf(await checkHere(this.machine));
    if (problems.length > 0) throw new Error(`The drive is not sound: ${problems.join('\n')}`);
  }
}
