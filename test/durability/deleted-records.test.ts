/** After every commit the tree is whole, whatever was deleted when; a crash could come right then. */
import { type Assertions, test } from 'brittle';
import { StoreError } from '../../src/errors.js';
import { caller, type OpenedFileSystem, openFileSystem } from '../fs/support/open-file-system.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { checkTree, describeReport } from './support/check-drive.js';

const ROOT = 1;
const S_IFREG = 0o100000;
const O_RDWR = 2;
const writeOptions = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };
/** More than the records that one commit removes. */
const MANY_FILES = 25_000;

test('deleted - a directory with all its files, within one commit', async (t) => {
  const drive = await openForTest(t);
  const { fileSystem } = drive;
  const directory = await fileSystem.mkdir(ROOT, 'directory', 0o755, caller);
  const parent = directory.attributes.ino;
  const files = [];
  for (const name of ['a', 'b', 'c']) files.push(await makeFile(drive, parent, name));
  await fileSystem.commit();
  for (const name of ['a', 'b', 'c']) await fileSystem.unlink(parent, name, caller);
  await fileSystem.rmdir(ROOT, 'directory', caller);
  for (const ino of files) fileSystem.forget(ino, 1);
  fileSystem.forget(parent, 1);
  await expectWhole(t, drive);
  t.is(await countInodes(drive), 1);
});

test('deleted - a file, and before it its extended attribute, within one commit', async (t) => {
  const drive = await openForTest(t);
  const { fileSystem } = drive;
  const ino = await makeFile(drive, ROOT, 'file');
  await fileSystem.setxattr(ino, 'user.name', Buffer.from('value'), 0, caller);
  await fileSystem.commit();
  await fileSystem.removexattr(ino, 'user.name', caller);
  await fileSystem.unlink(ROOT, 'file', caller);
  fileSystem.forget(ino, 1);
  await expectWhole(t, drive);
});

test('deleted - a file and its extended attribute while the commit that makes them is under way', async (t) => {
  const drive = await openForTest(t);
  const { fileSystem } = drive;
  const ino = await makeFile(drive, ROOT, 'file');
  await fileSystem.setxattr(ino, 'user.name', Buffer.from('value'), 0, caller);
  const committing = fileSystem.commit();
  await fileSystem.unlink(ROOT, 'file', caller);
  fileSystem.forget(ino, 1);
  await committing;
  await expectWhole(t, drive);
  t.is(await countInodes(drive), 1);
});

test('deleted - open files without a name do not count in the commit record', async (t) => {
  const drive = await openForTest(t);
  const { fileSystem } = drive;
  const temporary = await fileSystem.tmpfile(ROOT, S_IFREG | 0o600, O_RDWR, caller);
  const deleted = await fileSystem.create(ROOT, 'deleted', S_IFREG | 0o644, O_RDWR, caller);
  for (const { entry, open } of [temporary, deleted]) {
    const { ino } = entry.attributes;
    await fileSystem.write(ino, open.handle, 0, Buffer.alloc(5000, 1), writeOptions, caller);
  }
  await fileSystem.unlink(ROOT, 'deleted', caller);
  const other = await makeFile(drive, ROOT, 'other');
  await expectWhole(t, drive);
  t.is(await countInodes(drive), 2);

  await fileSystem.link(temporary.entry.attributes.ino, ROOT, 'named', caller);
  await expectWhole(t, drive);
  t.is(await countInodes(drive), 3);
  fileSystem.forget(other, 1);
});

test('deleted - a file that was written is an orphan until it is closed', async (t) => {
  const drive = await openForTest(t);
  const { fileSystem } = drive;
  const { entry, open } = await fileSystem.create(ROOT, 'f', S_IFREG | 0o644, O_RDWR, caller);
  const { ino } = entry.attributes;
  await fileSystem.write(ino, open.handle, 0, Buffer.alloc(5000, 1), writeOptions, caller);
  await fileSystem.commit();
  await fileSystem.unlink(ROOT, 'f', caller);
  await fileSystem.commit();
  const report = await checkTree(drive.tree, [drive.content.statistics().blocks]);
  t.alike(report.problems.slice(0, 5), []);
  t.alike(report.orphans, [ino]);
  await fileSystem.release(ino, open.handle);
  fileSystem.forget(ino, 1);
  await expectWhole(t, drive);
});

test('deleted - more files than one commit removes', async (t) => {
  const drive = await openForTest(t);
  const { fileSystem } = drive;
  const files: number[] = [];
  for (let i = 0; i < MANY_FILES; i++) files.push(await makeFile(drive, ROOT, `f${i}`));
  await fileSystem.commit();
  for (let i = 0; i < MANY_FILES; i++) {
    await fileSystem.unlink(ROOT, `f${i}`, caller);
    fileSystem.forget(files[i] as number, 1);
  }
  await fileSystem.commit();
  const report = await checkTree(drive.tree, [drive.content.statistics().blocks]);
  t.alike(report.problems.slice(0, 5), []);
  t.ok(report.orphans.length > 0 && report.orphans.length < MANY_FILES, 'some are left for later');
  await fileSystem.commit();
  await expectWhole(t, drive);
  t.is(await countInodes(drive), 1);
});

test('deleted - what a failed commit was to write or to remove', async (t) => {
  const drive = await openForTest(t);
  const { fileSystem, tree } = drive;
  const directory = await fileSystem.mkdir(ROOT, 'directory', 0o755, caller);
  const parent = directory.attributes.ino;
  const inner = await makeFile(drive, parent, 'inner');
  const kept = await makeFile(drive, ROOT, 'kept');
  await fileSystem.setxattr(kept, 'user.name', Buffer.from('value'), 0, caller);
  await fileSystem.commit();

  // This commit is to remove an entry and an attribute, and to make a file.
  await fileSystem.unlink(parent, 'inner', caller);
  await fileSystem.removexattr(kept, 'user.name', caller);
  const made = await makeFile(drive, ROOT, 'made');
  const write = tree.write.bind(tree);
  tree.write = async () => {
    // Meanwhile all of it is deleted.
    await fileSystem.rmdir(ROOT, 'directory', caller);
    await fileSystem.unlink(ROOT, 'kept', caller);
    await fileSystem.unlink(ROOT, 'made', caller);
    for (const ino of [parent, inner, kept, made]) fileSystem.forget(ino, 1);
    throw new StoreError('Cannot write: planned');
  };
  await t.exception(fileSystem.commit(), /planned/);
  tree.write = write;
  await expectWhole(t, drive);
  t.is(await countInodes(drive), 1);
});

async function openForTest(t: Assertions): Promise<OpenedFileSystem> {
  const drive = await openFileSystem(temporaryFolder(t));
  t.teardown(() => drive.close(), { force: true });
  return drive;
}

/** An empty file that the kernel knows and nobody has open. */
async function makeFile(drive: OpenedFileSystem, parent: number, name: string): Promise<number> {
  const { attributes } = await drive.fileSystem.mknod(parent, name, S_IFREG | 0o644, 0, caller);
  return attributes.ino;
}

async function expectWhole(t: Assertions, drive: OpenedFileSystem): Promise<void> {
  await drive.fileSystem.commit();
  const report = await checkTree(drive.tree, [drive.content.statistics().blocks]);
  t.alike(describeReport(report), []);
}

async function countInodes(drive: OpenedFileSystem): Promise<number> {
  return (await checkTree(drive.tree, [drive.content.statistics().blocks])).inodes;
}
