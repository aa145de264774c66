/** The owner has lost everything but the write key, and only hosts are online, not even all of them. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'brittle';
import { eventually, SHARING_TIME, statusOf } from '../sharing/support/shared-drive.js';
import { contentAt, writeContent } from '../sharing/support/stream-content.js';
import { BootstrapNode, type DriveMount, Machine } from '../support/drive-mount.js';
import { getxattr } from '../support/xattr.js';
import { HostProcess, until } from './support/host-process.js';

const FILE_BYTES = 2 << 20;
const FILES = 4;

function healthOf({ directory }: DriveMount, name: string): string {
  return getxattr(path.join(directory, name), 'user.shoal.health').toString();
}

test(
  'everything comes back with the write key and any two of three hosts',
  SHARING_TIME,
  async (t) => {
    const { address: bootstrap } = await BootstrapNode.forTest(t);
    const hosts = await Promise.all([1, 2, 3].map(() => HostProcess.forTest(t, { bootstrap })));
    const origin = Machine.forTest(t, { bootstrap, here: true });
    const mount = await origin.createAndMount('photos');
    for (let i = 0; i < FILES; i++) {
      writeContent(path.join(mount.directory, `file-${i}`), i + 1, FILE_BYTES);
    }
    await mount.commit();
    await origin.shoal('hosts', 'add', 'photos', ...hosts.map(({ invite }) => invite));
    await origin.shoal('protect', 'photos', '--data', '2', '--parity', '1');
    await origin.shoal('sync', 'photos');
    await until('the file is said to be safe', () =>
      /^any 1 of 3 connected hosts may fail; by what hosts said last, the oldest word of \d{4}-.*Z$/.test(
        healthOf(mount, 'file-0'),
      ),
    );
    const writeKey = (await origin.shoal('share', 'photos', '--write')).trim();
    await mount.kill();
    renameSync(origin.home, `${origin.home}.lost`);
    await hosts[0]?.kill();

    const heir = Machine.forTest(t, { bootstrap, here: true });
    const beganMs = performance.now();
    const restored = await heir.mount(writeKey, ['--name', 'photos', '--take-over']);
    const mountedMs = performance.now() - beganMs;
    t.alike(
      readdirSync(restored.directory).sort(),
      Array.from({ length: FILES }, (_, i) => `file-${i}`),
    );
    for (let i = 0; i < FILES; i++) {
      const text = readFileSync(path.join(restored.directory, `file-${i}`));
      t.ok(text.equals(contentAt(i + 1, 0, FILE_BYTES)), `file-${i}`);
    }
    // It is not said before the hosts' logs are open, and counts who has told what he has.
    await eventually('both hosts are counted', () => {
      const withoutOne = healthOf(restored, 'file-0');
      if (/^no host may fail.*1 of 3 hosts is not connected/.test(withoutOne)) return true;
      throw new Error(withoutOne);
    });
    const { receivedBytes } = await statusOf(restored);
    t.comment(
      `mounted after ${Math.round(mountedMs)} ms, all read after ${Math.round(performance.now() - beganMs)} ms, ${receivedBytes} bytes received for ${FILES * FILE_BYTES}`,
    );

    await hosts[0]?.start();
    const protectsMore = async (name: string): Promise<void> => {
      writeFileSync(path.join(restored.directory, name), 'text');
      await restored.commit();
      await heir.shoal('sync', 'photos');
      const { protection } = await until('all is protected again', async () => {
        const status = await statusOf(restored);
        return status.protection?.protectedVersion === status.protection?.version && status;
      });
      t.is(protection?.problem, null);
    };
    await protectsMore('new');

    // The old machine is found again. It knows of nothing, and goes on at once.
    renameSync(`${origin.home}.lost`, origin.home);
    const record = path.join(origin.home, 'drives', 'photos', 'drive.json');
    const { writeKeyShared, ...rest } = JSON.parse(readFileSync(record, 'utf8'));
    t.is(writeKeyShared, true);
    writeFileSync(record, JSON.stringify(rest));
    const old = await origin.mount('photos');
    await until('it learns that it was taken over', async () => (await statusOf(old)).readOnly);
    await protectsMore('newer');
    await old.unmount();
    await restored.unmount();
  },
);
