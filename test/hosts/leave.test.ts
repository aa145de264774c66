/** A host that goes in order. */
import test from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
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
  // One that is started again goes on, and is waited for.
  other.thaw();
  await leaver.start();
  t.is(await leaver.shoal('leave'), 'left\n');
  t.alike(JSON.parse(await leaver.shoal('list', '--json')).drives, []);
});
