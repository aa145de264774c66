import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import test from 'brittle';
import { weaken } from '../../src/drive/capability.js';
import { createDrive, findOrJoinDrive, joinDrive } from '../../src/drive/create-drive.js';
import { readState, writeState } from '../../src/drive/drive-state.js';
import {
  AlreadyExistsError,
  BusyError,
  CapabilityError,
  InterruptedError,
  StoreError,
  UnavailableError,
} from '../../src/errors.js';
import { freePort, nextHead, PrivateNetwork } from './support/private-network.js';

const owner = { uid: 1000, gid: 1000 };
/** A record of no meaning to the file system. */
const key = Buffer.from([255, 1]);

test('drive - a reader gets what the writer has, and follows it, also after the writer was away', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const a = network.home('a');
  const b = network.home('b');
  const { capability } = await createDrive(a, 'notes', owner);
  let writer = await network.open(a, 'notes');
  t.ok(writer.writable);
  t.alike(writer.superblock.writers.length, 1);

  await findOrJoinDrive(b, 'copy', weaken(capability, 'read'));
  const reader = await network.open(b, 'copy');
  t.absent(reader.writable);
  t.alike(reader.superblock, writer.superblock);
  await t.exception(reader.tree.write([{ key, value: Buffer.from('x') }]), /open for reading/);

  let advanced = nextHead(reader);
  await writer.tree.write([{ key, value: Buffer.from('one') }]);
  await advanced;
  t.alike(await reader.tree.get(key), Buffer.from('one'));

  const chunk = writer.content.put([Buffer.alloc(5000, 'x')]);
  await writer.content.drain();
  t.alike(await reader.content.read(chunk, 0, 5000), Buffer.alloc(5000, 'x'));

  // The writer comes back under another address, and nobody tells the reader.
  await network.closeDrive(writer);
  writer = await network.open(a, 'notes');
  advanced = nextHead(reader);
  await writer.tree.write([{ key, value: Buffer.from('two') }]);
  await advanced;
  t.alike(await reader.tree.get(key), Buffer.from('two'));
});

test('drive - what a reader has is there without any network', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const a = network.home('a');
  const b = network.home('b');
  const { capability } = await createDrive(a, 'notes', owner);
  const writer = await network.open(a, 'notes');
  await joinDrive(b, 'copy', weaken(capability, 'read'));
  await t.exception(network.open(b, 'copy', { offline: true }), /mount it once without --offline/);
  await network.closeDrive(await network.open(b, 'copy'));
  await network.closeDrive(writer);
  const reader = await network.open(b, 'copy', { offline: true });
  t.is(reader.swarm, null);
  t.is(reader.tree.head.length, writer.tree.head.length);
});

test('drive - a joined drive that nobody has fails at the deadline, or when interrupted', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const home = network.home('b');
  const other = await createDrive(network.home('a'), 'notes', owner);
  await joinDrive(home, 'copy', weaken(other.capability, 'read'));
  const opened = network.open(home, 'copy', { deadlineMs: 300 });
  await t.exception(opened, UnavailableError);
  // The network's node may not have answered yet by then.
  await t.exception(
    network.open(home, 'copy', { deadlineMs: 300 }),
    /within 0.3 s; is the origin|does not answer, so that no peer can be found \(waited 0.3 s\)/,
  );
  // What was asked for cannot be found then, whether somebody has it or not.
  const nobody = { host: '127.0.0.1', port: await freePort() };
  await t.exception(
    network.open(home, 'copy', { deadlineMs: 300, bootstrap: [nobody] }),
    new RegExp(`bootstrap node 127.0.0.1:${nobody.port} does not answer`),
  );
  const abort = new AbortController();
  const interrupted = network.open(home, 'copy', { signal: abort.signal });
  setImmediate(() => abort.abort());
  await t.exception(interrupted, InterruptedError);
  // Nothing is left locked.
  await t.exception(network.open(home, 'copy', { deadlineMs: 100 }), UnavailableError);
});

test('drive - one process at a time', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const home = network.home('a');
  await createDrive(home, 'notes', owner);
  const first = await network.open(home, 'notes', { offline: true });
  await t.exception(network.open(home, 'notes', { offline: true }), BusyError);
  await network.closeDrive(first);
  await network.open(home, 'notes', { offline: true });
});

test('drive - two machines with the write key: one writes, the other is refused', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const a = network.home('a');
  const c = network.home('c');
  const { capability } = await createDrive(a, 'notes', owner);
  await joinDrive(c, 'notes', capability);
  let first = await network.open(a, 'notes');
  await t.exception(network.open(c, 'notes'), /another machine is writing to it/);
  t.alike((await readState(a.paths('notes').state))?.lease, { state: 'held', generation: 1 });

  // Nobody can say whether the logs here are complete: reading is all that is safe.
  await network.closeDrive(first);
  await findOrJoinDrive(network.home('r'), 'r', weaken(capability, 'read'));
  first = await network.open(a, 'notes', { readOnly: true });
  t.absent(first.writable);

  // The one that has the lease does not write, and hands it over.
  const second = await network.open(c, 'notes');
  t.ok(second.writable);
  const advanced = nextHead(first);
  await second.tree.write([{ key, value: Buffer.from('c') }]);
  await advanced;
  await network.closeDrive(first);
  await t.exception(network.open(a, 'notes'), BusyError);

  // And back.
  await network.closeDrive(second);
  const giver = await network.open(c, 'notes', { readOnly: true });
  first = await network.open(a, 'notes');
  t.ok(first.writable);
  t.alike(await first.tree.get(key), Buffer.from('c'));
  t.absent(giver.writable);
});

