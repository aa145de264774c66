/** The disk of the store fills up under a mount, and gets free space again. */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Assertions, test } from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { type DriveMount, isRunning, Machine } from '../support/drive-mount.js';
import { dropCleanCaches } from '../support/drop-caches.js';
import { FALLOC_ZERO_RANGE, fallocate } from '../support/syscalls.js';
import { getxattr, setxattr } from '../support/xattr.js';
import { checkDrive, describeReport } from './support/check-drive.js';
import { SmallDisk } from './support/small-disk.js';
import { contentOf } from './support/workload.js';

const MIB = 1 << 20;
const DISK_BYTES = 160 * MIB;
const FILE_BYTES = MIB;
const PAGE_BYTES = 4096;
/** What a drive leaves free of a disk of this size. */
const RESERVE_BYTES = DISK_BYTES / 8;
const FILES_BEFORE = 4;
const INLINE_BYTES = 700;
const FILES_WITH_CONTENT = 200;
const XATTR_BYTES = 4000;
/** More than the disk can take. */
const TRIES_MAX = 20_000;
/** Of 4 MiB, to fill the disk before a commit. */
const ROUNDS_MAX = 50;
/** The store refuses writes for some seconds after the space is back. */
const RECOVERY_MS_MAX = 30_000;
const REFILLS_MAX = 6;
const TEST_TIME_MS_MAX = 240_000;

const { missing } = SmallDisk;
const reason = missing === null ? '' : ` (${missing})`;
const options = { timeout: TEST_TIME_MS_MAX, skip: missing !== null };

test(`disk full - of data${reason}`, options, async (t) => {
  const { disk, mount } = await prepare(t);
  disk.fill(40 * MIB);
  const path = join(mount.directory, 'filler');
  let synced = 0;
  const code = untilError((i) => {
    writeAndSync(path, contentOf(1000 + i, FILE_BYTES), i * FILE_BYTES);
    synced = i + 1;
  });
  t.is(code, 'ENOSPC');
  t.ok(synced > 2, `${synced} MiB fit`);
  await expectAlive(t, mount);
  t.is(
    errorCode(() => syncDirectory(mount)),
    null,
    'what was taken in is committed, and so is what was deleted',
  );

  disk.free();
  await expectRecovery(t, mount);
  const again = await remount(t, mount);
  const filler = readFileSync(join(again.directory, 'filler'));
  for (let i = 0; i < synced; i++) {
    const piece = filler.subarray(i * FILE_BYTES, (i + 1) * FILE_BYTES);
    if (!piece.equals(contentOf(1000 + i, FILE_BYTES))) t.fail(`MiB ${i} of the file is damaged`);
  }
  await again.unmount();
});

test(`disk full - a forced unmount says what is lost${reason}`, options, async (t) => {
  const { disk, mount } = await prepare(t);
  writeMoreThanFits(disk, mount);
  const forced = await mount.machine.tryShoal(['unmount', 'notes', '--force']);
  t.is(forced.code, exitCodes.noSpace);
  t.ok(
    /^shoal: Unmounted, but what was not committed is lost: Cannot store [^\n]+ again\n$/.test(
      forced.stderr,
    ),
    forced.stderr,
  );
  const again = await mount.machine.mount('notes', ['--offline'], mount.directory);
  expectFilesBefore(t, again);
  await again.unmount();
});

