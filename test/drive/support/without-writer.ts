/** A drive whose last writer is gone, and who takes it over. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Assertions } from 'brittle';
import { checkedBlocks } from '../../collection/support/collection.js';
import { eventually } from '../../sharing/support/shared-drive.js';
import { writeContent } from '../../sharing/support/stream-content.js';
import {
  BootstrapNode,
  commitMounted,
  type DriveMount,
  Machine,
} from '../../support/drive-mount.js';

/** Of the file `large`. */
export const LARGE_BYTES = 3 << 20;

export interface Scene {
  node: BootstrapNode;
  origin: Machine;
  /** Has everything, with a read key. */
  reader: DriveMount;
  /** Has the write key and nothing else. */
  heir: Machine;
  writeKey: string;
}

/** The origin wrote `large` and `small`, a reader has all of it, and the origin is gone with its disk. */
export async function withoutWriter(t: Assertions): Promise<Scene> {
  const node = await BootstrapNode.forTest(t);
  const origin = Machine.forTest(t, { bootstrap: node.address, here: true });
  const heir = Machine.forTest(t, { bootstrap: node.address, here: true });
  const mount = await origin.createAndMount('notes');
  writeContent(path.join(mount.directory, 'large'), 1, LARGE_BYTES);
  writeFileSync(path.join(mount.directory, 'small'), 'small text');
  await mount.commit();
  const readKey = (await origin.shoal('share', 'notes')).trim();
  const writeKey = (await origin.shoal('share', 'notes', '--write')).trim();
  const other = Machine.forTest(t, { bootstrap: node.address, here: true });
  const reader = await other.mount(readKey, ['--name', 'copy']);
  await other.shoal('pin', 'copy', '/');
  // Who takes over needs the blocks of older versions, too.
  await eventually('all of the tree', async () => (await checkedBlocks(reader)).notHere === 0);
  await mount.kill();
  putAway(origin);
  return { node, origin, reader, heir, writeKey };
}

function putAway({ home }: Machine): void {
  renameSync(home, `${home}.away`);
}

/** The disk of a machine is found again. */
export function bringBack({ home }: Machine): void {
  renameSync(`${home}.away`, home);
}

/** Writes a file, and commits. */
export async function write(
  mount: DriveMount,
  name: string,
  text = `text of ${name}`,
): Promise<void> {
  writeFileSync(path.join(mount.directory, name), text);
  await commitMounted(mount);
}

/** Waits until a mount shows these files, with what was written to them. */
export async function shows(mount: DriveMount, names: string[]): Promise<void> {
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
