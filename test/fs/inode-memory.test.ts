/** What is held in memory of a large drive is counted, and goes when there is too much of it. */
import test from 'brittle';
import type { Entry } from '../../mount/file-system.js';
import { InterruptedError } from '../../src/errors.js';
import { FULL_CACHE } from '../../src/fs/cache-limits.js';
import type { DriveFileSystem } from '../../src/fs/drive-file-system.js';
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

test('a listing that is interrupted answers what it has, for the kernel has looked that up', async (t) => {
  const folder = temporaryFolder(t, 'interrupted');
  let opened = await openFileSystem(folder);
  const count = 1000;
  for (let i = 0; i < count; i++) {
    await opened.fileSystem.mknod(1, `file-${i}`, S_IFREG | 0o644, 0, caller);
  }
  await opened.close();
  opened = await openFileSystem(folder);
  const { fileSystem } = opened;
  const { handle } = await fileSystem.opendir(1, 0, caller);
  const ending = new AbortController();
  let next = 2;
  const sink = {
    plus: true,
    add: () => true,
    addPlus: (_name: string, _entry: Entry, nextOffset: number) => {
      ending.abort();
      next = nextOffset;
      return true;
    },
  };
  const ended = { uid: 0, gid: 0, pid: 1, signal: ending.signal };
  await fileSystem.readdir(1, handle, 0, sink, ended);
  t.ok(next > 2 && next < count + 2, `as far as ${next}`);
  await t.exception(async () => fileSystem.readdir(1, handle, next, sink, ended), InterruptedError);
  await fileSystem.readdir(1, handle, next, sink, caller);
  t.is(next, count + 2, 'it can be gone on with');
  await fileSystem.releasedir(1, handle);
  await opened.close();
});

test('names that are not there do not fill the memory', async (t) => {
  const table = new InodeTable({ view: viewOf(() => undefined), readOnly: false, log: t.fail });
  const inode = directory(2);
  table.add(inode);
  for (let i = 0; i < 3 * limits.missing_names_max; i++) {
    await withMemory(() => table.needEntry(inode, `nothing-${i}`), null);
    if (i % 1000 === 0) table.setEntry(inode, `removed-${i}`, null);
  }
  t.ok(table.cachedEntries <= limits.missing_names_max + 1, `${table.cachedEntries} names`);
  t.is(table.cachedEntries, inode.directory?.entries.size);
  t.is(inode.directory?.entries.get('removed-0'), null, 'what the tree has still is known');
  inode.directory?.dirtyNames.clear();
  inode.committing = 1;
  for (let i = 0; i < 2 * limits.missing_names_max; i++) {
    await withMemory(() => table.needEntry(inode, `other-${i}`), null);
  }
  t.is(inode.directory?.entries.get('removed-0'), null, 'also while a commit carries it');
  inode.committing = 0;
  await withMemory(() => table.needEntry(inode, 'one more'), null);
  t.ok(table.cachedEntries < 2, 'and then no more');
});

test('a name that was removed while it was being looked up stays removed', async (t) => {
  const entry = { ino: 9, type: S_IFREG };
  let found: (value: Buffer) => void = () => undefined;
  const late = new Promise<Buffer>((resolve) => {
    found = resolve;
  });
  const view = viewOf(() => undefined);
  const isLate = (key: Buffer) => key.equals(entryKey(2, 'late'));
  const table = new InodeTable({
    view: { ...view, get: (key) => (isLate(key) ? late : view.get(key)) },
    readOnly: false,
    log: t.fail,
  });
  const inode = directory(2);
  table.add(inode);
  const lookup = withMemory(() => table.needEntry(inode, 'late'), null);
  table.setEntry(inode, 'late', entry);
  table.setEntry(inode, 'late', null);
  // Both were committed.
  inode.directory?.dirtyNames.clear();
  for (let i = 0; i <= limits.missing_names_max; i++) {
    await withMemory(() => table.needEntry(inode, `nothing-${i}`), null);
  }
  t.ok(table.cachedEntries < limits.missing_names_max, 'many were forgotten');
  found(encodeEntry(entry));
  t.is(await lookup, null);
});

