/** A host of its own process, and an owner that lets it keep a drive. */
import test from 'brittle';
import { formatInvite, parseInvite } from '../../src/hosts/invite.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { HostProcess } from './support/host-process.js';
import { LittleOwner } from './support/little-owner.js';

const TIME = { timeout: 180_000 } as const;

test('host - keeps what it owes of a drive, and says so', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = await LittleOwner.forTest(t, { bootstrap });
  await owner.appendTree(30);
  await owner.append(41);
  const hosts = await HostProcess.severalForTest(t, 4, { bootstrap });
  const invites = hosts.map(({ invite }) => invite);
  await owner.add(...invites);
  for (const invite of invites) await owner.untilComplete(invite);
  // A stripe has 3 shards on 4 hosts: nobody has all of them, and each is somewhere.
  const shards = await owner.shardsAt(...invites);
  // The last block is not in a stripe yet: it has two copies.
  t.is(shards.flat().length, 40 + 20 + 2);
  t.is(new Set(shards.flat()).size, 61);
  for (const here of shards) t.ok(here.length < 30, `${here.length} shards`);
  await owner.append(20);
  await owner.appendTree(1);
  for (const invite of invites) await owner.untilComplete(invite);
  const report = await (hosts[0] as HostProcess).status();
  t.is(report.drives.length, 1);
  t.ok((report.drives[0]?.storedBytes ?? 0) > 0);
  t.is(report.drives[0]?.state?.missingBlocks, 0);
});

test('host - an invite is for one drive, and nobody else gets in', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const host = await HostProcess.forTest(t, { bootstrap });
  const owner = await LittleOwner.forTest(t, { bootstrap });
  const other = await LittleOwner.forTest(t, { bootstrap });
  const { hostId } = parseInvite(host.invite);
  const wrong = formatInvite({ hostId, token: Buffer.alloc(16, 1) });
  const refused = await owner.ask(wrong);
  t.alike([refused.accepted, refused.capacityBytes, refused.freeBytes], [false, 0, 0]);
  t.ok(refused.reason.includes('invite is not good'), refused.reason);
  // Somebody who has seen an invite and the keys, and not the seed.
  const forged = await other.ask(host.invite, (request) => ({
    ...request,
    planPublicKey: owner.planPublicKey,
    keys: owner.keys,
  }));
  t.ok(forged.reason.includes('not signed by the owner'), forged.reason);
  const mixed = await owner.ask(host.invite, (request) => ({
    ...request,
    planPublicKey: other.planPublicKey,
  }));
  t.ok(mixed.reason.includes('not signed by the owner'), mixed.reason);
  t.is((await host.status()).drives.length, 0);

  t.ok((await owner.ask(host.invite)).accepted);
  t.ok((await owner.ask(host.invite)).accepted, 'again, by the same');
  const late = await other.ask(host.invite);
  t.ok(late.reason.includes('used for another drive'), late.reason);
  const swapped = await owner.ask(host.invite, (request) => ({
    ...request,
    keys: { ...request.keys, content: other.keys.content },
  }));
  t.ok(swapped.reason.includes('other logs'), swapped.reason);
  t.is((await host.status()).drives.length, 1);
});
