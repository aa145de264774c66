/** Taking a drive over without peers, and by two machines at the same time. */
import { rmSync } from 'node:fs';
import test, { type Assertions } from 'brittle';
import { weaken } from '../../src/drive/capability.js';
import { createDrive, joinDrive } from '../../src/drive/create-drive.js';
import type { Drive } from '../../src/drive/drive.js';
import { readState } from '../../src/drive/drive-state.js';
import type { Home } from '../../src/drive/home.js';
import { CapabilityError, UnavailableError } from '../../src/errors.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { nextHead, PrivateNetwork } from './support/private-network.js';

/** A record of no meaning to the file system. */
const key = Buffer.from([255, 1]);

/** A drive with a record and a chunk, which all homes have whole; its writer is closed. */
async function sharedWith(
  t: Assertions,
  names: string[],
): Promise<{ network: PrivateNetwork; origin: Home; homes: Home[] }> {
  const network = await PrivateNetwork.forTest(t);
  const origin = network.home('origin');
  const { capability } = await createDrive(origin, 'notes', { uid: 1000, gid: 1000 });
  const writer = await network.open(origin, 'notes');
  writer.content.put([Buffer.alloc(5000, 'x')]);
  await writer.content.drain();
  await writer.tree.write([{ key, value: Buffer.from('origin') }]);
  const homes: Home[] = [];
  for (const name of names) {
    const home = network.home(name);
    await joinDrive(home, 'notes', capability);
    const reader = await network.open(home, 'notes', { readOnly: true });
    await eventually('it has all', () => reader.tree.head.length === writer.tree.head.length);
    await eventually('of both logs', () => reader.contentCore.length === 1 && reader.tree.isWhole);
    await network.closeDrive(reader);
    homes.push(home);
  }
  await network.closeDrive(writer);
  return { network, origin, homes };
}

function takeOverAlone(network: PrivateNetwork, home: Home): Promise<Drive> {
  return network.open(home, 'notes', { takeOver: true, offline: true });
}

test('take over - without peers it goes on from what is here, and the origin follows', async (t) => {
  const { network, origin, homes } = await sharedWith(t, ['heir']);
  const [heir] = homes as [Home];
  await t.exception(
    network.open(heir, 'notes', { takeOver: true, leaseWaitMs: 200, deadlineMs: 500 }),
    UnavailableError,
  );
  let drive = await takeOverAlone(network, heir);
  t.ok(drive.writable);
  const { fork } = drive.tree.head;
  t.ok(fork > 1024, `fork ${fork}`);
  await drive.tree.write([{ key, value: Buffer.from('heir') }]);
  await network.closeDrive(drive);
  const state = await readState(heir.paths('notes').state);
  t.alike(state?.lease, { state: 'held', generation: fork });
  t.is(state?.lengths?.treeFork, fork);

  // From now on it is the writer as any other.
  drive = await network.open(heir, 'notes');
  t.ok(drive.writable);
  t.is(drive.tree.head.fork, fork);
  const back = await network.open(origin, 'notes', { readOnly: true });
  await eventually('the origin follows', async () => {
    return (await back.tree.get(key))?.toString() === 'heir';
  });
  t.ok(back.takenOver.aborted);
  const advanced = nextHead(back);
  await drive.tree.write([{ key, value: Buffer.from('heir again') }]);
  await advanced;
  t.alike(await back.tree.get(key), Buffer.from('heir again'));
  await eventually('it is noted', async () => {
    const { lease, takenOverAt } = (await readState(origin.paths('notes').state)) ?? {};
    return lease?.state === 'none' && takenOverAt === null;
  });
});

test('take over - of two that do it at the same time one goes on', async (t) => {
  const { network, homes } = await sharedWith(t, ['one', 'other']);
  const forks: number[] = [];
  for (const home of homes) {
    const drive = await takeOverAlone(network, home);
    await drive.tree.write([{ key, value: Buffer.from(`fork ${drive.tree.head.fork}`) }]);
    forks.push(drive.tree.head.fork);
    await network.closeDrive(drive);
  }
  t.not(forks[0], forks[1]);
  const drives = await Promise.all(
    homes.map((home) => network.open(home, 'notes', { leaseWaitMs: 500 })),
  );
  const winner = forks.indexOf(Math.max(...forks));
  const [won, lost] = [drives[winner], drives[1 - winner]] as [Drive, Drive];
  await eventually('the other one stops', () => lost.takenOver.aborted);
  t.absent(won.takenOver.aborted);
  await won.tree.write([{ key, value: Buffer.from('on') }]);
  t.is(won.tree.head.fork, forks[winner]);
  t.is(lost.tree.head.fork, forks[1 - winner], 'and keeps what only it has');
  t.alike(await lost.tree.get(key), Buffer.from(`fork ${forks[1 - winner]}`));
});

test('take over - what the machine that is taken over wrote stays on its disk', async (t) => {
  const { network, origin, homes } = await sharedWith(t, ['writer', 'heir', 'reader']);
  const [writer, heir, reader] = homes as [Home, Home, Home];
  const giver = await network.open(origin, 'notes', { readOnly: true });
  let drive = await network.open(writer, 'notes');
  t.ok(drive.writable, 'it was given the lease');
  await network.closeDrive(giver);
  drive.content.put([Buffer.alloc(5000, 'y')]);
  await drive.content.drain();
  await drive.tree.write([{ key, value: Buffer.from('only here') }]);
  await network.closeDrive(drive);

  const next = await takeOverAlone(network, heir);
  await network.closeDrive(next);
  const mounts = await Promise.all([
    network.open(writer, 'notes'),
    network.open(heir, 'notes', { leaseWaitMs: 500 }),
  ]);
  await eventually('it learns of it', () => mounts[0].takenOver.aborted);
  await eventually('it is noted', async () => {
    return (await readState(writer.paths('notes').state))?.lease.state === 'none';
  });
  for (const mount of mounts) await network.closeDrive(mount);

  const notices: string[] = [];
  const onNotice = (line: string): unknown => notices.push(line);
  drive = await network.open(writer, 'notes', { offline: true, onNotice, cacheBytes: 64 << 20 });
  t.absent(drive.writable);
  t.is(drive.diskCache, null, 'nothing is taken away');
  t.ok(
    notices.some((line) => /no effect.*nowhere else.*join/.test(line)),
    notices.join(),
  );
  const joined = await network.open(reader, 'notes', { offline: true });
  t.ok(joined.diskCache !== null, 'where it was only joined, it is a cache');
});

test('take over - a copy whose state is lost may have written', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const origin = network.home('origin');
  const { capability } = await createDrive(origin, 'notes', { uid: 1, gid: 1 });
  const giver = await network.open(origin, 'notes', { readOnly: true });
  const home = network.home('writer');
  await joinDrive(home, 'notes', capability);
  const writer = await network.open(home, 'notes');
  t.ok(writer.writable);
  await network.closeDrive(writer);
  await network.closeDrive(giver);

  rmSync(home.paths('notes').state);
  for (const round of ['once', 'and the next time']) {
    const drive = await network.open(home, 'notes', { offline: true });
    t.absent(drive.writable, round);
    t.is(drive.diskCache, null, 'nothing is taken away');
    await network.closeDrive(drive);
  }
});

test('take over - a read key is not enough', async (t) => {
  const network = await PrivateNetwork.forTest(t);
  const home = network.home('reader');
  const { capability } = await createDrive(network.home('origin'), 'notes', { uid: 1, gid: 1 });
  await joinDrive(home, 'notes', weaken(capability, 'read'));
  await t.exception(network.open(home, 'notes', { takeOver: true }), CapabilityError);
});
