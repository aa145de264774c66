import { type Assertions, test } from 'brittle';
import { DamagedError } from '../../src/errors.js';
import { ACCESS_LIST, checkedList, DEFAULT_LIST, setList } from '../../src/fs/access-lists.js';
import { Inode, S_IFDIR, S_IFREG } from '../../src/fs/inode.js';

const NOBODY = 0xffff_ffff;

function list(...entries: [tag: number, permissions: number, id?: number][]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2);
  entries.forEach(([tag, permissions, id], index) => {
    bytes.writeUInt16LE(tag, 4 + 8 * index);
    bytes.writeUInt16LE(permissions, 6 + 8 * index);
    bytes.writeUInt32LE(id ?? NOBODY, 8 + 8 * index);
  });
  return bytes;
}

function inodeOf(mode: number): Inode {
  const inode = new Inode(7);
  inode.mode = mode;
  return inode;
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    return error instanceof DamagedError ? 'damaged' : String((error as { errno?: string }).errno);
  }
}

/** The kernel never passes these on; another writer's drive may hold them. */
const BROKEN: Record<string, Buffer> = {
  'no bytes': Buffer.alloc(0),
  'no entries': list(),
  'half an entry': list([1, 7], [4, 7], [32, 7]).subarray(0, 26),
  'another version': Buffer.concat([
    Buffer.of(3, 0, 0, 0),
    list([1, 7], [4, 7], [32, 7]).subarray(4),
  ]),
  'no owner': list([4, 7], [16, 7], [32, 7]),
  'two owners': list([1, 7], [1, 7], [4, 7], [32, 7]),
  'no others': list([1, 7], [4, 7], [16, 7]),
  'a user without a mask': list([1, 7], [2, 7, 5], [4, 7], [32, 7]),
  'two masks': list([1, 7], [4, 7], [16, 7], [16, 7], [32, 7]),
  'another order': list([1, 7], [4, 7], [2, 7, 5], [16, 7], [32, 7]),
  'an unknown tag': list([1, 7], [3, 7], [4, 7], [16, 7], [32, 7]),
  'an unknown permission': list([1, 7], [4, 8], [32, 7]),
};

test('access lists - what is no list is refused when it is set, and damage when it is stored', (t: Assertions) => {
  const inode = inodeOf(S_IFREG | 0o644);
  for (const [what, bytes] of Object.entries(BROKEN)) {
    t.is(
      codeOf(() => setList(inode, ACCESS_LIST, bytes)),
      'EINVAL',
      what,
    );
    t.is(
      codeOf(() => checkedList(inode, ACCESS_LIST, bytes)),
      'damaged',
      what,
    );
  }
  t.is(
    codeOf(() =>
      checkedList(
        inode,
        ACCESS_LIST,
        list([1, 7], [2, 1, 5], [2, 1, 6], [4, 0], [8, 2, 5], [16, 7], [32, 0]),
      ),
    ),
    'none',
  );
});

test('access lists - a list that is set changes the mode, and is stored when the mode cannot say it', (t) => {
  const inode = inodeOf(S_IFREG | 0o4711);
  const minimal = list([1, 6], [4, 4], [32, 0]);
  t.alike(setList(inode, ACCESS_LIST, minimal), { mode: S_IFREG | 0o4640, stored: null });
  const masked = list([1, 6], [2, 6, 5], [4, 4], [16, 2], [32, 1]);
  t.alike(setList(inode, ACCESS_LIST, masked), { mode: S_IFREG | 0o4621, stored: masked });
  t.is(
    codeOf(() => setList(inode, DEFAULT_LIST, masked)),
    'EACCES',
    'only directories',
  );
  const folder = inodeOf(S_IFDIR | 0o755);
  t.alike(setList(folder, DEFAULT_LIST, minimal), { mode: S_IFDIR | 0o755, stored: minimal });
});
