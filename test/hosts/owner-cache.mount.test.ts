/** Once hosts have confirmed what was written, the writer's own disk is a cache: a drive may be larger than it. */
import path from 'node:path';
import { test } from 'brittle';
import { diskUsage } from '../../src/drive/disk-usage.js';
import { eventually, SHARING_TIME, statusOf } from '../sharing/support/shared-drive.js';
import { writeContent } from '../sharing/support/stream-content.js';
import { command } from '../support/command.js';
import { BootstrapNode, type DriveMount, Machine } from '../support/drive-mount.js';
import { HostProcess } from './support/host-process.js';

const MIB = 1 << 20;
const CACHE_BYTES = 64 * MIB;
const FILE_BYTES = 32 * MIB;
const FILES = 3;
const READ_MS_MAX = 150_000;

async function hashesOf({ directory }: DriveMount): Promise<string> {
  const names = Array.from({ length: FILES }, (_, i) => path.join(directory, `file-${i}`));
  return await command('sha256sum', names, { deadlineMs: READ_MS_MAX });
}

test('a drive of 96 MiB on a disk of 64 MiB', SHARING_TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const hosts = await Promise.all([1, 2, 3].map(() => HostProcess.forTest(t, { bootstrap })));
  const machine = Machine.forTest(t, { bootstrap, here: true });
  const store = path.join(machine.home, 'drives', 'photos', 'store');
  let mount = await machine.createAndMount('photos');
  await machine.shoal('hosts', 'add', 'photos', ...hosts.map(({ invite }) => invite));
  await machine.shoal('protect', 'photos', '--data', '2', '--parity', '1');
  await mount.unmount();

  mount = await machine.mount('photos', ['--cache-size', '64M']);
  for (let i = 0; i < FILES; i++) {
    writeContent(path.join(mount.directory, `file-${i}`), i + 1, FILE_BYTES);
    await mount.commit();
  }
  const written = await hashesOf(mount);
  await machine.shoal('sync', 'photos');
  let used = 0;
  await eventually('the store is in its bound', async () => {
    used = await diskUsage(store);
    if (used > CACHE_BYTES * 1.05) throw new Error(`${used} bytes`);
    return true;
  });
  t.comment(`the store takes ${(used / MIB).toFixed(1)} MiB`);
  // The kernel has forgotten what it was told.
  await mount.unmount();
  mount = await machine.mount('photos', ['--cache-size', '64M'], mount.directory);
  t.is(await hashesOf(mount), written, 'what is not here comes from the hosts');
  const { downloadedBytes } = await statusOf(mount);
  t.ok(downloadedBytes > FILES * FILE_BYTES - CACHE_BYTES, `${downloadedBytes} bytes came`);
  // Nothing is let go before the hosts have said anew what they have.
  await eventually('the cache is in its bound', async () => {
    const { cache } = await statusOf(mount);
    return cache !== null && cache.bytes <= CACHE_BYTES;
  });
  t.absent(JSON.parse(await machine.shoal('health', 'photos', '--json')).isHere);
  await mount.unmount();
  const checked = await machine.shoal('check', 'photos');
  t.ok(checked.endsWith('no problems\n'), checked);
});
