/** `shoal check` where a peer has the drive, too: what is damaged is fetched again. */
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { Home } from '../../src/drive/home.js';
import { parseBootstrap } from '../../src/swarm/address.js';
import { checkedBlocks } from '../collection/support/collection.js';
import { filesBelow, flipByte } from '../durability/support/store-files.js';
import { contentOf } from '../durability/support/workload.js';
import {
  eventually,
  SHARING_TIME,
  SharedDrive,
  statusOf,
} from '../sharing/support/shared-drive.js';
import type { DriveMount } from '../support/drive-mount.js';
import {
  changeBlock,
  checkHere,
  damageBlock,
  FILE_BYTES,
  lengthOf,
  loseBlock,
  problemsOf,
  writeFiles,
} from './support/damaged-drive.js';

const NAMES = ['a', 'b'];
/** So many that what describes the logs has a table's block without the newest records. */
const SMALL_FILES = 1500;

test('peers - a damaged drive of the writer is made whole by a reader', SHARING_TIME, async (t) => {
  const shared = await SharedDrive.forTest(t, { here: true });
  writeFiles(shared.origin, NAMES);
  const reader = await readerWithAll(shared);
  const { machine, name } = shared.origin;
  await shared.origin.unmount();
  const blocks = {
    tree: await lengthOf(machine, 'tree', name),
    content: await lengthOf(machine, 'content', name),
  };
  t.is((await statusOf(reader)).treeLength, blocks.tree, 'the reader has all of the tree');
  // The newest node of the tree, another one, and chunks: on the disk, in the cipher, and gone.
  await changeBlock(machine, 'tree', blocks.tree - 1, name);
  await loseBlock(machine, 'tree', blocks.tree - 2, name);
  await damageBlock(machine, 'content', 0, name);
  await changeBlock(machine, 'content', 2, name);
  await loseBlock(machine, 'content', blocks.content - 1, name);
  t.ok((await checkHere(machine, {}, name)).problemCount > 0);

  const bootstrap = parseBootstrap(shared.bootstrap);
  const options = { repair: true, offline: false, bootstrap };
  const repaired = await checkHere(machine, options, name);
  t.alike(problemsOf(repaired), []);
  t.is(repaired.repairs.filter((line) => /fetched block .* from a peer/.test(line)).length, 5);
  t.is(repaired.treeBlocks.notHere + repaired.chunkBlocks.notHere, 0);
  const again = await checkHere(machine, {}, name);
  t.alike(problemsOf(again), [], 'and it stays so');
  t.is(again.version, repaired.version, 'the tree was not changed');

  await shared.returnOrigin();
  expectFiles(t, shared.origin);
  writeFileSync(join(shared.origin.directory, 'later'), 'later', { flush: true });
  await eventually('the reader sees what is written afterwards', () => {
    return readFileSync(join(reader.directory, 'later'), 'utf8') === 'later';
  });
});

test('peers - a mount fetches what of its tree keeps it from opening', SHARING_TIME, async (t) => {
  const shared = await SharedDrive.forTest(t, { here: true });
  writeFiles(shared.origin, NAMES);
  const reader = await readerWithAll(shared);
  const { machine, name } = shared.origin;
  await shared.origin.unmount();
  const newest = (await lengthOf(machine, 'tree', name)) - 1;
  await changeBlock(machine, 'tree', newest, name);
  const mount = machine.makeMountPoint();
  const alone = await machine.tryShoal(['mount', name, mount, '--offline']);
  t.is(alone.code, exitCodes.damaged);
  await shared.returnOrigin();
  expectFiles(t, shared.origin);
  writeFileSync(join(shared.origin.directory, 'later'), 'later', { flush: true });
  await eventually('the reader has the newest node, too', () => {
    return readFileSync(join(reader.directory, 'later'), 'utf8') === 'later';
  });
  await shared.origin.unmount();
  t.alike(problemsOf(await checkHere(machine, {}, name)), []);

  // A repair without a peer takes it out, and a mount with one fetches it as anything that is not here.
  await changeBlock(machine, 'tree', (await lengthOf(machine, 'tree', name)) - 1, name);
  await checkHere(machine, { repair: true }, name);
  const offline = await machine.tryShoal(['mount', name, mount, '--offline', '--deadline', '600']);
  t.is(offline.code, exitCodes.unavailable);
  t.ok(offline.stderr.includes('without --offline while a peer'), offline.stderr);
  await shared.returnOrigin();
  expectFiles(t, shared.origin);
});

