/** What is held in memory of a large drive is counted, and goes when there is too much of it. */
import test from 'brittle';
import { FULL_CACHE } from '../../src/fs/cache-limits.js';
import { Inode, S_IFDIR, S_IFREG } from '../../src/fs/inode.js';
import { InodeTable } from '../../src/fs/inode-table.js';
import { withMemory } from '../../src/fs/not-in-memory.js';
import { limits } from '../../src/limits.js';
import { encodeEntry } from '../../src/tree/entry-record.js';
import { encodeInode } from '../../src/tree/inode-record.js';
import { entryKey, inoOfKey, RecordKind } from '../../src/tree/keys.js';
import type { TreeRecord, TreeView } from '../../src/tree/tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, openFileSystem } from './support/open-file-system.js';

const NAMES = 10;
const MORE = 50_000;

function directory(ino: number): Inode {
  const inode = new Inode(ino);
  inode.mode = S_IFDIR | 0o755;
  inode.nlink = 2;
  inode.persisted = true;
  return inode;
}

/** Every directory has ten names; between two of them `onName` is called. */
function viewOf(onName: () => void): TreeView {
  const value = encodeEntry({ ino: 9, type: S_IFREG });
  return {
    head: { length: 1, fork: 0 },
    blockOf: async () => null,
    get: async (key) =>
      key[0] === RecordKind.inode ? encodeInode(directory(inoOfKey(key))) : null,
    async *range(from): AsyncGenerator<TreeRecord> {
      for (let i = 0; i < NAMES; i++) {
        yield { key: entryKey(inoOfKey(from), `name-${i}`), value };
        onName();
      }
    },
  };
}

test('a directory that is too large to be listed is an error, and the rest goes on', async (t) => {
  let names = 0;
  const table = new InodeTable({
    view: viewOf(() => names++),
    readOnly: true,
    log: t.fail,
    cacheLimits: { ...FULL_CACHE, directoryBytes: 5 * 120 },
  });
  const inode = directory(2);
  table.add(inode);
  await t.exception(async () => {
    await withMemory(() => table.needAllEntries(inode), null);
  }, /Cannot list directory 2/);
  t.ok(names < NAMES, 'not all of it was read');
  t.is(table.cachedEntries, 0, 'what was read is forgotten');
  t.is(await withMemory(() => table.needEntry(inode, 'nothing'), null), null, 'a name is found');
});

test('names are counted once, whatever happens while a directory is loaded', async (t) => {
  let onName: () => void = () => undefined;
  const table = new InodeTable({ view: viewOf(() => onName()), readOnly: false, log: t.fail });
  const inode = directory(2);
  table.add(inode);
  let added = 0;
  onName = () => table.setEntry(inode, `new-${added++}`, { ino: 9, type: S_IFREG });
  await withMemory(() => table.needAllEntries(inode), null);
  t.is(inode.directory?.entries.size, 2 * NAMES);
  t.is(table.cachedEntries, 2 * NAMES, 'added meanwhile');

  const missing = directory(3);
  table.add(missing);
  onName = () => undefined;
  await withMemory(() => table.needEntry(missing, 'nothing'), null);
  await withMemory(() => table.needAllEntries(missing), null);
  t.is(table.cachedEntries, 3 * NAMES, 'a name that is not there goes when all are known');

  const dropped = directory(4);
  table.add(dropped);
  let rounds = 0;
  onName = () => {
    if (rounds++ === 0) table.remove(dropped);
  };
  await withMemory(() => table.needAllEntries(dropped), null);
  t.is(table.cachedEntries, 4 * NAMES, 'dropped meanwhile, and loaded again');
  for (const each of [inode, missing, dropped]) table.remove(each);
  t.is(table.cachedEntries, 0);
});

test('inodes beyond the limit go, those in use stay', async (t) => {
  const table = new InodeTable({ view: viewOf(() => undefined), readOnly: false, log: t.fail });
  const used = directory(1);
  used.opens = 1;
  table.add(used);
  for (let ino = 2; ino < limits.cached_inodes_max + MORE; ino++) table.add(directory(ino));
  t.ok(table.size <= limits.cached_inodes_max + 1, `${table.size} are left`);
  t.is(table.peek(1), used);
  // Those added last were used last.
  t.ok(table.peek(limits.cached_inodes_max + MORE - 1));
});

test('a listing loads the inodes of neighbours with one scan', async (t) => {
  const folder = temporaryFolder(t, 'neighbours');
  let opened = await openFileSystem(folder);
  const count = 100;
  for (let i = 0; i < count; i++) {
    await opened.fileSystem.mknod(1, `file-${i}`, S_IFREG | 0o644, 0, caller);
  }
  await opened.close();
  opened = await openFileSystem(folder);
  const { fileSystem, tree } = opened;
  let gets = 0;
  const { get } = tree;
  tree.get = (...args) => {
    gets++;
    return get.apply(tree, args);
  };
  const { handle } = await fileSystem.opendir(1, 0, caller);
  let listed = 0;
  const sink = {
    plus: true,
    add: () => true,
    addPlus: () => {
      listed++;
      return true;
    },
  };
  await fileSystem.readdir(1, handle, 0, sink, caller);
  await fileSystem.releasedir(1, handle);
  t.is(listed, count);
  t.ok(gets < 5, `${gets} single look-ups`);
  await opened.close();
});
