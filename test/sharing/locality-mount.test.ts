import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import { command } from '../support/command.js';
import type { DriveMount } from '../support/drive-mount.js';
import { getxattr, listxattr, removexattr, setxattr } from '../support/xattr.js';
import {
  errorCode,
  eventually,
  SHARING_TIME,
  SharedDrive,
  statusOf,
} from './support/shared-drive.js';
import { contentAt, writeContent } from './support/stream-content.js';

const MIB = 1 << 20;

test('what is here of a file, its hash and who has it', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  const { origin } = drive;
  const bytes = 4 * MIB;
  writeContent(join(origin.directory, 'file'), 1, bytes);
  writeContent(join(origin.directory, 'same'), 1, bytes);
  writeContent(join(origin.directory, 'other'), 2, bytes);
  writeFileSync(join(origin.directory, 'small'), 'small');
  await origin.commit();
  const reader = await drive.addReader();
  t.is(xattr(reader, 'file', 'local'), `0/${bytes}`);
  t.is(xattr(origin, 'file', 'local'), `${bytes}/${bytes}`);
  t.is(xattr(reader, 'small', 'local'), '5/5');
  t.is(xattr(reader, 'file', 'hash'), xattr(origin, 'file', 'hash'));
  t.is(xattr(reader, 'file', 'hash'), xattr(reader, 'same', 'hash'));
  t.not(xattr(reader, 'file', 'hash'), xattr(reader, 'other', 'hash'));
  t.is(xattr(reader, '.', 'version'), xattr(origin, '.', 'version'));
  t.is((await statusOf(reader)).downloadedBlocks, 0, 'nothing was fetched for it');
  await eventually('the origin has it', () => xattr(reader, 'file', 'peers') === '1');
  t.is(xattr(origin, 'file', 'peers'), '0');

  t.alike(readFileSync(join(reader.directory, 'file')), contentAt(1, 0, bytes));
  t.is(xattr(reader, 'file', 'local'), `${bytes}/${bytes}`);
  t.is(xattr(reader, 'other', 'local'), `0/${bytes}`);

  const listed = await listLong(reader);
  for (const file of ['file', 'other', 'small']) {
    const { localBytes, size, hash, peers } = listed.get(file) ?? {};
    t.is(`${localBytes}/${size}`, xattr(reader, file, 'local'), `shoal ls says it of ${file}`);
    t.is(hash, xattr(reader, file, 'hash'));
    t.is(String(peers), xattr(reader, file, 'peers'));
  }

  const path = join(origin.directory, 'file');
  t.alike(listxattr(path), []);
  t.is(
    errorCode(() => setxattr(path, 'user.shoal.local', Buffer.from('1'))),
    'EPERM',
  );
  t.is(
    errorCode(() => removexattr(path, 'user.shoal.hash')),
    'EPERM',
  );
  t.is(
    errorCode(() => getxattr(path, 'user.shoal.nothing')),
    'ENODATA',
  );
  t.is(
    errorCode(() => getxattr(origin.directory, 'user.shoal.hash')),
    'ENODATA',
  );
  await command('cp', ['-a', path, join(origin.directory, 'copy')]);
  t.alike(listxattr(join(origin.directory, 'copy')), []);

  await origin.unmount();
  await eventually('nobody has it', () => xattr(reader, 'file', 'peers') === '0');
  t.is(xattr(reader, 'other', 'local'), `0/${bytes}`, 'answers without a peer');
  t.is((await listLong(reader)).get('file')?.peers, 0);
  await reader.unmount();
  const unmounted = await listLong(reader);
  t.is(unmounted.get('file')?.localBytes, bytes);
  t.is(unmounted.get('other')?.localBytes, 0);
  t.is(unmounted.get('other')?.peers, null, 'nobody knows without a mount');
});

interface Listed {
  name: string;
  size: number;
  localBytes: number | null;
  hash: string | null;
  peers: number | null;
}

async function listLong({ machine, name }: DriveMount): Promise<Map<string, Listed>> {
  const printed = await machine.shoal('ls', name, '-l', '--json');
  const { entries } = JSON.parse(printed) as { entries: Listed[] };
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function xattr(mount: DriveMount, file: string, what: string): string {
  return getxattr(join(mount.directory, file), `user.shoal.${what}`).toString();
}
