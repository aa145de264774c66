/** Inodes that a reading mount keeps although the drive has them no more: as long as they are in use. */
import { type Assertions, test } from 'brittle';
import { FULL_CACHE } from '../../src/fs/cache-limits.js';
import { Inode, S_IFDIR, S_IFREG } from '../../src/fs/inode.js';
import { InodeTable } from '../../src/fs/inode-table.js';
import { requireNoPath } from '../../src/fs/kept-inodes.js';
import { withMemory } from '../../src/fs/not-in-memory.js';
import { encodeInode } from '../../src/tree/inode-record.js';
import { inodeKey } from '../../src/tree/keys.js';
import type { TreeView } from '../../src/tree/tree.js';

const INODES_MAX = 10;
const FILE = 2;
const DIRECTORY = 3;

/** A tree of inodes only. */
function viewOf(length: number, ...inodes: Inode[]): TreeView {
  const records = new Map(
    inodes.map((inode) => [inodeKey(inode.ino).toString('hex'), encodeInode(inode)]),
  );
  return {
    head: { length, fork: 0 },
    blockOf: async () => null,
    get: async (key) => records.get(key.toString('hex')) ?? null,
    async *range() {},
  };
}

function inodeOf(ino: number, mode: number): Inode {
  const inode = new Inode(ino);
  inode.mode = mode;
  inode.nlink = mode === S_IFDIR ? 2 : 1;
  return inode;
}

function tableOf(t: Assertions, view: TreeView): InodeTable {
  const cacheLimits = { ...FULL_CACHE, inodes: INODES_MAX };
  return new InodeTable({ view, readOnly: true, log: t.fail, cacheLimits });
}

test('a kept file stays while it is open, whatever else comes into memory', async (t) => {
  const view = viewOf(1, inodeOf(FILE, S_IFREG));
  const table = tableOf(t, view);
  await table.load(FILE);
  const known = table.peek(FILE) as Inode;
  table.inUse.opened(FILE);
  table.inUse.opened(FILE);
  const older = { view, isTold: false };
  table.keep(FILE, known, older);
  table.startOver(viewOf(2));
  table.removeAll();
  t.is(table.need(FILE), known);
  t.is(known.nlink, 0);
  t.is(table.viewOf(known), view);
  for (let ino = 100; ino < 100 + 10 * INODES_MAX; ino++) table.add(inodeOf(ino, S_IFREG));
  t.is(table.peek(FILE), known);
  t.exception(() => requireNoPath(known), /ESTALE/);
  older.isTold = true;
  requireNoPath(known);

  table.inUse.closed(FILE);
  table.dropKept(FILE);
  t.is(table.peek(FILE), known, 'somebody else has it open');
  table.inUse.closed(FILE);
  table.dropKept(FILE);
  t.is(table.peek(FILE), undefined);
  await t.exception(() => table.load(FILE), /ESTALE/);
});

test('of a file that changed once more, what is in memory is not kept', async (t) => {
  const table = tableOf(t, viewOf(1, inodeOf(FILE, S_IFREG)));
  await table.load(FILE);
  const before = table.peek(FILE);
  table.inUse.opened(FILE);
  const last = inodeOf(FILE, S_IFREG);
  last.size = 7;
  table.keep(FILE, last, { view: viewOf(2, last), isTold: false });
  t.not(table.peek(FILE), before);
  t.is(table.peek(FILE)?.size, 7);
});

test('what is kept goes when another fork takes its place', async (t) => {
  const view = viewOf(1, inodeOf(FILE, S_IFREG));
  const table = tableOf(t, view);
  await table.load(FILE);
  table.inUse.opened(FILE);
  table.keep(FILE, table.need(FILE), { view, isTold: true });
  table.startOver(viewOf(2));
  table.dropKept(FILE, true);
  t.is(table.size, 0);
  t.ok(table.inUse.isOpen(FILE));
});

test('a removed directory is an empty one until the kernel forgets it', async (t) => {
  const view = viewOf(1, inodeOf(DIRECTORY, S_IFDIR));
  const table = tableOf(t, view);
  await table.load(DIRECTORY);
  table.remember(DIRECTORY, true);
  table.inUse.leave([DIRECTORY], { view, isTold: true });
  table.startOver(viewOf(2));
  table.remove(table.need(DIRECTORY));
  const kept = await withMemory(() => table.need(DIRECTORY), null);
  t.is(kept.nlink, 0);
  t.is(table.needEntry(kept, 'name'), null);
  t.is(table.needAllEntries(kept).entries.size, 0);
  table.forget(DIRECTORY, 1);
  t.is(table.size, 0);
  await t.exception(() => table.load(DIRECTORY), /ESTALE/);
});
