/** A loss of power takes blocks that a peer has already: the drive goes on under a new fork, and the peer follows. */
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
import test from 'brittle';
import { BootstrapNode, Machine } from '../support/drive-mount.js';

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

test('a lost tail never forks the drive under its readers', { timeout: 120_000 }, async (t) => {
  const node = await BootstrapNode.forTest(t);
  const origin = Machine.forTest(t, { bootstrap: node.address });
  const other = Machine.forTest(t, { bootstrap: node.address });
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
  writeSynced(mount.directory, 'lost', 'x'.repeat(100_000));
  t.alike(await whenListed(view.directory, ['before', 'lost']), ['before', 'lost']);
  t.is(readFileSync(path.join(view.directory, 'lost'), 'utf8').length, 100_000, 'a peer has it');
  await mount.kill();

  rmSync(database, { recursive: true });
  cpSync(kept, database, { recursive: true });
  const stateFile = path.join(drive, 'state.json');
  const state = JSON.parse(readFileSync(stateFile, 'utf8')) as Record<string, unknown>;
  t.is(state.clean, false, 'the end was unclean');
  writeFileSync(stateFile, JSON.stringify({ ...state, bootId: 'an earlier boot' }));

  mount = await origin.mount('notes');
  t.alike(readdirSync(mount.directory), ['before'], 'the machine has lost it');
  writeSynced(mount.directory, 'after', 'y'.repeat(100_000));
  t.alike(await whenListed(view.directory, ['after', 'before']), ['after', 'before']);
  const content = readFileSync(path.join(view.directory, 'after'), 'utf8');
  t.is(content, 'y'.repeat(100_000), 'the peer has what came after');
  t.is(readFileSync(path.join(view.directory, 'before'), 'utf8'), 'kept');
  await view.unmount();
  await mount.unmount();
});

test('a store that lost blocks after it was closed in order is not appended to', async (t) => {
  const machine = Machine.forTest(t);
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
