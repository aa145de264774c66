/** What a comparison of two versions reads grows with what differs, not with the drive. */
import test from 'brittle';
import { type DiffPage, DriveHistory } from '../../src/fs/history/drive-history.js';
import { HeadsInUse } from '../../src/fs/history/heads-in-use.js';
import { caller, type OpenOptions, openFileSystem } from '../fs/support/open-file-system.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { countReads } from '../tree/support/count-reads.js';

const ROOT = 1;
const S_IFREG = 0o100644;
const DIRECTORIES = 100;
const FILES_EACH = 100;
const FAST: OpenOptions = { sync: () => Promise.resolve() };

test('diff of two versions that differ in one file of ten thousand', async (t) => {
  const folder = temporaryFolder(t, 'likely-names');
  const first = await openFileSystem(folder, FAST);
  const files: number[] = [];
  const directories: number[] = [];
  for (let i = 0; i < DIRECTORIES; i++) {
    const made = await first.fileSystem.mkdir(ROOT, `directory-${i}`, 0o755, caller);
    const { ino } = made.attributes;
    directories.push(ino);
    for (let k = 0; k < FILES_EACH; k++) {
      const name = `file-${k}`;
      files.push((await first.fileSystem.mknod(ino, name, S_IFREG, 0, caller)).attributes.ino);
    }
  }
  await first.fileSystem.commit();
  // Later than its neighbours, by their numbers, in an old directory.
  const late = directories[50] as number;
  const added = (await first.fileSystem.mknod(late, 'late', S_IFREG, 0, caller)).attributes.ino;
  await first.fileSystem.commit();
  const moved = files[7777] as number;
  await first.fileSystem.rename(directories[77] as number, 'file-77', late, 'moved', 0, caller);
  await first.fileSystem.commit();
  const begin = first.fileSystem.figures().version;
  const wanted: [number, string][] = [
    [files[9012] as number, 'directory-90/file-12'],
    [added, 'directory-50/late'],
    [moved, 'directory-50/moved'],
  ];
  for (const [ino] of wanted) {
    await first.fileSystem.setattr(ino, { mode: 0o600 }, caller);
    await first.fileSystem.commit();
  }
  await first.close();

  for (const [i, [, path]] of wanted.entries()) {
    const { fileSystem, tree, treeCore, close } = await openFileSystem(folder, FAST);
    const past = new DriveHistory(fileSystem, tree, new HeadsInUse());
    const reads = countReads(treeCore);
    const [from, to] = [String(begin + i), String(begin + i + 1)];
    const { differences } = (await past.call('diff', { from, to })) as DiffPage;
    t.alike(differences, [{ kind: 'changed', path }]);
    t.comment(`${reads.blocks.length} of ${treeCore.length} blocks were read`);
    // One that has another name now is looked for among all.
    if (path.endsWith('moved'))
      t.ok(reads.blocks.length > treeCore.length / 8, 'reads are counted');
    else
      t.ok(
        reads.blocks.length < treeCore.length / 8,
        `${reads.blocks.length} blocks of ${treeCore.length}`,
      );
    await close();
  }
});
