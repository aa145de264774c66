/** A drive whose owner wrote malicious records: whoever mounts it gets errors or sane data, in time, and stays up. */
import { join } from 'node:path';
import { test } from 'brittle';
import { residentBytes } from '../../scripts/benchmark/mount-process.js';
import { S_IFBLK, S_IFDIR, S_IFLNK, S_IFREG } from '../../src/fs/inode.js';
import { limits } from '../../src/limits.js';
import { segmentKey } from '../../src/tree/keys.js';
import { type ExtentRecord, encodeSegment } from '../../src/tree/segment-record.js';
import type { TreeChange } from '../../src/tree/tree.js';
import { withDrive } from '../durability/support/check-drive.js';
import { tryCommand } from '../support/command.js';
import { BootstrapNode, type DriveMount, isRunning, Machine } from '../support/drive-mount.js';
import { explore, type Found } from './support/explore.js';
import { directory, entry, inode, inodeOfSize, ROOT_INO, xattr } from './support/records.js';

const TIME = { timeout: 300_000 } as const;
const TOOL_MS_MAX = 60_000;
/** What a mount takes without any load is about 110 MiB. */
const MEMORY_BYTES_MAX = 500 << 20;
const MANY_XATTRS = 20_000;
const FAR_BLOCK = 900_000;

const chunk = (block: number, offset = 1, length = 10, writer = 0): ExtentRecord['chunk'] => ({
  writer,
  block,
  offset,
  length,
  hash: Buffer.alloc(16),
});
const extents = (ino: number, index: number, ...list: ExtentRecord[]): TreeChange => ({
  key: segmentKey(ino, index),
  value: encodeSegment(list),
});

