/** Directories are removed with everything in them: at once for who looks, in the background for the tree. */
import { setImmediate } from 'node:timers/promises';
import test from 'brittle';
import { RENAME_EXCHANGE } from '../../mount/file-system.js';
import { NotFoundError, UsageError } from '../../src/errors.js';
import { S_IFREG } from '../../src/fs/inode.js';
import { PosixError } from '../../src/fs/posix-error.js';
import { decodeCommit } from '../../src/tree/commit-record.js';
import { commitKey, RecordKind, rangeOfKind } from '../../src/tree/keys.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, type OpenedFileSystem, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
const FILES = 5000;
const DIRECTORIES = 150;

async function mkdir({ fileSystem }: OpenedFileSystem, parent: number, name: string) {
  const { attributes } = await fileSystem.mkdir(parent, name, 0o755, caller);
  fileSystem.forget(attributes.ino, 1);
  return attributes.ino;
}

async function addFile({ fileSystem }: OpenedFileSystem, parent: number, name: string) {
  const entry = await fileSystem.mknod(parent, name, S_IFREG | 0o644, 0, caller);
  fileSystem.forget(entry.attributes.ino, 1);
  return entry.attributes.ino;
}

/** How many records of a kind the tree has. */
async function count({ tree }: OpenedFileSystem, kind: number): Promise<number> {
  const { from, to } = rangeOfKind(kind);
  let records = 0;
  for await (const _ of tree.range(from, to)) records++;
  return records;
}

async function lastCommit({ tree }: OpenedFileSystem) {
  return decodeCommit((await tree.get(commitKey)) as Buffer);
}

test('a directory of thousands goes with one commit, its records after it', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'removal'));
  const { fileSystem } = opened;
  const top = await mkdir(opened, 1, 'top');
  for (let i = 0; i < FILES; i++) await addFile(opened, top, `file-${i}`);
  const kept = await addFile(opened, top, 'linked');
  await fileSystem.link(kept, 1, 'elsewhere', caller);
  fileSystem.forget(kept, 1);
  for (let i = 0; i < DIRECTORIES; i++) {
    const below = await mkdir(opened, top, `directory-${i}`);
    await addFile(opened, below, 'a');
    await addFile(opened, await mkdir(opened, below, 'b'), 'c');
  }
  await fileSystem.commit();
  const before = await lastCommit(opened);

  await fileSystem.removeTree('top');
  const first = await opened.tree.get(commitKey);
  t.is(decodeCommit(first as Buffer).version, before.version + 1, 'one commit');
  t.is((await fileSystem.lookup(1, 'top', caller)).attributes, null, 'the name is gone');
  t.ok(fileSystem.figures().removing > 0, 'the rest is under way');

  await fileSystem.removalsDone();
  // The root and the file that has another name.
  t.is(await count(opened, RecordKind.inode), 2);
  t.is(await count(opened, RecordKind.entry), 1);
  t.is(await count(opened, RecordKind.orphan), 0);
  t.is((await lastCommit(opened)).inodeCount, 2);
  t.is(fileSystem.figures().inodes, 2);
  const { attributes } = await fileSystem.lookup(1, 'elsewhere', caller);
  t.is(attributes?.nlink, 1, 'the other name is the only one now');
  t.is((await fileSystem.getattr(1, undefined, caller)).attributes.nlink, 2);
  await opened.close();
});

test('what is left when the process ends goes after the next mount', async (t) => {
  const folder = temporaryFolder(t, 'removal');
  let opened = await openFileSystem(folder);
  const top = await mkdir(opened, 1, 'top');
  const below = await mkdir(opened, top, 'below');
  for (let i = 0; i < FILES; i++) await addFile(opened, below, `file-${i}`);
  await opened.fileSystem.create(below, 'open', 0o100644, O_RDWR, caller);
  await opened.fileSystem.commit();
  await opened.fileSystem.removeTree('/top/');
  await opened.close();

  opened = await openFileSystem(folder);
  const left = await count(opened, RecordKind.inode);
  t.ok(left > 2, `${left} inodes are left`);
  await opened.fileSystem.removalsDone();
  t.is(await count(opened, RecordKind.inode), 1, 'the open file, too: its process ended');
  t.is(await count(opened, RecordKind.orphan), 0);
  t.is((await lastCommit(opened)).inodeCount, 1);
  await opened.close();
});