test('peers - a store that lost its newest blocks gets them back', SHARING_TIME, async (t) => {
  const shared = await SharedDrive.forTest(t, { here: true });
  const { machine, name, directory } = shared.origin;
  writeFileSync(join(directory, 'first'), 'first');
  await shared.origin.unmount();
  const database = join(new Home(machine.home).paths(name).store, 'db');
  const saved = join(machine.folder, 'saved');
  cpSync(database, saved, { recursive: true });
  await shared.returnOrigin();
  writeFiles(shared.origin, NAMES);
  const reader = await readerWithAll(shared);
  await shared.origin.unmount();
  const { version } = await checkHere(machine, {}, name);
  // Put back from a copy that is older than the state beside it.
  rmSync(database, { recursive: true });
  cpSync(saved, database, { recursive: true });

  const damaged = await checkHere(machine, {}, name);
  t.ok(problemsOf(damaged).some((line) => line.includes('lost its newest blocks')));
  t.ok(damaged.version < version);
  const refused = await machine.tryShoal(['mount', name, machine.makeMountPoint()]);
  t.is(refused.code, exitCodes.damaged, 'it is not written');
  t.ok(refused.stderr.includes(`'shoal check ${name} --repair'`), refused.stderr);
  const bootstrap = parseBootstrap(shared.bootstrap);
  const repaired = await checkHere(machine, { repair: true, offline: false, bootstrap }, name);
  t.alike(problemsOf(repaired), []);
  t.is(repaired.version, version);
  t.ok(repaired.repairs.includes('fetched the end of the logs again from a peer'));
  t.is(repaired.treeBlocks.notHere + repaired.chunkBlocks.notHere, 0, 'all of it');
  await shared.returnOrigin();
  expectFiles(t, shared.origin);
  writeFileSync(join(shared.origin.directory, 'later'), 'later', { flush: true });
  await eventually('the reader follows', () => {
    return readFileSync(join(reader.directory, 'later'), 'utf8') === 'later';
  });
});

test('peers - what the logs are found by is damaged: nothing is lost', SHARING_TIME, async (t) => {
  const shared = await SharedDrive.forTest(t, { here: true });
  const { machine, name, directory } = shared.origin;
  writeFiles(shared.origin, NAMES);
  for (let i = 0; i < SMALL_FILES; i++) writeFileSync(join(directory, `small-${i}`), `${i}`);
  const reader = await readerWithAll(shared);
  await shared.origin.unmount();
  const { inodes } = await checkHere(machine, {}, name);
  const tables = filesBelow(machine.home)
    .filter((file) => file.endsWith('.sst'))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  flipByte({ file: String(tables[0]), offset: 50 });
  const bootstrap = parseBootstrap(shared.bootstrap);
  const repaired = await checkHere(machine, { repair: true, offline: false, bootstrap }, name);
  t.alike(problemsOf(repaired), []);
  t.is(repaired.inodes, inodes);
  t.ok(repaired.repairs.some((line) => line.startsWith('made the heads of the logs anew')));
  t.ok(repaired.repairs.some((line) => /fetched block .* of the tree/.test(line)));
  await shared.returnOrigin();
  expectFiles(t, shared.origin);
  writeFileSync(join(shared.origin.directory, 'later'), 'later', { flush: true });
  await eventually('the reader follows under the new fork', () => {
    return readFileSync(join(reader.directory, 'later'), 'utf8') === 'later';
  });
  t.is(readFileSync(join(reader.directory, 'small-7'), 'utf8'), '7');
});

test(
  'peers - a reader: what is not here is no damage, what is damaged is fetched',
  SHARING_TIME,
  async (t) => {
    const shared = await SharedDrive.forTest(t, { here: true });
    writeFiles(shared.origin, NAMES);
    const reader = await shared.addReader();
    await eventually('the reader has the tree', async () => {
      return readFileSync(join(reader.directory, 'a')).equals(contentOf(0, FILE_BYTES));
    });
    const { machine, name } = reader;
    await reader.unmount();
    const fresh = await checkHere(machine, {}, name);
    t.alike(problemsOf(fresh), [], 'what was never fetched is no damage');
    t.ok(fresh.chunkBlocks.notHere > 0, `${fresh.chunkBlocks.notHere} blocks are not here`);

    await damageBlock(machine, 'content', 0, name);
    const damaged = await checkHere(machine, {}, name);
    t.alike(damaged.problems[0]?.paths, ['a']);
    const offline = await checkHere(machine, { repair: true }, name);
    t.alike(problemsOf(offline), [], 'without a peer the block is removed');
    t.is(offline.chunkBlocks.notHere, fresh.chunkBlocks.notHere + 1);

    await changeBlock(machine, 'tree', (await lengthOf(machine, 'tree', name)) - 1, name);
    t.ok((await checkHere(machine, {}, name)).problemCount > 0);
    const bootstrap = parseBootstrap(shared.bootstrap);
    const online = await checkHere(machine, { repair: true, offline: false, bootstrap }, name);
    t.alike(problemsOf(online), []);
    t.is(online.treeBlocks.notHere, 0, 'the node was fetched');
    const mount = await machine.mount(name);
    expectFiles(t, mount);
  },
);

function expectFiles(t: Assertions, mount: DriveMount): void {
  for (const [i, name] of NAMES.entries()) {
    t.ok(readFileSync(join(mount.directory, name)).equals(contentOf(i, FILE_BYTES)), name);
  }
}

/** A reader that has read everything, and has all of the tree, older versions included. */
async function readerWithAll(shared: SharedDrive): Promise<DriveMount> {
  await shared.origin.commit();
  const reader = await shared.addReader();
  const { treeLength } = await statusOf(shared.origin);
  await eventually('the reader has everything', async () => {
    for (const name of NAMES) readFileSync(join(reader.directory, name));
    if ((await statusOf(reader)).treeLength < treeLength) return false;
    return (await checkedBlocks(reader)).notHere === 0;
  });
  return reader;
}
