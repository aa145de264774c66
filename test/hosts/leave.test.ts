/** A host that goes in order. */
import path from 'node:path';
import test from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { callControl } from '../../src/control/client.js';
import { runningHolder } from '../../src/drive/store-lock.js';
import type { PlanHost } from '../../src/hosts/plan-record.js';
import type { StorageHost } from '../../src/hosts/storage-host.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { HostProcess, until } from './support/host-process.js';
import { LittleOwner } from './support/little-owner.js';

const TIME = { timeout: 240_000 } as const;

test('leave - a host hands over what it has, and ends', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = await LittleOwner.forTest(t, { bootstrap });
  await owner.appendTree(10);
  await owner.append(41);
  const hosts = await HostProcess.severalForTest(t, 4, { bootstrap });
  const invites = hosts.map(({ invite }) => invite);
  await owner.add(...invites);
  for (const invite of invites) await owner.untilComplete(invite);
  await owner.goOffline();
  const [leaver, next] = hosts as [HostProcess, HostProcess];
  await leaver.shoal('leave');
  await until('the process has ended', async () => (await leaver.tryShoal('status')).code === 3);
  const { drives } = JSON.parse(await leaver.shoal('list', '--json'));
  t.alike(drives, []);
  owner.goOnline();
  for (const invite of invites.slice(1)) await owner.untilComplete(invite);
  const shards = await owner.shardsAt(...invites.slice(1));
  t.is(new Set(shards.flat()).size, 41 + 20);
  // A stripe has three shards: the next one cannot go.
  const refused = await next.tryShoal('leave');
  t.is(refused.code, 14);
  t.ok(refused.stderr.includes('needs 3 hosts, and without this one there are 2'), refused.stderr);
  t.ok((await next.status()).leaving);
});

test('leave - a host that ended before has not left', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = await LittleOwner.forTest(t, { bootstrap, data: 1, parity: 0 });
  await owner.append(10);
  const hosts = await HostProcess.severalForTest(t, 2, { bootstrap });
  const [leaver, other] = hosts as [HostProcess, HostProcess];
  await owner.add(leaver.invite, other.invite);
  for (const { invite } of hosts) await owner.untilComplete(invite);
  // Nobody confirms to have anything.
  other.freeze();
  await owner.goOffline();
  const command = leaver.tryShoal('leave', '--json');
  await until('the host leaves', async () => (await leaver.status()).leaving);
  await leaver.kill('SIGTERM');
  const { code, stdout, stderr } = await command;
  t.is(code, exitCodes.unavailable, stderr);
  t.is(stdout, '');
  t.ok(stderr.includes('ended before it had handed over 1 drive'), stderr);
  t.is(JSON.parse(await leaver.shoal('list', '--json')).drives.length, 1);
  const early = await leaver.tryShoal('leave');
  t.is(early.code, exitCodes.notFound, early.stderr);
  // One that is started again goes on, and is waited for; it may have left before it is asked.
  other.thaw();
  await leaver.start();
  t.is(await leaver.shoal('leave'), 'left\n');
  t.is(await leaver.shoal('leave'), 'left\n', 'again');
  t.alike(JSON.parse(await leaver.shoal('list', '--json')).drives, []);
});

test(
  'leave - a host that was dropped keeps what it has until the others have it',
  TIME,
  async (t) => {
    const { address: bootstrap } = await BootstrapNode.forTest(t);
    const owner = await LittleOwner.forTest(t, { bootstrap });
    await owner.appendTree(10);
    await owner.append(81);
    const hosts = await HostProcess.severalForTest(t, 4, { bootstrap });
    const invites = hosts.map(({ invite }) => invite);
    await owner.add(...invites);
    for (const invite of invites) await owner.untilComplete(invite);
    const [dropped, absent] = hosts as [HostProcess, HostProcess];
    const [before] = await owner.shardsAt(dropped.invite);
    await absent.kill();
    const [first, ...others] = owner.plan.hosts as [PlanHost, ...PlanHost[]];
    owner.plan = { ...owner.plan, hosts: [{ ...first, status: 'dropped' }, ...others] };
    await owner.writePlan();
    const socket = runningHolder(path.join(dropped.folder, 'lock'))?.socket as string;
    // The two that are here have all that they owe without it; the third may, or may not.
    const handover = await until('only one is waited for', async () => {
      const asked = (await callControl(socket, 'handovers')) as ReturnType<
        StorageHost['handovers']
      >;
      const found = asked[0]?.handover;
      // It is off the plan, or there is nothing left to hand over.
      return (
        (found === undefined || found.isDone || found.waitingFor === 1) && (found ?? 'deleted')
      );
    });
    t.alike(handover, { isDone: false, obstacle: null, waitingFor: 1, missingBlocks: 0 });
    const [now] = await owner.shardsAt(dropped.invite);
    t.ok((now?.length ?? 0) > 0, `${now?.length} of ${before?.length} shards`);

    await absent.start();
    await until('it has handed over', async () => (await dropped.status()).drives.length === 0);
    for (const invite of invites.slice(1)) await owner.untilComplete(invite);
    t.is(new Set((await owner.shardsAt(...invites.slice(1))).flat()).size, 81 + 40);
  },
);