/** Everything at once; each name says what is wrong with it. */
function hostileRecords(): TreeChange[] {
  const changes: TreeChange[] = [];
  let next = 100;
  /** Puts something into the root directory, or another one. */
  const add = (name: string, make: (ino: number) => TreeChange[], mode = S_IFREG, parent = 1) => {
    const ino = next++;
    changes.push(entry(parent, name, ino, mode), ...make(ino));
    return ino;
  };
  const file = (name: string, fields: Parameters<typeof inode>[1]) =>
    add(name, (ino) => [inode(ino, fields)], fields.mode);

  file('sound', { inline: 'sound' });
  const sound = next - 1;

  const names = add('names', (ino) => [directory(ino)], S_IFDIR);
  const bad = ['', '.', '..', 'a/b', '/etc/passwd', '../../etc', 'nul\0byte', 'x'.repeat(256)];
  for (const name of [...bad, 'fine']) changes.push(entry(names, name, sound));

  // Circles of directories.
  const a = add('a', (ino) => [directory(ino)], S_IFDIR);
  const b = add('b', (ino) => [directory(ino, { parent: a })], S_IFDIR, a);
  changes.push(entry(b, 'a-again', a, S_IFDIR), entry(b, 'inside', sound));
  const self = add('self', (ino) => [directory(ino)], S_IFDIR);
  changes.push(entry(self, 'self', self, S_IFDIR));
  const own = add('own-parent', (ino) => [directory(ino, { parent: ino })], S_IFDIR);
  changes.push(entry(own, 'me', own, S_IFDIR));
  changes.push(entry(ROOT_INO, 'root', ROOT_INO, S_IFDIR), entry(b, 'root', ROOT_INO, S_IFDIR));
  changes.push(entry(b, 'names-again', names, S_IFDIR));

  // Sizes.
  add('size-2^60', (ino) => [inodeOfSize(ino, 2n ** 60n)]);
  add('size-2^63', (ino) => [inodeOfSize(ino, 2n ** 63n)]);
  add('size-minus-1', (ino) => [inodeOfSize(ino, 2n ** 64n - 1n)]);
  add('size-nan', (ino) => [inodeOfSize(ino, 0x7ff8_0000_0000_0000n)]);
  add('size-2^50-and-1', (ino) => [inodeOfSize(ino, 2n ** 50n + 1n)]);
  file('giant', { size: 2 ** 50, segmentsEnd: 2 ** 30 });
  file('lies-about-blocks', { size: 10, allocatedBytes: 2 ** 50 });

  // Extents.
  const withExtents = (name: string, record: (ino: number) => TreeChange[]) =>
    add(name, (ino) => [inode(ino, { size: 1000, segmentsEnd: 1 }), ...record(ino)]);
  const whole = (block: number, writer = 0): ExtentRecord => ({
    start: 0,
    length: 10,
    chunk: chunk(block, 1, 10, writer),
    skip: 0,
  });
  withExtents('extent-of-no-block', (ino) => [extents(ino, 0, whole(FAR_BLOCK))]);
  withExtents('extent-of-block-2^52', (ino) => [extents(ino, 0, whole(2 ** 52))]);
  withExtents('extent-of-no-writer', (ino) => [extents(ino, 0, whole(0, 77))]);
  withExtents('extent-behind-segment', (ino) => [
    extents(ino, 0, { start: 1 << 20, length: 10, chunk: null, skip: 0 }),
  ]);
  withExtents('extents-that-overlap', (ino) => [
    { key: segmentKey(ino, 0), value: Buffer.from('01020000ff0affffffffffffffffff00', 'hex') },
  ]);
  withExtents('extents-without-number', (ino) => [
    { key: segmentKey(ino, 0), value: Buffer.from('01ffffffffffffffff1f', 'hex') },
  ]);
  withExtents('extent-behind-chunk', (ino) => [
    extents(ino, 0, { start: 0, length: 10, chunk: chunk(0, 1, 5), skip: 4 }),
  ]);
  add('segments-behind-size', (ino) => [
    inode(ino, { size: 5, segmentsEnd: 1 }),
    ...[0, 1, 7, 2 ** 31].map((index) => extents(ino, index, whole(FAR_BLOCK))),
  ]);
  withExtents('segment-keys', (ino) => [
    { key: Buffer.concat([segmentKey(ino, 0), Buffer.from('x')]), value: Buffer.of(1, 0) },
  ]);

  // Extended attributes.
  add('xattrs-many', (ino) => [
    inode(ino, { inline: 'x', xattrCount: 4_000_000_000 }),
    ...Array.from({ length: MANY_XATTRS }, (_, i) => xattr(ino, `user.${i}`, `${i}`)),
  ]);
  add('xattrs-large', (ino) => [
    inode(ino, { inline: 'x', xattrCount: 300 }),
    ...Array.from({ length: 300 }, (_, i) => xattr(ino, `user.${i}`, Buffer.alloc(65_000, i))),
  ]);
  add('xattrs-bad', (ino) => [
    inode(ino, { inline: 'x', xattrCount: 7 }),
    xattr(ino, 'user.good', 'good'),
    xattr(ino, 'no-namespace', 'x'),
    xattr(ino, '', 'x'),
    xattr(ino, 'user.', 'x'),
    xattr(ino, 'user.a\0user.b', 'x'),
    xattr(ino, `user.${'x'.repeat(300)}`, 'x'),
    xattr(ino, 'system.posix_acl_access', 'x'),
    xattr(ino, 'user.huge', Buffer.alloc(200_000)),
  ]);

  // Types and links.
  changes.push(entry(ROOT_INO, 'file-as-directory', sound, S_IFDIR));
  changes.push(entry(ROOT_INO, 'directory-as-file', names, S_IFREG));
  changes.push(entry(ROOT_INO, 'nowhere', 9_999_999));
  changes.push(entry(ROOT_INO, 'far-away', 2 ** 52 - 1));
  changes.push(entry(ROOT_INO, 'in-the-past', 2 ** 52 + 2 ** 40 + 1));
  changes.push({ ...entry(ROOT_INO, 'no-type', sound), value: Buffer.of(sound, 15) });
  changes.push({ ...entry(ROOT_INO, 'inode-0', sound), value: Buffer.of(0, 8) });
  file('mode-0', { mode: 0, inline: 'x' });
  changes.push(entry(ROOT_INO, 'mode-0', next - 1));
  file('all-modes', { mode: S_IFREG | 0o7777, inline: 'x' });
  file('nlink-0', { nlink: 0, inline: 'x' });
  file('nlink-huge', { nlink: 0xffff_ffff, inline: 'x' });
  file('device', { mode: S_IFBLK | 0o666, rdev: 0x0800 });
  file('times', { inline: 'x', atimeSec: 2 ** 52 - 1, mtimeSec: -(2 ** 52) + 1, ctimeNsec: 1 });

  // Symbolic links.
  const link = (name: string, target: Buffer | string) =>
    file(name, { mode: S_IFLNK | 0o777, inline: target });
  link('link-away', '/etc/passwd');
  link('link-with-nul', 'sound\0/etc/passwd');
  link('link-to-itself', 'link-to-itself');
  link('link-empty', '');
  link('link-of-200-KB', Buffer.alloc(200_000, 0x61));
  file('link-without-target', { mode: S_IFLNK | 0o777, size: 10 });
  file('inline-shorter-than-size', { inline: 'x', size: 1 << 20 });
  return changes;
}