test(
  `disk full - what cannot be stored holds nothing up once it is deleted${reason}`,
  options,
  async (t) => {
    const { disk, mount } = await prepare(t);
    writeMoreThanFits(disk, mount);
    await expectAlive(t, mount);
    t.is(
      errorCode(() => syncDirectory(mount)),
      'ENOSPC',
      'a commit has to store it',
    );
    const checked = await mount.machine.tryShoal(['check', 'notes']);
    t.is(checked.code, exitCodes.commitFailed);
    t.ok(
      /\nwhat was written last is not committed: Cannot store [^\n]+ again\nno other problems\n$/.test(
        checked.stdout,
      ),
      checked.stdout,
    );
    unlinkSync(join(mount.directory, 'scattered'));
    const code = await errorInTime(() => syncDirectory(mount));
    t.is(code, null, 'deleting is durable while the disk is full');
    await mount.unmount();
    t.alike(describeReport(await checkDrive(mount.machine.home, 'notes')), [], 'the tree is whole');
    disk.free();
    const again = await mount.machine.mount('notes', ['--offline'], mount.directory);
    expectFilesBefore(t, again);
    for (const name of ['deletable', 'scattered']) {
      t.absent(existsSync(join(again.directory, name)), name);
    }
    await again.unmount();
  },
);

test(`disk full - nothing is joined that has no room${reason}`, options, async (t) => {
  const { disk, mount } = await prepare(t);
  const segments = 20;
  const extents = 150;
  const bytes = 4000;
  // Room for the 12 MB of the file, for what a commit needs besides, and for what a busy machine's store moves to files
  // meanwhile (5 MiB and more); not for as much again: its many small stretches would be joined.
  const leaveRoom = () => disk.fill(RESERVE_BYTES + 26 * MIB);
  leaveRoom();
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT;
  const descriptor = openSync(join(mount.directory, 'scattered'), flags);
  const pieces = Array.from({ length: segments * extents }, (_, i) => ({
    at: Math.floor(i / extents) * MIB + (i % extents) * 6800,
    content: contentOf(i, bytes),
  }));
  let refills = 0;
  for (const { at, content } of pieces) {
    while (errorCode(() => writeSync(descriptor, content, 0, bytes, at)) !== null) {
      if (++refills > REFILLS_MAX) throw new Error('The file does not fit');
      disk.free();
      await sleep(RECOVERY_MS_MAX / REFILLS_MAX);
      leaveRoom();
    }
  }
  fsyncSync(descriptor);
  closeSync(descriptor);
  await expectAlive(t, mount);
  t.is(
    errorCode(() => syncDirectory(mount)),
    null,
    'what was deleted is committed',
  );
  await mount.unmount();
  disk.free();
  const again = await mount.machine.mount('notes', ['--offline'], mount.directory);
  const found = readFileSync(join(again.directory, 'scattered'));
  const wrong = pieces.filter(({ at, content }) => !found.subarray(at, at + bytes).equals(content));
  t.is(wrong.length, 0);
  await again.unmount();
});

test(`disk full - of names${reason}`, options, async (t) => {
  const { disk, mount } = await prepare(t);
  // An idle mount moves what its store holds in memory to files, here the 5 MiB of the files before; on a busy machine it
  // may take itself for idle at any time. Then there still is room for some hundred names.
  disk.fill(30 * MIB);
  const nameOf = (i: number) => `${i}-`.padEnd(200, 'n');
  let synced = 0;
  const code = untilError((i) => {
    const path = join(mount.directory, nameOf(i));
    const descriptor = openSync(path, 'wx');
    try {
      // Small enough to be part of the records. Data is refused a little earlier than names.
      if (i < FILES_WITH_CONTENT) writeSync(descriptor, contentOf(i, INLINE_BYTES));
      setxattr(path, 'user.note', contentOf(-i, XATTR_BYTES));
      if (i % 100 === 99) {
        fsyncSync(descriptor);
        synced = i + 1;
      }
    } finally {
      closeSync(descriptor);
    }
  });
  t.is(code, 'ENOSPC');
  t.ok(synced > 0, `${synced} names fit`);
  await expectAlive(t, mount);
  expectNoNewName(t, mount);

  disk.free();
  await expectRecovery(t, mount);
  const again = await remount(t, mount);
  const names = new Set(readdirSync(again.directory));
  const lost = Array.from({ length: synced }, (_, i) => i).filter((i) => {
    if (!names.has(nameOf(i))) return true;
    const path = join(again.directory, nameOf(i));
    const content = i < FILES_WITH_CONTENT ? contentOf(i, INLINE_BYTES) : Buffer.alloc(0);
    return !(
      readFileSync(path).equals(content) &&
      getxattr(path, 'user.note').equals(contentOf(-i, XATTR_BYTES))
    );
  });
  t.alike(lost.slice(0, 3), [], 'all names that were synced are there, with their content');
  await again.unmount();
});

