/** The last writer is gone for good: another machine with the write key takes the drive over. And when it comes back. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Assertions, test } from 'brittle';
import { checkDrive, describeReport } from '../durability/support/check-drive.js';
import {
  commit,
  errorCode,
  eventually,
  SHARING_TIME,
  statusOf,
} from '../sharing/support/shared-drive.js';
import { contentAt, writeContent } from '../sharing/support/stream-content.js';
import { BootstrapNode, type DriveMount, Machine } from '../support/drive-mount.js';

const LARGE_BYTES = 3 << 20;

interface Scene {
  node: BootstrapNode;
  origin: Machine;
  /** Has everything, with a read key. */
  reader: DriveMount;
  /** Has the write key and nothing else. */
  heir: Machine;
  writeKey: string;
}

/** The origin wrote `large` and `small`, a reader has all of it, and the origin is gone with its disk. */
async function withoutWriter(t: Assertions): Promise<Scene> {
  const node = await BootstrapNode.forTest(t);
  const origin = Machine.forTest(t, { bootstrap: node.address });
  const heir = Machine.forTest(t, { bootstrap: node.address });
  const mount = await origin.createAndMount('notes');
  writeContent(path.join(mount.directory, 'large'), 1, LARGE_BYTES);
  writeFileSync(path.join(mount.directory, 'small'), 'small text');
  commit(mount);
  const readKey = (await origin.shoal('share', 'notes')).trim();
  const writeKey = (await origin.shoal('share', 'notes', '--write')).trim();
  const other = Machine.forTest(t, { bootstrap: node.address });
  const reader = await other.mount(readKey, ['--name', 'copy']);
  await other.shoal('pin', 'copy', '/');
  await mount.kill();
  putAway(origin);
  return { node, origin, reader, heir, writeKey };
}

function putAway({ home }: Machine): void {
  renameSync(home, `${home}.away`);
}

function bringBack({ home }: Machine): void {
  renameSync(`${home}.away`, home);
}

function write(mount: DriveMount, name: string, text = `text of ${name}`): void {
  writeFileSync(path.join(mount.directory, name), text);
  commit(mount);
}

/** Waits until a mount shows these files, with what was written to them. */
async function shows(mount: DriveMount, names: string[]): Promise<void> {
  await eventually(`${mount.name} at ${mount.directory} shows ${names.join()}`, () => {
    const listed = readdirSync(mount.directory).sort();
    if (listed.join() !== [...names].sort().join()) throw new Error(listed.join());
    return true;
  });
  for (const name of names.filter((each) => each.startsWith('by-'))) {
    if (readFileSync(path.join(mount.directory, name), 'utf8') !== `text of ${name}`) {
      throw new Error(`${name} has other content`);
    }
  }
}

function logOf({ home }: Machine, name: string): string {
  return readFileSync(path.join(home, 'drives', name, 'log'), 'utf8');
}

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
    write(writer, 'by-heir');
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

    write(writer, 'by-heir-again');
    await shows(follower, ['by-heir', 'by-heir-again', 'large', 'small']);
    await shows(reader, ['by-heir', 'by-heir-again', 'large', 'small']);
    const forks = await Promise.all([writer, follower, reader].map((each) => statusOf(each)));
    t.is(new Set(forks.map(({ treeFork }) => treeFork)).size, 1, 'all of one fork');

    // As anybody else, it can be given the right to write again.
    await heir.shoal('unmount', target);
    await origin.shoal('unmount', back);
    const giver = await heir.mount('heir', ['--read-only']);
    const again = await origin.mount('notes');
    write(again, 'by-origin');
    await shows(reader, ['by-heir', 'by-heir-again', 'by-origin', 'large', 'small']);
    await giver.unmount();
    await again.unmount();
    await reader.unmount();
    t.alike(describeReport(await checkDrive(origin.home, 'notes')), [], 'the drive is whole');
    t.alike(describeReport(await checkDrive(reader.machine.home, 'copy')), [], 'everywhere');
  },
);

test(
  'the old writer has versions that nobody else has: they stay, and it does not follow',
  SHARING_TIME,
  async (t) => {
    const { origin, reader, heir, writeKey } = await withoutWriter(t);
    const writer = await heir.mount(writeKey, ['--name', 'heir', '--take-over']);
    bringBack(origin);
    const alone = await origin.mount('notes', ['--offline']);
    write(alone, 'by-origin');
    await alone.unmount();
    write(writer, 'by-heir');

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
    write(writer, 'by-heir-again');
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
    write(writer, 'by-heir');
    await shows(reader, ['by-heir', 'large', 'small']);
    await writer.unmount();
    await reader.unmount();

    bringBack(origin);
    const old = await origin.mount('notes');
    write(old, 'by-origin');
    // A reader alone can show it: it has the owner's signature.
    const again = await reader.machine.mount('copy', []);
    await eventually('the old writer stops', async () => (await statusOf(old)).readOnly);
    t.ok(/has taken 'notes' over/.test(logOf(origin, 'notes')));
    t.is(
      errorCode(() => writeFileSync(path.join(old.directory, 'no'), '')),
      'EROFS',
    );
    t.is(readFileSync(path.join(old.directory, 'by-origin'), 'utf8'), 'text of by-origin');
    t.alike(readdirSync(again.directory).sort(), ['by-heir', 'large', 'small']);
    await old.unmount();

    writer = await heir.mount('heir');
    write(writer, 'by-heir-again');
    await shows(again, ['by-heir', 'by-heir-again', 'large', 'small']);
    await writer.unmount();
    await again.unmount();
  },
);
