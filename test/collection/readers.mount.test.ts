/** Readers of a drive of which something was collected. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'brittle';
import { eventually, SHARING_TIME, SharedDrive } from '../sharing/support/shared-drive.js';
import { contentAt, writeContent } from '../sharing/support/stream-content.js';
import type { DriveMount } from '../support/drive-mount.js';
import { checkedBlocks, rewrite } from './support/collection.js';

const FILE_BYTES = 1 << 20;

test(
  'readers - follow across a collection, and drop what was collected',
  SHARING_TIME,
  async (t) => {
    const drive = await SharedDrive.forTest(t, { here: true });
    const { origin } = drive;
    writeContent(join(origin.directory, 'kept'), 1, FILE_BYTES);
    writeContent(join(origin.directory, 'unread'), 2, FILE_BYTES);
    writeContent(join(origin.directory, 'doomed'), 3, FILE_BYTES);
    await rewrite(origin, 'small', 40);
    const reader = await drive.addReader();
    t.ok(readFileSync(join(reader.directory, 'kept')).equals(contentAt(1, 0, FILE_BYTES)));
    t.ok(readFileSync(join(reader.directory, 'doomed')).equals(contentAt(3, 0, FILE_BYTES)));
    const small = await rewrite(origin, 'small', 40);
    writeContent(join(origin.directory, 'doomed'), 4, FILE_BYTES);
    await origin.commit();

    await origin.machine.shoal('retention', 'origin', '--keep', '0');
    const report = JSON.parse(await origin.machine.shoal('collect', 'origin', '--json'));
    t.ok(report.treeBlocks > 50, `${report.treeBlocks} blocks of the tree were collected`);
    t.ok(report.chunkBlocks > 0, `${report.chunkBlocks} blocks of the chunk log were collected`);

    writeFileSync(join(origin.directory, 'after'), 'after');
    await origin.commit();
    await eventually('the reader follows', () => existsSync(join(reader.directory, 'after')));
    t.ok(readFileSync(join(reader.directory, 'small')).equals(small));
    t.ok(readFileSync(join(reader.directory, 'unread')).equals(contentAt(2, 0, FILE_BYTES)));
    t.ok(readFileSync(join(reader.directory, 'doomed')).equals(contentAt(4, 0, FILE_BYTES)));
    t.ok(readFileSync(join(reader.directory, 'kept')).equals(contentAt(1, 0, FILE_BYTES)));
    await eventually('the reader drops what was collected', async () => {
      return (await checkedBlocks(reader)).tree <= (await checkedBlocks(origin)).tree;
    });

    await t.test(
      'and a fresh reader comes to a whole head, and reads on without peers',
      async (t) => {
        const fresh = await drive.addReader();
        t.ok(readFileSync(join(fresh.directory, 'small')).equals(small));
        t.ok(readFileSync(join(fresh.directory, 'doomed')).equals(contentAt(4, 0, FILE_BYTES)));
        await eventually('all of the tree is there', async () => {
          return (await checkedBlocks(fresh)).tree === (await checkedBlocks(origin)).tree;
        });
        t.is((await checkedBlocks(fresh)).notHere, 0);
        writeFileSync(join(origin.directory, 'last'), 'last');
        await origin.commit();
        for (const each of [reader, fresh]) {
          await eventually('the newest version', () => existsSync(join(each.directory, 'last')));
        }
        await eventually(
          'all of it is there',
          async () => (await checkedBlocks(fresh)).notHere === 0,
        );
        await fresh.unmount();
        await origin.unmount();
        const again = await fresh.machine.mount('reader', ['--offline']);
        t.ok(readFileSync(join(again.directory, 'small')).equals(small));
        t.is(readFileSync(join(again.directory, 'last'), 'utf8'), 'last');
        await sound(again);
      },
    );

    async function sound(mount: DriveMount): Promise<void> {
      t.alike((await checkedBlocks(mount)).problems, []);
    }
  },
);