test('a huge directory that is in use leaves others in memory that an operation needs', async (t) => {
  const table = new InodeTable({
    view: viewOf(() => undefined),
    readOnly: false,
    log: t.fail,
    cacheLimits: { ...FULL_CACHE, directoryEntries: NAMES / 2 },
  });
  const huge = directory(2);
  huge.opens = 1;
  const others = Array.from({ length: 40 }, (_, i) => directory(3 + i));
  for (const inode of [huge, ...others]) table.add(inode);
  await withMemory(() => table.needAllEntries(huge), null);
  for (const inode of others) await withMemory(() => table.needEntry(inode, 'x'), null);
  t.is(huge.directory?.entries.size, NAMES);
  const left = others.filter(({ directory }) => directory !== null);
  t.ok(left.length >= 2 && left.length < 20, `${left.length} are left`);
  const [one, other] = others as [Inode, Inode];
  let rounds = 0;
  const both = await withMemory(() => {
    rounds++;
    return [table.needEntry(one, 'x'), table.needEntry(other, 'y')];
  }, null);
  t.alike(both, [null, null]);
  t.is(rounds, 3, 'each is loaded once');
});

/** Lists up to `most` names from an offset; answers them and where to go on. */
async function list(
  fileSystem: DriveFileSystem,
  handle: number,
  offset: number,
  most: number,
): Promise<{ names: string[]; next: number }> {
  const names: string[] = [];
  let next = offset;
  const sink = {
    plus: false,
    add: (name: string, _ino: number, _type: number, nextOffset: number) => {
      if (names.length >= most) return false;
      next = nextOffset;
      names.push(name);
      return true;
    },
    addPlus: () => false,
  };
  await fileSystem.readdir(1, handle, offset, sink, caller);
  return { names: names.filter((name) => name !== '.' && name !== '..'), next };
}

test('a listing goes on where the kernel remembers that it was, whatever was removed meanwhile', async (t) => {
  const folder = temporaryFolder(t, 'listing');
  let opened = await openFileSystem(folder);
  const all = Array.from({ length: 100 }, (_, i) => `file-${String(i).padStart(3, '0')}`);
  // Not in their order.
  for (const name of [...all].reverse()) {
    await opened.fileSystem.mknod(1, name, S_IFREG | 0o644, 0, caller);
  }
  const { fileSystem } = opened;
  const first = await fileSystem.opendir(1, 0, caller);
  const second = await fileSystem.opendir(1, 0, caller);
  t.is(first.cacheDirectory, true);
  t.is(second.cacheDirectory, false, 'what the kernel keeps has the positions of one listing');
  const begun = await list(fileSystem, first.handle, 0, 50);
  await fileSystem.releasedir(1, second.handle);
  for (const name of all.slice(0, 40)) await fileSystem.unlink(1, name, caller);
  const rest = await list(fileSystem, first.handle, begun.next, 1000);
  t.alike([...begun.names, ...rest.names], all);
  await fileSystem.releasedir(1, first.handle);
  // It reads the beginning from what the kernel remembers.
  const third = await fileSystem.opendir(1, 0, caller);
  t.is(third.cacheDirectory, true);
  const fourth = await fileSystem.opendir(1, 0, caller);
  t.alike((await list(fileSystem, fourth.handle, 0, 1000)).names, all.slice(40));
  await fileSystem.releasedir(1, fourth.handle);
  t.alike((await list(fileSystem, third.handle, begun.next, 1000)).names, rest.names);
  const again = await list(fileSystem, third.handle, 0, 10);
  await fileSystem.releasedir(1, third.handle);
  await opened.close();

  opened = await openFileSystem(folder);
  const { handle } = await opened.fileSystem.opendir(1, 0, caller);
  const later = await list(opened.fileSystem, handle, again.next, 1000);
  t.alike([...again.names, ...later.names], all.slice(40), 'also when names are loaded anew');
  await opened.fileSystem.releasedir(1, handle);
  await opened.close();
});