test(
  'a malicious owner - every tool ends on what was written, with an error or with sane data',
  TIME,
  async (t) => {
    const bootstrap = await BootstrapNode.forTest(t);
    const machine = Machine.forTest(t, { bootstrap: bootstrap.address });
    await machine.shoal('create', 'evil');
    await withDrive(machine.home, 'evil', ({ tree }) => tree.write(hostileRecords()));
    const key = (await machine.shoal('share', 'evil')).trim();
    const origin = await machine.mount('evil', ['--deadline', '2']);
    const other = Machine.forTest(t, { bootstrap: bootstrap.address });
    const reader = await other.mountWithDeadline(key, 'evil', 2);

    // Who follows the drive, and who may write to it.
    for (const mount of [reader, origin]) {
      const problems: string[] = [];
      const check: Check = (isGood, what) => {
        if (!isGood) problems.push(what);
      };
      const found = await explore(mount.directory);
      checkFound(check, found, mount === origin);
      await checkTools(check, mount);
      check(found['/sound']?.content === '5:sound', 'what is sound is read');
      check(isRunning(mount.pid), 'the mount is up');
      const bytes = residentBytes(mount.pid);
      check(bytes < MEMORY_BYTES_MAX, `${bytes >> 20} MiB of memory`);
      checkLog(check, mount);
      const who = mount === reader ? 'reader' : 'writer';
      t.alike(problems, [], `${who}: ${Object.keys(found).length} names, ${bytes >> 20} MiB`);
      await mount.unmount();
    }
  },
);

type Check = (isGood: boolean, what: string) => void;

const ERRORS = ['EIO', 'ESTALE', 'ETIMEDOUT'];

