import {
  accessSync,
  appendFileSync,
  chmodSync,
  chownSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import { mknod, RENAME_EXCHANGE, rename } from '../support/syscalls.js';
import { getxattr, removexattr, setxattr } from '../support/xattr.js';
import { errorCode, SHARING_TIME, SharedDrive, statusOf } from './support/shared-drive.js';

test('a reader - refuses every change', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  const { origin } = drive;
  writeFileSync(join(origin.directory, 'file'), 'text');
  writeFileSync(join(origin.directory, 'other'), 'other text');
  setxattr(join(origin.directory, 'file'), 'user.one', Buffer.from('1'));
  mkdirSync(join(origin.directory, 'directory'));
  await origin.commit();
  const reader = await drive.addReader();
  const at = (name: string) => join(reader.directory, name);

  const changes: Record<string, () => unknown> = {
    create: () => openSync(at('new'), 'w'),
    'create exclusively': () => openSync(at('new'), 'wx'),
    'open to write': () => openSync(at('file'), 'r+'),
    'open to truncate': () => openSync(at('file'), 'w'),
    'a temporary file without a name': () =>
      openSync(at('.'), constants.O_RDWR | 0o20000000 | constants.O_DIRECTORY),
    append: () => appendFileSync(at('file'), 'more'),
    truncate: () => truncateSync(at('file'), 1),
    rename: () => renameSync(at('file'), at('renamed')),
    'rename over': () => renameSync(at('file'), at('other')),
    exchange: () => rename(at('file'), at('other'), RENAME_EXCHANGE),
    unlink: () => unlinkSync(at('file')),
    link: () => linkSync(at('file'), at('linked')),
    symlink: () => symlinkSync('file', at('symlinked')),
    mkdir: () => mkdirSync(at('made')),
    rmdir: () => rmdirSync(at('directory')),
    mknod: () => mknod(at('fifo'), 0o010644),
    chmod: () => chmodSync(at('file'), 0o600),
    'chmod of a directory': () => chmodSync(at('directory'), 0o700),
    chown: () => chownSync(at('file'), 1, 1),
    utimes: () => utimesSync(at('file'), 1, 1),
    setxattr: () => setxattr(at('file'), 'user.two', Buffer.from('2')),
    removexattr: () => removexattr(at('file'), 'user.one'),
    'access to write': () => accessSync(at('file'), constants.W_OK),
  };
  for (const [name, change] of Object.entries(changes)) t.is(errorCode(change), 'EROFS', name);

  t.alike(readdirSync(at('.')).sort(), ['directory', 'file', 'other']);
  t.is(readFileSync(at('file'), 'utf8'), 'text');
  t.is(readFileSync(at('other'), 'utf8'), 'other text');
  t.is(getxattr(at('file'), 'user.one').toString(), '1');
  t.is((await statusOf(reader)).readOnly, true);
});
