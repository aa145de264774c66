/**
 * A loss of power takes blocks that a peer has already: the drive takes them back from the peer, or goes on without them,
 * under a new fork in either case, and the peer follows.
 */
import {
  closeSync,
  cpSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Assertions, test } from 'brittle';
import { checkDrive, describeReport } from '../durability/support/check-drive.js';
import { BootstrapNode, type DriveMount, Machine } from '../support/drive-mount.js';

const FOLLOW_MS_MAX = 30_000;

function writeSynced(directory: string, name: string, text: string): void {
  const fd = openSync(path.join(directory, name), 'w');
  writeSync(fd, text);
  fsyncSync(fd);
  closeSync(fd);
}

/** Waits until a directory has these names. */
async function whenListed(directory: string, names: string[]): Promise<string[]> {
  const deadline = performance.now() + FOLLOW_MS_MAX;
  let listed: string[] = [];
  while (performance.now() < deadline) {
    listed = readdirSync(directory).sort();
    if (listed.join() === names.join()) break;
    await sleep(50);
  }
  return listed;
}

const LOST = 'x'.repeat(100_000);
const AFTER = 'y'.repeat(100_000);

/** A drive whose machine has lost power, and a peer that has a newer version of it. */
interface Loss {
  origin: Machine;
  view: DriveMount;
}

/** The origin loses the file `lost`; a peer sees it, and with `peerReads` has its data, too. */
async function loseTail(t: Assertions, options: { peerReads: boolean }): Promise<Loss> {
  const node = await BootstrapNode.forTest(t);
  const origin = Machine.forTest(t, { bootstrap: node.address, here: true });
  const other = Machine.forTest(t, { bootstrap: node.address, here: true });
  const drive = path.join(origin.home, 'drives', 'notes');
  const database = path.join(drive, 'store', 'db');
  const kept = path.join(origin.folder, 'kept');

  let mount = await origin.createAndMount('notes');
  writeSynced(mount.directory, 'before', 'kept');
  await mount.unmount();
  cpSync(database, kept, { recursive: true });

  mount = await origin.mount('notes');
  const key = (await origin.shoal('share', 'notes')).trim();
  const view = await other.mount(key, ['--name', 'copy']);
  writeSynced(mount.directory, 'lost', LOST);
  t.alike(await whenListed(view.directory, ['before', 'lost']), ['before', 'lost']);
  if (options.peerReads) t.is(readText(view, 'lost'), LOST, 'a peer has it');
  await mount.kill();

  rmSync(database, { recursive: true });
  cpSync(kept, database, { recursive: true });
  loseBoot(t, drive);
  return { origin, view };
}

/** The machine starts again after a loss of power. */
function loseBoot(t: Assertions, drive: string): void {
  const stateFile = path.join(drive, 'state.json');
  const state = JSON.parse(readFileSync(stateFile, 'utf8')) as Record<string, unknown>;
  t.is(state.clean, false, 'the end was unclean');
  writeFileSync(stateFile, JSON.stringify({ ...state, bootId: 'an earlier boot' }));
}

function readText({ directory }: DriveMount, name: string): string {
  return readFileSync(path.join(directory, name), 'utf8');
}

/** Writes on, and sees that the peer has it all. */
async function expectFollowing(
  t: Assertions,
  mount: DriveMount,
  view: DriveMount,
  names: string[],
): Promise<void> {
  writeSynced(mount.directory, 'after', AFTER);
  t.alike(await whenListed(view.directory, names), names, 'the peer follows');
  t.is(readText(view, 'after'), AFTER, 'the peer has what came after');
  t.is(readText(view, 'before'), 'kept');
}

test('a lost tail comes back from a peer that has it', { timeout: 120_000 }, async (t) => {
  const { origin, view } = await loseTail(t, { peerReads: true });
  let mount = await origin.mount('notes');
  t.alike(readdirSync(mount.directory), ['before', 'lost'], 'it is back');
  await expectFollowing(t, mount, view, ['after', 'before', 'lost']);
  t.is(readText(view, 'lost'), LOST);
  await view.unmount();
  await mount.unmount();

  mount = await origin.mount('notes', ['--offline']);
  t.is(readText(mount, 'lost'), LOST, 'with its data, which is on this machine');
  await mount.unmount();
  t.alike(describeReport(await checkDrive(origin.home, 'notes')), [], 'the tree is whole');
});

