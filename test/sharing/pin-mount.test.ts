import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import type { PinFigures } from '../../src/drive/pinner.js';
import { checkedBlocks } from '../collection/support/collection.js';
import { eventually, SHARING_TIME, SharedDrive, statusOf } from './support/shared-drive.js';
import { contentAt, writeContent } from './support/stream-content.js';

const MIB = 1 << 20;

test('what is pinned is here, stays here, and follows', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  const { origin } = drive;
  mkdirSync(join(origin.directory, 'kept/below'), { recursive: true });
  writeContent(join(origin.directory, 'kept/below/a'), 1, 6 * MIB);
  writeContent(join(origin.directory, 'other'), 2, 6 * MIB);
  writeFileSync(join(origin.directory, 'kept/small'), 'small');
  await origin.commit();
  const reader = await drive.addReader();
  const { machine } = reader;
  const pinsOf = async (): Promise<PinFigures[]> =>
    JSON.parse(await machine.shoal('pins', 'reader', '--json'));

  const missing = await machine.tryShoal(['pin', 'reader', '/kept', '/nothing']);
  t.is(missing.code, 3);
  t.ok(missing.stderr.includes("'/nothing'"), missing.stderr);
  t.alike(await pinsOf(), [], 'all or nothing');
  t.is((await machine.tryShoal(['pin', 'reader', '../x'])).code, 2);

  const printed = await machine.shoal('pin', 'reader', 'kept/');
  t.ok(printed.includes('/kept: 100 % here of 6.0 MiB in 2 files and 2 directories'), printed);
  const small = await machine.shoal('pin', 'reader', '/kept/small');
  t.is(small, '/kept/small: 100 % here of 5 B in 1 file\n', 'what lies in the tree counts, too');
  await machine.shoal('unpin', 'reader', '/kept/small');
  const { downloadedBytes } = await statusOf(reader);
  t.ok(downloadedBytes >= 6 * MIB && downloadedBytes < 8 * MIB, `${downloadedBytes} bytes came`);

  writeContent(join(origin.directory, 'kept/below/b'), 3, 4 * MIB);
  await origin.commit();
  await eventually('the new file is here', async () => {
    const [pin] = await pinsOf();
    return pin?.files === 3 && pin.blocks === pin.blocksHere;
  });
  t.ok((await machine.shoal('status', 'reader')).includes('/kept: 100 % here'));

  await origin.unmount();
  t.alike(readFileSync(join(reader.directory, 'kept/below/b')), contentAt(3, 0, 4 * MIB));
  t.is(readFileSync(join(reader.directory, 'kept/small'), 'utf8'), 'small');
  await reader.unmount();

  const [alone] = await pinsOf();
  t.is(alone?.blocks, alone?.blocksHere, 'without a mount');
  await machine.shoal('unpin', 'reader', '/kept');
  t.alike(await pinsOf(), []);
  t.is((await machine.tryShoal(['unpin', 'reader', '/kept'])).code, 3);
});

test(
  'pinning without a mount fetches, and keeps what a small cache would drop',
  SHARING_TIME,
  async (t) => {
    const drive = await SharedDrive.forTest(t, { here: true });
    const { origin } = drive;
    writeContent(join(origin.directory, 'pinned'), 1, 80 * MIB);
    writeContent(join(origin.directory, 'streamed'), 2, 80 * MIB);
    await origin.commit();
    const machine = drive.addMachine();
    const first = await machine.mount(drive.key, ['--name', 'reader']);
    // Without a network the pin is looked through in the tree that is here.
    await eventually('the tree is here', async () => (await checkedBlocks(first)).notHere === 0);
    await first.unmount();

    const noted = await machine.shoal('pin', 'reader', '/pinned', '--offline');
    t.ok(noted.includes('/pinned: 0 % here'), noted);
    const fetched = await machine.shoal('pin', 'reader', '/pinned');
    t.ok(fetched.includes('/pinned: 100 % here of 80.0 MiB'), fetched);

    const reader = await machine.mount('reader', ['--cache-size', '64M']);
    readFileSync(join(reader.directory, 'streamed'));
    const { cache, pins } = await statusOf(reader);
    t.is(pins[0]?.blocks, pins[0]?.blocksHere, 'still here');
    t.ok(cache !== null && cache.pinnedBytes > 70 * MIB, 'it does not count');
    t.ok(cache !== null && cache.bytes < 64 * MIB, 'the rest is bounded');
  },
);
