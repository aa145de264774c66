/** A machine that wrote comes back after another one has taken its drive over, and has written meanwhile. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'brittle';
import { checkDrive, describeReport } from '../durability/support/check-drive.js';
import { errorCode, eventually, SHARING_TIME, statusOf } from '../sharing/support/shared-drive.js';
import { bringBack, shows, withoutWriter, write } from './support/without-writer.js';

test(
  'the old writer has versions that nobody else has: they stay, and it does not follow',
  SHARING_TIME,
  async (t) => {
    const { origin, reader, heir, writeKey } = await withoutWriter(t);
    const writer = await heir.mount(writeKey, ['--name', 'heir', '--take-over']);
    bringBack(origin);
    const alone = await origin.mount('notes', ['--offline']);
    await write(alone, 'by-origin');
    await alone.unmount();
    await write(writer, 'by-heir');

    for (const round of ['once', 'and the next time']) {
      const back = origin.makeMountPoint();
      const returned = await origin.tryShoal(['mount', 'notes', back]);
      t.is(returned.code, 0, round);
      t.ok(
        /taken the drive over.*copy what is missed/.test(returned.stderr),
        returned.stderr.trim(),
      );
      t.is(
        errorCode(() => writeFileSync(path.join(back, 'no'), '')),
        'EROFS',
      );
      t.alike(
        readdirSync(back).sort(),
        ['by-origin', 'large', 'small'],
        'what was written is there',
      );
      await shows(reader, ['by-heir', 'large', 'small']);
      await origin.shoal('unmount', back);
    }
    await write(writer, 'by-heir-again');
    await shows(reader, ['by-heir', 'by-heir-again', 'large', 'small']);
    await writer.unmount();
    await reader.unmount();
    t.alike(describeReport(await checkDrive(heir.home, 'heir')), [], 'the drive is whole');
    t.alike(describeReport(await checkDrive(reader.machine.home, 'copy')), [], 'everywhere');
  },
);

test(
  'the old writer learns while it is mounted that it was taken over',
  SHARING_TIME,
  async (t) => {
    const { origin, reader, heir, writeKey } = await withoutWriter(t);
    let writer = await heir.mount(writeKey, ['--name', 'heir', '--take-over']);
    await write(writer, 'by-heir');
    await shows(reader, ['by-heir', 'large', 'small']);
    await writer.unmount();
    await reader.unmount();

    bringBack(origin);
    const old = await origin.mount('notes');
    await write(old, 'by-origin');
    // A reader alone can show it: it has the owner's signature.
    const again = await reader.machine.mount('copy', []);
    await eventually('the old writer stops', async () => (await statusOf(old)).readOnly);
    t.ok(/has taken 'notes' over/.test(origin.logOf('notes')));
    t.is(
      errorCode(() => writeFileSync(path.join(old.directory, 'no'), '')),
      'EROFS',
    );
    t.is(readFileSync(path.join(old.directory, 'by-origin'), 'utf8'), 'text of by-origin');
    t.alike(readdirSync(again.directory).sort(), ['by-heir', 'large', 'small']);
    await old.unmount();

    writer = await heir.mount('heir');
    await write(writer, 'by-heir-again');
    await shows(again, ['by-heir', 'by-heir-again', 'large', 'small']);
    await writer.unmount();
    await again.unmount();
  },
);