test('drive - a machine that lost power gives the lease away only after it wrote again', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const a = network.home('a');
  const c = network.home('c');
  const { capability } = await createDrive(a, 'notes', owner);
  await joinDrive(c, 'notes', capability);
  const { state } = a.paths('notes');
  const closed = await readState(state);
  if (closed === null) throw new Error('no state');
  await writeState(state, { ...closed, clean: false, bootId: 'earlier' });

  let giver = await network.open(a, 'notes', { readOnly: true });
  const isRefused = () =>
    network.lines.some((line) => line.includes('Not giving the writer lease away'));
  let reader = await network.open(c, 'notes', { leaseWaitMs: 2000 });
  t.absent(reader.writable);
  // Who is connected only after it waited does not ask any more.
  for (let tries = 1; tries < 5 && !isRefused(); tries++) {
    await network.closeDrive(reader);
    reader = await network.open(c, 'notes', { leaseWaitMs: 2000 });
    t.absent(reader.writable);
  }
  t.ok(isRefused());
  await network.closeDrive(reader);
  await network.closeDrive(giver);

  giver = await network.open(a, 'notes');
  t.ok(giver.writable);
  await network.closeDrive(giver);
  giver = await network.open(a, 'notes', { readOnly: true });
  const writer = await network.open(c, 'notes');
  t.ok(writer.writable);
  const { lengths } = (await readState(c.paths('notes').state)) ?? {};
  t.is(lengths?.treeLength, giver.tree.head.length, 'and what it must have is recorded');
});

test('drive - with the write key but without the lease it opens for reading, and says so', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const a = network.home('a');
  const c = network.home('c');
  const r = network.home('r');
  const { capability } = await createDrive(a, 'notes', owner);
  const writer = await network.open(a, 'notes');
  await joinDrive(r, 'copy', weaken(capability, 'read'));
  const reader = await network.open(r, 'copy');
  await network.closeDrive(writer);

  await joinDrive(c, 'notes', capability);
  const notices: string[] = [];
  const onNotice = (line: string) => notices.push(line);
  const opened = await network.open(c, 'notes', { leaseWaitMs: 500, onNotice });
  t.absent(opened.writable);
  t.is(opened.tree.head.length, reader.tree.head.length);
  t.ok(notices[0]?.includes("Opened 'notes' read-only"));
});

test('drive - a key finds the drive that is here already', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const home = network.home('b');
  const { capability } = await createDrive(network.home('a'), 'notes', owner);
  const read = weaken(capability, 'read');
  const joined = await findOrJoinDrive(home, null, read);
  t.ok(/^drive-[0-9a-f]{8}$/.test(joined.name));
  t.is((await findOrJoinDrive(home, 'other', read)).name, joined.name);
  t.alike(await home.list(), [joined.name]);
  t.is((await findOrJoinDrive(home, null, capability)).capability.type, 'write');
  t.is((await findOrJoinDrive(home, null, read)).capability.type, 'write', 'the stronger stays');

  const another = await createDrive(network.home('x'), 'notes', owner);
  await t.exception(
    findOrJoinDrive(home, joined.name, weaken(another.capability, 'read')),
    AlreadyExistsError,
  );
  await t.exception(findOrJoinDrive(home, null, weaken(capability, 'host')), CapabilityError);
});

test('drive - an unclean end before a restart of the machine is noticed', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const home = network.home('a');
  await createDrive(home, 'notes', owner);
  const { state } = home.paths('notes');
  const open = async (): Promise<boolean> => {
    const drive = await network.open(home, 'notes', { offline: true });
    const { openedUncleanlyAfterReboot } = drive;
    t.is((await readState(state))?.clean, false);
    await network.closeDrive(drive);
    return openedUncleanlyAfterReboot;
  };
  t.absent(await open());
  const closed = await readState(state);
  if (closed === null) throw new Error('no state');
  t.ok(closed.clean);
  // As a killed process leaves it, in this boot and in an earlier one.
  await writeState(state, { ...closed, clean: false });
  t.absent(await open());
  await writeState(state, { ...closed, clean: false, bootId: 'earlier' });
  t.ok(await open());
  t.absent(await open());
});

test('drive - without its state it does not write; with a damaged one it does not open', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const home = network.home('a');
  await createDrive(home, 'notes', owner);
  const { state } = home.paths('notes');
  const text = readFileSync(state, 'utf8');
  rmSync(state);
  const drive = await network.open(home, 'notes', { offline: true });
  t.absent(drive.writable);
  await network.closeDrive(drive);
  writeFileSync(state, text.replace('held', 'hold'));
  await t.exception(network.open(home, 'notes', { offline: true }), StoreError);
});
