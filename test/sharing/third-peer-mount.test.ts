/** Readers serve each other. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import type { DriveMount } from '../support/drive-mount.js';
import { eventually, SHARING_TIME, SharedDrive, statusOf } from './support/shared-drive.js';
import { contentAt, writeContent } from './support/stream-content.js';

const MIB = 1 << 20;
const FILE_BYTES = 8 * MIB;
const LARGE_BYTES = 64 * MIB;
/** What each of two peers sends at least, of a file that one of them could send alone. */
const SHARE_BYTES_MIN = 4 * MIB;

test(
  'a second reader - gets from the first what the origin, which is off, wrote',
  SHARING_TIME,
  async (t) => {
    const drive = await SharedDrive.forTest(t, { here: true });
    const { origin } = drive;
    writeContent(join(origin.directory, 'file'), 1, FILE_BYTES);
    writeContent(join(origin.directory, 'never read'), 2, FILE_BYTES);
    await origin.commit();
    const first = await drive.addReader();
    t.ok(readFileSync(join(first.directory, 'file')).equals(contentAt(1, 0, FILE_BYTES)));
    await origin.kill();

    const second = await drive.addReader();
    t.ok(readFileSync(join(second.directory, 'file')).equals(contentAt(1, 0, FILE_BYTES)));
    const [firstStatus, secondStatus] = [await statusOf(first), await statusOf(second)];
    t.ok(secondStatus.downloadedBytes >= FILE_BYTES);
    t.ok(
      firstStatus.sentBytes >= FILE_BYTES,
      `the first reader sent ${firstStatus.sentBytes} bytes`,
    );
    t.ok(existsSync(join(second.directory, 'never read')));

    await t.test('and what is new from the origin when it is back', async (t) => {
      await drive.returnOrigin();
      writeFileSync(join(drive.origin.directory, 'new'), 'new text');
      await drive.origin.commit();
      for (const reader of [first, second]) {
        const path = join(reader.directory, 'new');
        await eventually('what is new', () => existsSync(path));
        t.is(readFileSync(path, 'utf8'), 'new text');
      }
    });
  },
);

test('a second reader - gets data from both who have it', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  const { origin } = drive;
  writeContent(join(origin.directory, 'large'), 3, LARGE_BYTES);
  const first = await drive.addReader();
  t.ok(readFileSync(join(first.directory, 'large')).equals(contentAt(3, 0, LARGE_BYTES)));

  const second = await drive.addReader();
  await eventually('both are connected', async () => (await statusOf(second)).peers === 2);
  const before = [await sentBy(origin), await sentBy(first)] as const;
  const { receivedBytes } = await statusOf(second);
  t.ok(readFileSync(join(second.directory, 'large')).equals(contentAt(3, 0, LARGE_BYTES)));
  const fromOrigin = (await sentBy(origin)) - before[0];
  const fromFirst = (await sentBy(first)) - before[1];
  const received = (await statusOf(second)).receivedBytes - receivedBytes;
  t.comment(`${fromOrigin} bytes from the origin, ${fromFirst} from the first reader`);
  t.ok(fromOrigin >= SHARE_BYTES_MIN, `the origin sent ${fromOrigin} bytes`);
  t.ok(fromFirst >= SHARE_BYTES_MIN, `the first reader sent ${fromFirst} bytes`);
  // The library asks a second peer for what a slow one owes.
  t.ok(received < 1.5 * LARGE_BYTES, `${received} bytes received: few blocks came twice`);
});

async function sentBy(mount: DriveMount): Promise<number> {
  return (await statusOf(mount)).sentBytes;
}