test(
  `disk full - a drive cannot be mounted or made without any space, and says so${reason}`,
  options,
  async (t) => {
    const { disk, mount } = await prepare(t);
    const { machine } = mount;
    await mount.unmount();
    disk.fill(0);
    for (const parameters of [
      ['create', 'other'],
      ['mount', 'notes', mount.directory, '--offline'],
    ]) {
      const { code, stderr } = await machine.tryShoal(parameters);
      t.is(code, exitCodes.noSpace, parameters[0]);
      t.ok(
        /^shoal: Cannot open [^\n]+ is full; free space there and try again\n$/.test(stderr),
        stderr,
      );
    }
    disk.free();
    const again = await machine.mount('notes', ['--offline'], mount.directory);
    expectFilesBefore(t, again);
    await again.unmount();
  },
);

test(`disk full - to the last byte, by somebody else${reason}`, options, async (t) => {
  const { disk, mount } = await prepare(t);
  disk.fill(0);
  const path = join(mount.directory, 'filler');
  const code = untilError((i) => writeAndSync(path, contentOf(i, 1000), i * 1000));
  t.is(code, 'ENOSPC');
  await expectAlive(t, mount);
  expectNoNewName(t, mount);
  disk.free();
  await expectRecovery(t, mount);
  const again = await remount(t, mount);
  await again.unmount();
});

test(`disk full - space that a file has is not asked for again${reason}`, options, async (t) => {
  const { disk, mount } = await prepare(t);
  const descriptor = openSync(join(mount.directory, 'reserved'), 'w');
  const codeOf = (mode: number, offset: number, length: number) =>
    errorCode(() => fallocate(descriptor, mode, offset, length));
  fallocate(descriptor, 0, 0, 60 * MIB);
  disk.fill(40 * MIB);
  t.is(codeOf(0, 0, 60 * MIB), null, 'as posix_fallocate does');
  t.is(codeOf(FALLOC_ZERO_RANGE, 0, 60 * MIB), null);
  t.is(codeOf(0, 0, 80 * MIB), null, 'the disk has what is lacking');
  t.is(codeOf(0, 0, 130 * MIB), 'ENOSPC');
  t.is(codeOf(0, 80 * MIB, 50 * MIB), 'ENOSPC', 'nothing of what it has is in there');
  closeSync(descriptor);
  await mount.unmount();
});

/** A mounted drive on a small disk, with some synced files. */
async function prepare(t: Assertions): Promise<{ disk: SmallDisk; mount: DriveMount }> {
  const disk = SmallDisk.forTest(t, DISK_BYTES);
  const machine = Machine.forTest(t, { parent: disk.directory, here: true });
  const mount = await machine.createAndMount('notes', ['--offline']);
  for (let i = 0; i < FILES_BEFORE; i++) {
    writeAndSync(join(mount.directory, `before-${i}`), contentOf(i, FILE_BYTES), 0);
  }
  writeAndSync(join(mount.directory, 'deletable'), contentOf(99, FILE_BYTES), 0);
  return { disk, mount };
}

/** Everything but writing goes on. */
async function expectAlive(t: Assertions, mount: DriveMount): Promise<void> {
  t.ok(isRunning(mount.pid), 'the mount is up');
  dropCleanCaches();
  expectFilesBefore(t, mount);
  t.ok(readdirSync(mount.directory).includes('before-0'));
  unlinkSync(join(mount.directory, 'deletable'));
  t.absent(existsSync(join(mount.directory, 'deletable')), 'a file can be deleted');
  await mount.machine.shoal('status', mount.name);
}

