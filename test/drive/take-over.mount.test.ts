/** The last writer is gone for good: another machine with the write key takes the drive over. And when it comes back. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'brittle';
import { checkDrive, describeReport } from '../durability/support/check-drive.js';
import { errorCode, SHARING_TIME, statusOf } from '../sharing/support/shared-drive.js';
import { contentAt } from '../sharing/support/stream-content.js';
import type { DriveMount } from '../support/drive-mount.js';
import { bringBack, LARGE_BYTES, shows, withoutWriter, write } from './support/without-writer.js';

test(
  'a drive is taken over, and the old writer comes back as a reader',
  SHARING_TIME,
  async (t) => {
    const { origin, reader, heir, writeKey } = await withoutWriter(t);
    const target = heir.makeMountPoint();

    const taken = await heir.tryShoal(['mount', writeKey, target, '--name', 'heir', '--take-over']);
    t.is(taken.code, 0, taken.stderr.trim());
    t.ok(/Took 'heir' over.*read-only when it comes back/.test(taken.stderr), taken.stderr.trim());
    const writer = { machine: heir, name: 'heir', directory: target } as DriveMount;
    await write(writer, 'by-heir');
    await shows(reader, ['by-heir', 'large', 'small']);
    const large = path.join(target, 'large');
    t.ok(readFileSync(large).equals(contentAt(1, 0, LARGE_BYTES)), 'what was there is readable');

    bringBack(origin);
    const back = origin.makeMountPoint();
    const returned = await origin.tryShoal(['mount', 'notes', back]);
    t.is(returned.code, 0);
    t.ok(
      /read-only: another machine has taken the drive over/.test(returned.stderr),
      returned.stderr,
    );
    t.is(
      errorCode(() => writeFileSync(path.join(back, 'no'), '')),
      'EROFS',
    );
    const follower = { machine: origin, name: 'notes', directory: back } as DriveMount;
    await shows(follower, ['by-heir', 'large', 'small']);

    await write(writer, 'by-heir-again');
    await shows(follower, ['by-heir', 'by-heir-again', 'large', 'small']);
    await shows(reader, ['by-heir', 'by-heir-again', 'large', 'small']);
    const forks = await Promise.all([writer, follower, reader].map((each) => statusOf(each)));
    t.is(new Set(forks.map(({ treeFork }) => treeFork)).size, 1, 'all of one fork');

    // As anybody else, it can be given the right to write again.
    await heir.shoal('unmount', target);
    await origin.shoal('unmount', back);
    const giver = await heir.mount('heir', ['--read-only']);
    const again = await origin.mount('notes');
    await write(again, 'by-origin');
    await shows(reader, ['by-heir', 'by-heir-again', 'by-origin', 'large', 'small']);
    await giver.unmount();
    await again.unmount();
    await reader.unmount();
    t.alike(describeReport(await checkDrive(origin.home, 'notes')), [], 'the drive is whole');
    t.alike(describeReport(await checkDrive(reader.machine.home, 'copy')), [], 'everywhere');
  },
);
