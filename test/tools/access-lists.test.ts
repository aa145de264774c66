import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'brittle';
import { eventually, SHARING_TIME } from '../sharing/support/shared-drive.js';
import { command, tryCommand } from '../support/command.js';
import { BootstrapNode, type DriveMount, Machine } from '../support/drive-mount.js';
import { testDirectory } from '../support/run-behaviours.js';
import { listxattr, setxattr } from '../support/xattr.js';
import { accessListChecks } from './access-lists.js';

const isRoot = process.getuid?.() === 0;
/** Others than the one who mounts are let in, else there is nobody to keep out. */
const ACL = isRoot ? ['--acl', '--allow-other'] : ['--acl'];

const folder = mkdtempSync(path.join(tmpdir(), 'plain-'));
testDirectory('plain directory', accessListChecks, () => folder);
test('plain directory: nothing is left', (t) => {
  rmSync(folder, { recursive: true });
  t.pass();
});

const machine = new Machine();
let mount: DriveMount | undefined;
test('mount: a new drive is mounted with --acl', async (t) => {
  mount = await machine.createAndMount('lists', ['--offline', ...ACL]);
  t.pass();
});
testDirectory('mount', accessListChecks, () => mount?.directory ?? '');
test('mount: it is unmounted and leaves nothing', async (t) => {
  try {
    await mount?.unmount();
  } finally {
    await machine.close();
  }
  t.pass();
});

const getfacl = (file: string) => command('getfacl', ['-cpn', file]);

test('lists stay with the drive; a mount without --acl hides and refuses them, and keeps them right', async (t) => {
  const other = Machine.forTest(t);
  let mounted = await other.createAndMount('lists', ['--offline', '--acl']);
  const at = (name: string) => path.join(mounted.directory, name);
  const remount = async (...options: string[]) => {
    await mounted.unmount();
    mounted = await other.mount('lists', ['--offline', ...options]);
  };
  writeFileSync(at('file'), 'text');
  mkdirSync(at('folder'));
  await command('setfacl', ['-m', 'u:12345:rw-', at('file')]);
  await command('setfacl', ['-d', '-m', 'u:12345:rwx', at('folder')]);
  setxattr(at('file'), 'user.note', Buffer.from('kept'));
  const before = [await getfacl(at('file')), await getfacl(at('folder'))];
  await remount('--acl');
  t.alike([await getfacl(at('file')), await getfacl(at('folder'))], before);

  await remount();
  t.alike(listxattr(at('file')), ['user.note']);
  const refused = await tryCommand('setfacl', ['-m', 'u:12345:r', at('file')]);
  t.is(refused.code, 1);
  t.ok(refused.stderr.includes('Operation not supported'), refused.stderr);
  t.is(statSync(at('file')).mode & 0o777, 0o664);
  chmodSync(at('file'), 0o640);
  writeFileSync(at('folder/new'), '');

  await remount('--acl');
  t.is(
    (await getfacl(at('file'))).replaceAll(/\s+/g, ' '),
    ['user::rw- user:12345:rw- #effective:r-- group::r-- mask::r-- other::---', ' '].join(''),
  );
  t.is((await getfacl(at('folder/new'))).includes('12345'), false);
  await mounted.unmount();
});

test('a reader goes by lists, and follows them', { ...SHARING_TIME, skip: !isRoot }, async (t) => {
  const bootstrap = await BootstrapNode.forTest(t);
  const [home, away] = [1, 2].map(() => Machine.forTest(t, { bootstrap: bootstrap.address })) as [
    Machine,
    Machine,
  ];
  const origin = await home.createAndMount('origin', ACL);
  const file = path.join(origin.directory, 'file');
  writeFileSync(file, 'text');
  chmodSync(file, 0o600);
  await command('setfacl', ['-m', 'u:12345:r', file]);
  await origin.commit();
  const key = (await home.shoal('share', 'origin')).trim();
  const options = ['--name', 'reader', '--numeric-owner', ...ACL];
  const reader = await away.mount(key, options);
  // Others may pass through.
  chmodSync(away.folder, 0o711);
  const seen = path.join(reader.directory, 'file');
  const mayRead = async (uid: number) =>
    (await tryCommand('cat', [seen], { uid, gid: uid })).code === 0;
  t.is(await getfacl(seen), await getfacl(file));
  t.ok(await mayRead(12_345));
  t.absent(await mayRead(12_346));
  await command('setfacl', ['-x', 'u:12345', '-m', 'u:12346:r', file]);
  await origin.commit();
  await eventually('the new list counts', async () => await mayRead(12_346));
  t.absent(await mayRead(12_345));
  t.is(await getfacl(seen), await getfacl(file));
  // Not the drive's own numbers: then its lists say nothing.
  await reader.unmount();
  const mapped = await away.mount('reader', ACL);
  t.alike(listxattr(path.join(mapped.directory, 'file')), []);
});
