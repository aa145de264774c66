/** Hosts that lie, and are killed while they work. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import { eventually } from '../sharing/support/shared-drive.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { HostProcess, until } from './support/host-process.js';
import { Liar } from './support/liar.js';
import { LittleOwner } from './support/little-owner.js';

const TIME = { timeout: 240_000 } as const;

test(
  'trouble - a host that lies is found out, and others take over what it should have',
  TIME,
  async (t) => {
    const { address: bootstrap } = await BootstrapNode.forTest(t);
    const owner = await LittleOwner.forTest(t, { bootstrap });
    await owner.append(60);
    const hosts = await HostProcess.severalForTest(t, 3, {
      bootstrap,
      options: ['--audit-interval', '1s'],
    });
    const invites = hosts.map(({ invite }) => invite);
    // Part of the plan from the start, it is dealt a quarter of all shards.
    const liar = await Liar.forTest(t, owner, bootstrap);
    await owner.add(...invites);
    for (const invite of invites) {
      await owner.until('it is found out', invite, ({ failing }) => failing.includes(0), 60_000);
    }
    await eventually('every shard is at an honest host', async () => {
      return new Set((await owner.shardsAt(...invites)).flat()).size === 90;
    });
    t.ok(liar.asked > 0);
    const evidence = path.join((hosts[0] as HostProcess).folder, 'evidence.jsonl');
    const [first] = readFileSync(evidence, 'utf8').split('\n');
    const { host, verdict, expected, received } = JSON.parse(first as string);
    t.is(host, liar.keyPair.publicKey.toString('hex'));
    t.is(verdict, 'wrong');
    t.not(expected, received);
    const [report] = (await (hosts[0] as HostProcess).status()).drives;
    const about = report?.hosts.find(({ audits }) => audits?.isFailing === true);
    t.ok(about?.gone, 'and not counted on');
  },
);

test(
  'trouble - a host that lies about copies is found out by those that have one, too',
  TIME,
  async (t) => {
    const { address: bootstrap } = await BootstrapNode.forTest(t);
    const owner = await LittleOwner.forTest(t, { bootstrap, data: 1, parity: 2 });
    await owner.append(60);
    const hosts = await HostProcess.severalForTest(t, 3, {
      bootstrap,
      options: ['--audit-interval', '1s'],
    });
    const invites = hosts.map(({ invite }) => invite);
    await Liar.forTest(t, owner, bootstrap);
    await owner.add(...invites);
    await until('somebody finds it out', async () =>
      invites.some((invite) => owner.stateOf(invite)?.failing.includes(0) === true),
    );
    t.pass();
  },
);

test('trouble - a host that is killed while it fetches goes on where it was', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = await LittleOwner.forTest(t, {
    bootstrap,
    data: 1,
    parity: 0,
    blockBytes: 100_000,
  });
  const host = await HostProcess.forTest(t, { bootstrap });
  await owner.append(600);
  await owner.add(host.invite);
  for (let kills = 0; kills < 3; kills++) {
    const { storedBytes } = await until('it fetches', async () => {
      const [drive] = (await host.status()).drives;
      return drive !== undefined && drive.storedBytes > 0 && drive;
    });
    const told = owner.stateOf(host.invite);
    await host.kill();
    // What it had confirmed is there after the crash, as far as a crash of the process can tell.
    await host.start();
    const [drive] = (await host.status()).drives;
    t.ok((drive?.storedBytes ?? 0) >= (told?.storedBytes ?? 0), `${storedBytes} before`);
  }
  await owner.untilComplete(host.invite);
  const [shards] = await owner.shardsAt(host.invite);
  t.is(shards?.length, 600);
  t.ok(existsSync(path.join(host.folder, 'log')));
});
