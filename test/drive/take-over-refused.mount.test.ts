/** When a drive is not taken over. */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'brittle';
import { SHARING_TIME } from '../sharing/support/shared-drive.js';
import { BootstrapNode, Machine } from '../support/drive-mount.js';

test(
  'a drive is not taken over from a writer that answers, without peers, or with a read key',
  SHARING_TIME,
  async (t) => {
    const node = await BootstrapNode.forTest(t);
    const origin = Machine.forTest(t, { bootstrap: node.address, here: true });
    const heir = Machine.forTest(t, { bootstrap: node.address, here: true });
    const mount = await origin.createAndMount('notes');
    writeFileSync(path.join(mount.directory, 'file'), 'text');
    await mount.commit();
    const writeKey = (await origin.shoal('share', 'notes', '--write')).trim();
    const readKey = (await origin.shoal('share', 'notes')).trim();
    const target = heir.makeMountPoint();
    const refusal = async (...args: string[]): Promise<{ code: number | null; stderr: string }> =>
      await heir.tryShoal(['mount', ...args, target, '--take-over', '--deadline', '2']);

    const both = await refusal(writeKey, '--read-only');
    t.is(both.code, 2, both.stderr.trim());
    const read = await refusal(readKey, '--name', 'heir');
    t.is(read.code, 6, read.stderr.trim());
    const busy = await refusal(writeKey, '--name', 'heir');
    t.is(busy.code, 5, busy.stderr.trim());
    await mount.unmount();
    const alone = await refusal('heir');
    t.is(alone.code, 9, alone.stderr.trim());
    t.ok(/no peer that has it is connected/.test(alone.stderr));

    const again = await origin.mount('notes');
    writeFileSync(path.join(again.directory, 'second'), 'text');
    await again.commit();
    t.alike(readdirSync(again.directory).sort(), ['file', 'second'], 'nothing was taken over');
    await again.unmount();
  },
);