/** Names that cannot be stored would fill the memory. */
function expectNoNewName(t: Assertions, mount: DriveMount): void {
  let path = '';
  // What was refused before may have been larger.
  const refused = untilError((i) => {
    path = join(mount.directory, `one more ${i}`);
    closeSync(openSync(path, 'wx'));
  });
  t.is(refused, 'ENOSPC', 'no new name is taken in');
  t.absent(existsSync(path));
}

/** Has a file 'scattered', which fits when it is written, and not when it is to be stored: somebody else was quicker. */
function writeMoreThanFits(disk: SmallDisk, mount: DriveMount): void {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT;
  const page = contentOf(5, PAGE_BYTES);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    // Not through the kernel's cache, and in pieces that wait for a commit.
    const descriptor = openSync(join(mount.directory, 'scattered'), flags);
    try {
      for (let i = 0; i < 1000; i++) {
        page.writeUInt32LE(1000 * round + i);
        writeSync(descriptor, page, 0, PAGE_BYTES, 2 * i * PAGE_BYTES);
      }
      disk.fill(RESERVE_BYTES);
      if (errorCode(() => fsyncSync(descriptor)) === 'ENOSPC') return;
    } finally {
      closeSync(descriptor);
    }
    // The commit of each second came first.
    disk.free();
  }
  throw new Error(`In ${ROUNDS_MAX} rounds a commit came before the disk was full`);
}

function syncDirectory(mount: DriveMount): void {
  const descriptor = openSync(mount.directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function expectFilesBefore(t: Assertions, mount: DriveMount): void {
  for (let i = 0; i < FILES_BEFORE; i++) {
    const found = readFileSync(join(mount.directory, `before-${i}`));
    t.ok(found.equals(contentOf(i, FILE_BYTES)), `file ${i}, synced before, is intact`);
  }
}

/** With free space writing works again, in the same mount. */
async function expectRecovery(t: Assertions, mount: DriveMount): Promise<void> {
  const code = await errorInTime(() => {
    writeAndSync(join(mount.directory, 'after'), contentOf(7, 3 * FILE_BYTES), 0);
  });
  t.is(code, null, 'writing works again');
}

/** Tries for a while; the code of the last error, null once it worked. */
async function errorInTime(run: () => void): Promise<string | null> {
  const deadline = performance.now() + RECOVERY_MS_MAX;
  for (;;) {
    const code = errorCode(run);
    if (code === null || performance.now() > deadline) return code;
    await sleep(100);
  }
}

/** Unmounts, looks at the tree, mounts, and looks at what was synced. */
async function remount(t: Assertions, mount: DriveMount): Promise<DriveMount> {
  const { machine } = mount;
  await mount.unmount();
  t.alike(describeReport(await checkDrive(machine.home, 'notes')), [], 'the tree is whole');
  const again = await machine.mount('notes', ['--offline'], mount.directory);
  expectFilesBefore(t, again);
  t.absent(existsSync(join(again.directory, 'deletable')));
  t.ok(readFileSync(join(again.directory, 'after')).equals(contentOf(7, 3 * FILE_BYTES)));
  return again;
}

function writeAndSync(path: string, content: Buffer, at: number): void {
  if (!existsSync(path)) writeFileSync(path, '');
  const descriptor = openSync(path, 'r+');
  try {
    writeSync(descriptor, content, 0, content.length, at);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The code of the first error; null when there is none. */
function untilError(step: (i: number) => void): string | null {
  for (let i = 0; i < TRIES_MAX; i++) {
    const code = errorCode(() => step(i));
    if (code !== null) return code;
  }
  return null;
}

function errorCode(run: () => void): string | null {
  try {
    run();
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return code;
  }
}