function checkFound(check: Check, found: Record<string, Found>, mayWrite: boolean): void {
  const isError = (name: string, part: 'stat' | 'content' | 'target' = 'stat') => {
    const got = found[name]?.[part] as string | undefined;
    check(got !== undefined && ERRORS.includes(got), `${part} of ${name}: ${got}`);
  };
  const is = (got: unknown, expected: unknown, what: string) => {
    check(JSON.stringify(got) === JSON.stringify(expected), `${what}: ${JSON.stringify(got)}`);
  };
  is(found['/names']?.names, ['fine'], 'names that are none');
  for (const name of Object.keys(found)) {
    check(!/\0|\/\.{1,2}(\/|$)|passwd/.test(name), `name ${JSON.stringify(name)}`);
  }
  for (const name of ['a-again', 'root', 'names-again']) isError(`/a/b/${name}`);
  is(found['/a/b/inside']?.content, '5:sound', 'beside a circle');
  for (const name of ['self/self', 'own-parent', 'root']) isError(`/${name}`);
  for (const size of ['2^60', '2^63', 'minus-1', 'nan', '2^50-and-1']) isError(`/size-${size}`);
  is(found['/giant']?.size, 2 ** 50, 'a petabyte');
  is(found['/giant']?.content, `100000:${'\0'.repeat(20)}`, 'a hole of a petabyte');
  for (const name of [
    'extent-of-no-block',
    'extent-of-block-2^52',
    'extent-of-no-writer',
    'extent-behind-segment',
    'extents-that-overlap',
    'extents-without-number',
    'extent-behind-chunk',
  ]) {
    isError(`/${name}`, 'content');
  }
  const many = found['/xattrs-many']?.xattrs;
  check(Array.isArray(many) && many.length > 0 && many.length < MANY_XATTRS, 'many xattrs');
  check((found['/xattrs-large']?.xattrBytes ?? 0) <= limits.xattrs_bytes_max, 'large xattrs');
  is(found['/xattrs-bad']?.xattrs, ['user.good'], 'xattrs that are none');
  for (const name of ['file-as-directory', 'directory-as-file', 'nowhere', 'far-away', 'mode-0']) {
    isError(`/${name}`);
  }
  for (const name of ['no-type', 'inode-0', 'in-the-past']) is(found[`/${name}`], undefined, name);
  // Who may write removes in the background what has no link.
  const unlinked = found['/nlink-0']?.content;
  if (!mayWrite || unlinked !== undefined) is(unlinked, '1:x', 'no link');
  is(found['/nlink-huge']?.nlink, 0xffff_ffff, 'many links');
  is(found['/link-away']?.target, '/etc/passwd', 'a link is what it is');
  for (const name of ['link-with-nul', 'link-empty', 'link-without-target']) {
    isError(`/${name}`, 'target');
  }
  isError('/link-of-200-KB');
  isError('/inline-shorter-than-size');
}

/** Each ends, and goes round in no circle. */
async function checkTools(check: Check, mount: DriveMount): Promise<void> {
  const { directory: top } = mount;
  const options = { deadlineMs: TOOL_MS_MAX };
  const paths = (...names: string[]) => names.map((name) => join(top, name));
  for (const [tool, ...args] of [
    ['ls', '-lR', top],
    ['ls', '-lRL', top],
    ['find', top],
    ['find', '-L', top, '-ls'],
    ['du', '-s', top],
    ['cat', ...paths('self', 'nowhere', 'size-2^60', 'device', 'link-to-itself')],
    ['stat', ...paths('a/b/a-again', 'own-parent', 'times', 'xattrs-many')],
    ['rm', '-f', ...paths('nowhere')],
  ] as [string, ...string[]][]) {
    const { code, stdout } = await tryCommand(tool, args, options);
    const what = `${tool} ${args[0]} ended with code ${code} and ${stdout.length} bytes`;
    check(code !== null && stdout.length < 20_000, what);
    check(!/root:x:0/.test(stdout), `${tool} shows what is outside`);
  }
  const sound = await tryCommand('cat', paths('sound'), options);
  check(sound.stdout === 'sound', `sound: ${sound.stdout}${sound.stderr}`);
}

function checkLog(check: Check, mount: DriveMount): void {
  const log = mount.machine.logOf('evil');
  for (const expected of [
    /entry "\.\.\/\.\.\/etc": Cannot use directory entry/,
    /Entry "a-again" of directory \d+ leads to directory \d+, which is in another place/,
    /inode 9999999,? (which )?is missing/i,
    /Entry "file-as-directory" of directory 1 leads to inode \d+, which is of another type/,
    /size \d+ exceeds 1125899906842624/,
    /inode \d+ has too many extended attributes/,
    /Symbolic link \d+ has a target with a zero byte/,
    /an extent leaves the segment/,
    /no log of a writer 77 is known/,
  ]) {
    check(expected.test(log), `the log does not say ${expected}`);
  }
  const lines = log.split('\n');
  check(!/Unhandled|Uncaught|TypeError|RangeError/.test(log), 'the log tells of a fault');
  check(lines.length < 300, `${lines.length} lines in the log`);
}
