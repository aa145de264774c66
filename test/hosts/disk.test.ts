/** Hosts whose disk fills up, loses bytes, or is lost. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import { diskUsage } from '../../src/drive/disk-usage.js';
import { findBytes, flipByte } from '../durability/support/store-files.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { HostProcess, until } from './support/host-process.js';
import { LittleOwner } from './support/little-owner.js';

const TIME = { timeout: 240_000 } as const;
const MIB = 1 << 20;

test('disk - a host that is full says so, and stays within its capacity', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = await LittleOwner.forTest(t, {
    bootstrap,
    data: 1,
    parity: 0,
    blockBytes: 200_000,
  });
  const host = await HostProcess.forTest(t, { bootstrap, capacity: '64M' });
  await owner.append(550);
  await owner.add(host.invite);
  const state = await owner.until(
    'it is full',
    host.invite,
    ({ freeBytes, missingBlocks, storedBytes }) => {
      return missingBlocks > 0 && storedBytes > 30 * MIB && freeBytes < MIB;
    },
  );
  t.ok(state.content.length < 550);
  t.ok(state.missingBytes > 20 * MIB);
  const bytes = await diskUsage(path.join(host.folder, 'store'));
  t.ok(bytes <= 64 * MIB, `${bytes} bytes`);
  t.ok(bytes > 30 * MIB, `${bytes} bytes`);
  // What need not be kept any more makes room for the rest.
  await owner.writeGarbage([], [[0, 400]]);
  const after = await owner.until(
    'there is room again',
    host.invite,
    ({ missingBlocks, planLength }) => {
      return planLength === owner.cores.plan.length && missingBlocks === 0;
    },
  );
  t.is(after.content.length, 550);
  t.ok((await diskUsage(path.join(host.folder, 'store'))) <= 64 * MIB);
});

test('disk - what a disk damages or loses is noticed, and fetched again', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = await LittleOwner.forTest(t, { bootstrap, data: 1, parity: 0 });
  const host = await HostProcess.forTest(t, { bootstrap, options: ['--verify-rate', '100M'] });
  await owner.append(60);
  await owner.add(host.invite);
  await owner.untilComplete(host.invite);
  // In order, so that all is in RocksDB's files and nothing in its write-ahead log.
  await host.kill('SIGTERM');
  const store = path.join(host.folder, 'store');
  for (const block of [3, 40]) {
    const stored = (await owner.cores.content.get(block)) as Buffer;
    const [place] = findBytes(store, stored.subarray(100, 200));
    if (place === undefined) throw new Error(`Block ${block} is nowhere`);
    flipByte(place);
  }
  await host.start();
  await until('it has read all', async () => {
    const [drive] = (await host.status()).drives;
    return (drive?.verified.damaged ?? 0) >= 2 && drive?.state?.missingBlocks === 0;
  });
  await owner.untilComplete(host.invite);
  t.is((await owner.shardsAt(host.invite))[0]?.length, 60);
  t.is((await host.status()).drives[0]?.verified.damaged, 2);

  await host.kill();
  await until('the owner sees that it went', () => owner.stateOf(host.invite) === undefined);
  rmSync(store, { recursive: true });
  await host.start();
  await owner.untilComplete(host.invite);
  t.is((await owner.shardsAt(host.invite))[0]?.length, 60);
});
