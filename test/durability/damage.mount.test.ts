/** Damaged blocks and records: an error for what is damaged, and everything else goes on. */
import { readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { entryKey, inodeKey, segmentKey, superblockKey } from '../../src/tree/keys.js';
import type { TreeChange } from '../../src/tree/tree.js';
import { tryCommand } from '../support/command.js';
import { type DriveMount, isRunning, Machine } from '../support/drive-mount.js';
import { mountsBelow } from '../support/runner/leftovers.js';
import { withDrive } from './support/check-drive.js';
import { findBytes, firstBlockOf, flipByte, inoOf } from './support/store-files.js';
import { contentOf } from './support/workload.js';

const ROOT_INO = 1;
const FILE_BYTES = 300_000;
const GARBAGE = Buffer.alloc(40, 0xee);
/** Of the records and of drive.json. */
const NEWER_VERSION = 99;

test('damage - a flipped byte in a block is an error for its file only', async (t) => {
  const machine = Machine.forTest(t, { here: true });
  let mount = await machine.createAndMount('notes', ['--offline']);
  writeFiles(mount, ['damaged', 'sound']);
  await mount.unmount();
  const ino = await inoOf(machine.home, 'notes', 'damaged');
  // Opening the store also makes RocksDB move what is in its write-ahead file to its tables.
  const block = await firstBlockOf(machine.home, 'notes', 'damaged');
  const middle = block.length >> 1;
  const places = findBytes(machine.home, block.subarray(middle, middle + 32));
  t.is(places.length, 1, 'the block is in one file');
  for (const place of places) flipByte(place);

  mount = await machine.mount('notes', ['--offline'], mount.directory);
  t.is(
    errorCode(() => readFileSync(join(mount.directory, 'damaged'))),
    'EIO',
  );
  expectLogLine(t, machine, `read of inode ${ino} failed with errno 5: DamagedError`);
  await expectTheRest(t, mount, ['damaged', 'sound']);
  await mount.unmount();
});

test('damage - records that do not decode are an error for their file only', async (t) => {
  const machine = Machine.forTest(t, { here: true });
  let mount = await machine.createAndMount('notes', ['--offline']);
  writeFiles(mount, ['sound', 'bad-inode', 'bad-segment', 'bad-entry', 'no-inode']);
  await mount.unmount();
  const inodes = new Map<string, number>();
  for (const name of ['bad-inode', 'bad-segment', 'no-inode']) {
    inodes.set(name, await inoOf(machine.home, 'notes', name));
  }
  const inoNamed = (name: string) => inodes.get(name) as number;
  await writeRecords(machine, [
    { key: inodeKey(inoNamed('bad-inode')), value: GARBAGE },
    { key: segmentKey(inoNamed('bad-segment'), 0), value: GARBAGE },
    { key: entryKey(ROOT_INO, 'bad-entry'), value: GARBAGE },
    { key: inodeKey(inoNamed('no-inode')), value: null },
    { key: entryKey(ROOT_INO, '/'), value: Buffer.of(1, 4) },
    { key: entryKey(ROOT_INO, 'a/../../b'), value: Buffer.of(1, 4) },
    { key: entryKey(ROOT_INO, '..'), value: Buffer.of(1, 4) },
  ]);

  mount = await machine.mount('notes', ['--offline'], mount.directory);
  const names = readdirSync(mount.directory).sort();
  t.alike(names, ['bad-inode', 'bad-segment', 'no-inode', 'sound'], 'the rest is listed');
  const listed = await tryCommand('ls', ['-la', mount.directory]);
  t.ok(/ sound$/m.test(listed.stdout), 'with attributes, too');
  for (const name of ['bad-inode', 'bad-segment', 'no-inode']) {
    t.is(
      errorCode(() => readFileSync(join(mount.directory, name))),
      'EIO',
      name,
    );
    expectLogLine(t, machine, new RegExp(`inode ${inoNamed(name)}\\b`, 'i'));
  }
  const code = errorCode(() => statSync(join(mount.directory, 'bad-entry')));
  t.ok(code === 'EIO' || code === 'ENOENT', `bad-entry: ${code}`);
  for (const name of ['bad-entry', '/', 'a/../../b', '..']) {
    expectLogLine(t, machine, `damaged record in directory or inode 1: entry "${name}"`);
  }
  unlinkSync(join(mount.directory, 'bad-segment'));
  await expectTheRest(t, mount, ['sound']);
  await mount.unmount();
});

test('damage - a damaged superblock or commit record is refused with one line', async (t) => {
  const machine = Machine.forTest(t, { here: true });
  await machine.shoal('create', 'notes');
  await writeRecords(machine, [{ key: Buffer.of(1), value: GARBAGE }]);
  await expectRefused(t, machine, exitCodes.damaged, /Cannot decode the commit record/);
  await writeRecords(machine, [{ key: superblockKey, value: Buffer.of(1, 2, 3) }]);
  await expectRefused(t, machine, exitCodes.damaged, /Cannot decode the superblock/);
});

test('damage - a drive of a newer format is refused', async (t) => {
  const machine = Machine.forTest(t, { here: true });
  await machine.shoal('create', 'notes');
  const file = join(machine.home, 'drives', 'notes', 'drive.json');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace('"formatVersion": 1', `"formatVersion": ${NEWER_VERSION}`));
  await expectRefused(t, machine, exitCodes.formatVersion, /format version 99.*update Shoal/);
  writeFileSync(file, text);

  await withDrive(machine.home, 'notes', async ({ tree }) => {
    const superblock = Buffer.from((await tree.get(superblockKey)) as Buffer);
    superblock[0] = NEWER_VERSION;
    await tree.write([{ key: superblockKey, value: superblock }]);
  });
  await expectRefused(t, machine, exitCodes.formatVersion, /format 99.*install a newer Shoal/);
});

/** Written and synced. */
function writeFiles(mount: DriveMount, names: string[]): void {
  for (const [i, name] of names.entries()) {
    writeFileSync(join(mount.directory, name), contentOf(i, FILE_BYTES), { flush: true });
  }
}

function writeRecords(machine: Machine, changes: TreeChange[]): Promise<unknown> {
  return withDrive(machine.home, 'notes', ({ tree }) => tree.write(changes));
}

/** The sound file reads, and new ones can be made. `written` is what `writeFiles` got. */
async function expectTheRest(t: Assertions, mount: DriveMount, written: string[]): Promise<void> {
  const sound = readFileSync(join(mount.directory, 'sound'));
  t.ok(sound.equals(contentOf(written.indexOf('sound'), FILE_BYTES)), 'other files read');
  writeFileSync(join(mount.directory, 'new'), 'new', { flush: true });
  t.is(readFileSync(join(mount.directory, 'new'), 'utf8'), 'new', 'writing works');
  t.ok(isRunning(mount.pid), 'the mount is up');
}

function expectLogLine(t: Assertions, machine: Machine, text: string | RegExp): void {
  const log = machine.logOf('notes');
  t.ok(typeof text === 'string' ? log.includes(text) : text.test(log), `log line: ${text}`);
}

async function expectRefused(
  t: Assertions,
  machine: Machine,
  exitCode: number,
  message: RegExp,
): Promise<void> {
  const result = await machine.tryShoal(['mount', 'notes', machine.makeMountPoint(), '--offline']);
  t.is(result.code, exitCode);
  t.ok(message.test(result.stderr), result.stderr);
  t.ok(/^shoal: [^\n]+\n$/.test(result.stderr), 'one line');
  t.alike(mountsBelow(machine.folder), []);
}

function errorCode(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