test('a lost tail that a peer has only in part: the drive goes on without it', {
  timeout: 120_000,
}, async (t) => {
  const { origin, view } = await loseTail(t, { peerReads: false });
  const mount = await origin.mount('notes');
  t.alike(readdirSync(mount.directory), ['before'], 'it is lost');
  const log = origin.logOf('notes');
  t.ok(/Peers have newer versions that were lost here/.test(log), 'and the peer was asked');
  await expectFollowing(t, mount, view, ['after', 'before']);
  await view.unmount();
  await mount.unmount();
  t.alike(describeReport(await checkDrive(origin.home, 'notes')), [], 'the tree is whole');
});

test('a lost tail never forks the drive under its readers', { timeout: 120_000 }, async (t) => {
  const { origin, view } = await loseTail(t, { peerReads: true });
  // No peer can be asked.
  let mount = await origin.mount('notes', ['--offline']);
  t.alike(readdirSync(mount.directory), ['before'], 'the machine has lost it');
  writeSynced(mount.directory, 'alone', AFTER);
  await mount.unmount();

  mount = await origin.mount('notes');
  t.alike(await whenListed(view.directory, ['alone', 'before']), ['alone', 'before']);
  t.is(readText(view, 'alone'), AFTER);
  await expectFollowing(t, mount, view, ['after', 'alone', 'before']);
  await view.unmount();
  await mount.unmount();
});

test('a second loss of power takes the new fork: its number is not given again', {
  timeout: 120_000,
}, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const drive = path.join(machine.home, 'drives', 'notes');
  const database = path.join(drive, 'store', 'db');
  const kept = path.join(machine.folder, 'kept');
  let mount = await machine.createAndMount('notes', ['--offline']);
  await mount.unmount();
  cpSync(database, kept, { recursive: true });
  const forks: number[] = [];
  for (let loss = 0; loss < 3; loss++) {
    mount = await machine.mount('notes', ['--offline']);
    writeSynced(mount.directory, `file-${loss}`, 'text');
    const status = JSON.parse(await machine.shoal('status', 'notes', '--json')) as {
      mount: { treeFork: number };
    };
    forks.push(status.mount.treeFork);
    await mount.kill();
    rmSync(database, { recursive: true });
    cpSync(kept, database, { recursive: true });
    loseBoot(t, drive);
  }
  t.alike(forks, [0, 1, 2]);
});

test('a store that lost blocks after it was closed in order is not appended to', {
  timeout: 120_000,
}, async (t) => {
  const machine = Machine.forTest(t, { here: true });
  const drive = path.join(machine.home, 'drives', 'notes');
  const database = path.join(drive, 'store', 'db');
  const kept = path.join(machine.folder, 'kept');
  let mount = await machine.createAndMount('notes', ['--offline']);
  await mount.unmount();
  cpSync(database, kept, { recursive: true });
  mount = await machine.mount('notes', ['--offline']);
  writeFileSync(path.join(mount.directory, 'file'), 'text');
  await mount.unmount();
  rmSync(database, { recursive: true });
  cpSync(kept, database, { recursive: true });

  const target = machine.makeMountPoint();
  const refused = await machine.tryShoal(['mount', 'notes', target, '--offline']);
  t.not(refused.code, 0);
  t.ok(/lost the newest blocks/.test(refused.stderr), refused.stderr.trim());
  const readable = await machine.mount('notes', ['--offline', '--read-only']);
  t.alike(readdirSync(readable.directory), [], 'reading goes on');
  await readable.unmount();
  const again = await machine.tryShoal(['mount', 'notes', target, '--offline']);
  t.ok(/lost the newest blocks/.test(again.stderr), 'and makes the loss not forgotten');
});
