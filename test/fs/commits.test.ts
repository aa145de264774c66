/** When commits happen, and that nothing keeps them from happening. */
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { NoSpaceError } from '../../src/errors.js';
import type { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import { readCommit } from '../../src/fs/read-commit.js';
import { snapshotKey } from '../../src/tree/keys.js';
import { readSuperblock } from '../../src/tree/superblock.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, create, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const PUNCH = 1 | 2;
const WAIT_MS_MAX = 20_000;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

/** Waits until nothing is dirty; returns whether that came to be. */
async function whenClean(fileSystem: DriveFileSystem): Promise<boolean> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (fileSystem.figures().dirtyRecords > 0 && performance.now() < deadline) await sleep(50);
  return fileSystem.figures().dirtyRecords === 0;
}

test('what changes while a commit runs is committed without being asked for', async (t) => {
  const { fileSystem, close } = await openFileSystem(temporaryFolder(t, 'commits'));
  await create(fileSystem, 'first');
  const running = fileSystem.commit();
  await create(fileSystem, 'second');
  await running;
  t.ok(fileSystem.figures().dirtyRecords > 0, 'the second came too late for the first commit');
  t.ok(await whenClean(fileSystem), 'and is committed by itself');
  await close();
});

test('a file of many pieces with large holes between them comes to rest', async (t) => {
  const { fileSystem, close } = await openFileSystem(temporaryFolder(t, 'commits'));
  const { ino, handle } = await create(fileSystem, 'pieces');
  for (let i = 0; i < 200; i++) {
    await fileSystem.write(ino, handle, i * 5120, Buffer.alloc(512, 1 + i), options, caller);
  }
  await fileSystem.commit();
  t.ok(await whenClean(fileSystem), 'nothing is dirty for ever');
  const { version } = fileSystem.figures();
  await sleep(2500);
  t.ok(fileSystem.figures().version <= version + 1, 'and no commit follows another');
  await close();
});

test('thousands of punched holes make no record too large', async (t) => {
  const { fileSystem, lines, close } = await openFileSystem(temporaryFolder(t, 'commits'));
  const { ino, handle } = await create(fileSystem, 'sieve');
  const expected = Buffer.alloc(1 << 20, 7);
  await fileSystem.write(ino, handle, 0, expected, options, caller);
  for (let i = 0; i < 12_000; i++) {
    await fileSystem.fallocate(ino, handle, PUNCH, i * 80, 1, caller);
    expected[i * 80] = 0;
  }
  await fileSystem.commit();
  const answer = await fileSystem.read(ino, handle, 0, expected.length, caller);
  const bytes = Array.isArray(answer) ? Buffer.concat(answer) : answer;
  t.ok(bytes.equals(expected), 'content is right');
  t.alike(lines, [], 'no commit failed');
  await close();
});

test('a time that cannot be stored is refused, and stops no commit', async (t) => {
  const { fileSystem, lines, close } = await openFileSystem(temporaryFolder(t, 'commits'));
  const { ino } = await create(fileSystem, 'old');
  const mtime = { sec: 2 ** 52, nsec: 0 };
  await t.exception(async () => fileSystem.setattr(ino, { mtime }, caller), /EINVAL/);
  await fileSystem.setattr(ino, { mtime: { sec: 2 ** 52 - 1, nsec: 0 } }, caller);
  await fileSystem.commit();
  t.alike(lines, []);
  await close();
});

test('an old drive keeps its format until something needs a newer one', async (t) => {
  const folder = temporaryFolder(t, 'commits');
  const opened = await openFileSystem(folder, { formatVersion: 1 });
  const { fileSystem, tree } = opened;
  const formatOf = async () => [
    (await readSuperblock(tree, {})).formatVersion,
    (await readCommit(tree)).skips === null ? 1 : 2,
  ];
  await create(fileSystem, 'first');
  await fileSystem.commit();
  t.alike(await formatOf(), [1, 1]);
  t.is(fileSystem.committer.formatVersion, 1);

  const label = { key: snapshotKey('label'), value: Buffer.of(1) };
  fileSystem.committer.putDriveRecord(label, 2);
  t.is(fileSystem.figures().dirtyRecords, 1);
  await fileSystem.commit();
  t.alike(await formatOf(), [2, 2], 'in the same commit');
  t.alike(await tree.get(label.key), label.value);
  t.is(fileSystem.figures().dirtyRecords, 0);
  await opened.close();

  const again = await openFileSystem(folder);
  t.is(again.fileSystem.committer.formatVersion, 2);
  again.fileSystem.committer.putDriveRecord({ ...label, value: null }, 2);
  await again.fileSystem.commit();
  t.is(await again.tree.get(label.key), null);
  await again.close();
});

test('what a failed commit was to write goes with the next one', async (t) => {
  const folder = temporaryFolder(t, 'commits');
  const opened = await openFileSystem(folder, { formatVersion: 1 });
  const { fileSystem, tree } = opened;
  const write = tree.write.bind(tree);
  tree.write = () => Promise.reject(new NoSpaceError('No space'));
  const label = { key: snapshotKey('label'), value: Buffer.of(1) };
  fileSystem.committer.putDriveRecord(label, 2);
  await t.exception(fileSystem.commit(), NoSpaceError);
  tree.write = write;
  await fileSystem.commit();
  t.alike(await tree.get(label.key), label.value);
  t.is((await readSuperblock(tree, {})).formatVersion, 2);
  await opened.close();
});
