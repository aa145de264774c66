import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { contentOf } from '../durability/support/workload.js';
import type { DriveMount } from '../support/drive-mount.js';
import {
  eventually,
  SHARING_TIME,
  SharedDrive,
  settled,
  statusOf,
} from './support/shared-drive.js';

/** Eight of them lie in a block. */
const FILES = 800;
const FILE_BYTES = 8000;

test(
  'a reader - what lies next to small files that are read is there before it is read',
  SHARING_TIME,
  async (t) => {
    const drive = await SharedDrive.forTest(t, { here: true });
    const { origin } = drive;
    for (let i = 0; i < FILES; i++) {
      writeFileSync(join(origin.directory, nameOf(i)), contentOf(i, FILE_BYTES));
    }
    await origin.commit();
    const reader = await drive.addReader();

    expectFiles(t, reader, [100, 700, 400]);
    t.is((await settled(reader)).downloadedBlocks, 3, 'nothing for files here and there');

    expectFiles(t, reader, range(200, 260));
    await eventually('the next 40 are here', async () => {
      return (await statusOf(reader)).downloadedBlocks > 3 + 100 / 8;
    });
    const { downloadedBlocks: fetched } = await settled(reader);
    t.ok(fetched < 60, `${fetched} blocks of more than 100`);
    // Whoever asks for a block waits until it goes on.
    process.kill(origin.pid, 'SIGSTOP');
    t.teardown(() => process.kill(origin.pid, 'SIGCONT'), { order: -1 });
    expectFiles(t, reader, range(260, 300));
    process.kill(origin.pid, 'SIGCONT');
  },
);

function nameOf(index: number): string {
  return `file-${String(index).padStart(4, '0')}`;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

function expectFiles(t: Assertions, { directory }: DriveMount, indices: readonly number[]): void {
  const wrong = indices.filter(
    (i) => !readFileSync(join(directory, nameOf(i))).equals(contentOf(i, FILE_BYTES)),
  );
  t.alike(wrong, [], `${indices.length} files from ${indices[0]}`);
}
