import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'brittle';
import { diskUsage } from '../../src/drive/disk-usage.js';
import { command } from '../support/command.js';
import { Machine } from '../support/drive-mount.js';
import { SHARING_TIME, SharedDrive, statusOf } from './support/shared-drive.js';
import { writeContent } from './support/stream-content.js';

const MIB = 1 << 20;
const CACHE_BYTES = 64 * MIB;
const FILE_BYTES = 256 * MIB;
const READ_MS_MAX = 150_000;

test('a file four times as large as the cache is streamed', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  const { origin } = drive;
  writeContent(join(origin.directory, 'large'), 1, FILE_BYTES);
  const reader = await drive.addReader(['--cache-size', '64M']);
  const store = join(reader.machine.home, 'drives', 'reader', 'store');

  let isDone = false;
  let most = 0;
  const watch = async (): Promise<void> => {
    while (!isDone) {
      most = Math.max(most, await diskUsage(store));
      await sleep(20);
    }
  };
  const watched = watch();
  const hashes = await Promise.all(
    [origin, reader].map(({ directory }) =>
      command('sha256sum', ['-b', join(directory, 'large')], { deadlineMs: READ_MS_MAX }),
    ),
  );
  isDone = true;
  await watched;
  t.is(hashes[1]?.split(' ')[0], hashes[0]?.split(' ')[0]);
  t.comment(`the store took at most ${(most / MIB).toFixed(1)} MiB`);
  t.ok(most <= CACHE_BYTES * 1.05, `at most ${most} bytes of disk`);
  const { cache, downloadedBytes } = await statusOf(reader);
  t.ok(downloadedBytes >= FILE_BYTES, 'all of it came over the network');
  t.ok(cache !== null && cache.bytes > CACHE_BYTES / 5, 'the cache is used');
  t.ok(cache !== null && cache.bytes < CACHE_BYTES);
  await reader.unmount();
  const checked = await reader.machine.shoal('check', 'reader');
  t.ok(checked.endsWith('no problems\n'), checked);
});

test('sizes that cannot be meant, and drives that are never a cache', SHARING_TIME, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  await machine.shoal('create', 'mine');
  const directory = machine.makeMountPoint();
  for (const size of ['1M', 'many', '-5', '64Q', '']) {
    const result = await machine.tryShoal(['mount', 'mine', directory, `--cache-size=${size}`]);
    t.is(result.code, 2, `'${size}': ${result.stderr}`);
  }
  const args = ['mount', 'mine', directory, '--offline', '--cache-size', '64M'];
  const result = await machine.tryShoal(args);
  t.is(result.code, 0);
  t.ok(result.stderr.includes('has no effect'), result.stderr);
  await machine.shoal('unmount', directory);
});
