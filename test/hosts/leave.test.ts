/** A host that goes in order. */
import test from 'brittle';
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