test('who works in a removed directory keeps open files and what was moved out', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'removal'));
  const { fileSystem } = opened;
  const top = await mkdir(opened, 1, 'top');
  const below = await mkdir(opened, top, 'below');
  for (let i = 0; i < 100; i++) await addFile(opened, below, `file-${i}`);
  const made = await fileSystem.create(top, 'open', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  const { handle } = made.open;
  await fileSystem.commit();
  const removed = fileSystem.removeTree('top');
  // Nothing has been loaded or committed yet, so this comes before the background's work.
  await fileSystem.rename(below, 'file-7', 1, 'saved', 0, caller);
  await removed;
  await t.exception(async () => fileSystem.mkdir(top, 'new', 0o755, caller), /ENOENT/);
  await fileSystem.removalsDone();
  await fileSystem.write(ino, handle, 0, Buffer.from('still here'), options, caller);
  const answer = await fileSystem.read(ino, handle, 0, 100, caller);
  t.alike(Buffer.concat([answer].flat()), Buffer.from('still here'));
  t.ok((await fileSystem.lookup(1, 'saved', caller)).attributes);
  await fileSystem.release(ino, handle);
  fileSystem.forget(ino, 1);
  await fileSystem.commit();
  t.is(await count(opened, RecordKind.inode), 2, 'the root and what was saved');
  await opened.close();
});

test('paths that lead nowhere', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'removal'));
  const { fileSystem } = opened;
  await addFile(opened, 1, 'file');
  for (const path of ['nothing', 'file/below', 'nothing/below']) {
    await t.exception(() => fileSystem.removeTree(path), NotFoundError);
  }
  for (const path of ['', '/', '.', '../up', 'a/../b', 'a\0b']) {
    await t.exception(() => fileSystem.removeTree(path), UsageError);
  }
  await fileSystem.removeTree('file');
  await fileSystem.removalsDone();
  t.is(await count(opened, RecordKind.inode), 1);
  await opened.close();
});

test('deleting a file whose range is a million times its content', {
  timeout: 60_000,
}, async (t) => {
  const folder = temporaryFolder(t, 'removal');
  let opened = await openFileSystem(folder);
  const made = await opened.fileSystem.create(1, 'wide', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  for (const at of [0, 2 ** 30, 2 ** 45, 2 ** 49]) {
    await opened.fileSystem.write(ino, made.open.handle, at, Buffer.of(1), options, caller);
  }
  await opened.close();
  opened = await openFileSystem(folder);
  t.is(await count(opened, RecordKind.segment), 4);
  let changed = 0;
  const { write } = opened.tree;
  opened.tree.write = (changes) => {
    changed += changes.length;
    return write.call(opened.tree, changes);
  };
  await opened.fileSystem.lookup(1, 'wide', caller);
  await opened.fileSystem.write(ino, 0, 2 ** 48, Buffer.of(1), options, caller);
  await opened.fileSystem.unlink(1, 'wide', caller);
  opened.fileSystem.forget(ino, 1);
  await opened.fileSystem.removalsDone();
  await opened.fileSystem.commit();
  t.is(await count(opened, RecordKind.segment), 0);
  t.is(await count(opened, RecordKind.inode), 1);
  t.is(await count(opened, RecordKind.orphan), 0);
  t.ok(changed < 20, `${changed} changes of the tree`);
  await opened.close();
});

test('who is in a directory that is being removed can go on there', async (t) => {
  const opened = await openFileSystem(temporaryFolder(t, 'removal'));
  const { fileSystem } = opened;
  const top = await mkdir(opened, 1, 'top');
  // More than are removed in one turn.
  for (let i = 0; i < DIRECTORIES; i++) await mkdir(opened, top, `directory-${i}`);
  const other = await mkdir(opened, 1, 'other');
  const file = await addFile(opened, 1, 'file');
  await fileSystem.commit();
  const removed = fileSystem.removeTree('top');
  while ((await fileSystem.lookup(1, 'top', caller)).attributes !== null) await setImmediate();
  // Those that are removed last.
  const left = [DIRECTORIES - 1, DIRECTORIES - 2, DIRECTORIES - 3].map((i) => `directory-${i}`);
  const [first, second, third] = left as [string, string, string];
  await Promise.resolve(fileSystem.rmdir(top, first, caller)).catch(expectGone);
  await Promise.resolve(fileSystem.rename(top, second, other, 'saved', 0, caller)).catch(
    expectGone,
  );
  const exchanged = async () => fileSystem.rename(top, third, 1, 'file', RENAME_EXCHANGE, caller);
  await t.exception(exchanged, /ENOENT/, 'it takes no other names');
  await fileSystem.commit();
  await removed;
  await fileSystem.removalsDone();
  await fileSystem.commit();
  const { attributes } = await fileSystem.lookup(1, 'file', caller);
  t.is(attributes?.ino, file);
  await opened.close();
});

/** It was quicker. */
function expectGone(error: unknown): void {
  if (!(error instanceof PosixError && error.errno === 'ENOENT')) throw error;
}
