/** An owner finds out a host that says it has what it never stored. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import type { HostFigures, ProtectionFigures } from '../../src/drive/protection-control.js';
import type { AuditEvidence } from '../../src/hosts/audits.js';
import { BootstrapNode, Machine } from '../support/drive-mount.js';
import { until } from './support/host-process.js';
import { type LyingAnswer, lyingHost } from './support/lying-host.js';
import { asked, healthWith, SYNC, startHosts, writeRandom } from './support/owner.js';

test('owner - a host that lies is dropped, with the evidence kept', {
  timeout: 240_000,
}, async (t) => {
  const network = await BootstrapNode.forTest(t);
  const machine = Machine.forTest(t, { bootstrap: network.address, here: true });
  const honest = await startHosts(t, network.address, 2);
  const liar = await lyingHost(t, network.address);
  const mount = await machine.createAndMount('drive');
  await machine.shoal('protect', 'drive', '--copies', '2');
  const invites = honest.map(({ invite }) => invite);
  await machine.shoal('hosts', 'add', 'drive', ...invites, liar);
  writeRandom(mount, 'file', 5 << 20);
  const dropped = await until(
    'the liar is dropped',
    async () => {
      const listed = await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive');
      return listed.find(({ status }) => status === 'dropped');
    },
    120_000,
  );
  t.is(dropped.index, 2);
  t.is(dropped.audits.passed, 0);
  t.ok(dropped.audits.failed >= 3);
  const folder = path.join(machine.home, 'drives', 'drive');
  const lines = readFileSync(path.join(folder, 'host-evidence.jsonl'), 'utf8').trim().split('\n');
  const evidence = lines.map((line) => JSON.parse(line) as AuditEvidence);
  t.ok(evidence.length >= 3);
  t.ok(evidence.every(({ host, got, expected }) => host === dropped.id && got !== expected));
  t.ok(/Dropped host/.test(readFileSync(path.join(folder, 'log'), 'utf8')));

  // Only now is it on two machines for sure.
  const figures = await asked<ProtectionFigures>(machine, 'sync', 'drive', ...SYNC);
  t.alike([figures.activeHosts, figures.protectedVersion], [2, figures.version]);
  const health = await healthWith(machine, 2);
  t.alike([health.spare, health.hosts], [1, 2]);
  // The figure may lag behind what a host says to have: blocks that it rebuilt count once all of a batch are stored.
  const kept = await until('both hosts say what they store', async () => {
    const listed = await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive');
    const active = listed.slice(0, 2);
    return active.every(({ storedBytes }) => storedBytes > 5 << 20) && active;
  });
  for (const { status, audits } of kept) t.alike([status, audits.failed], ['active', 0]);
  await mount.unmount();
});

test('owner - a host that cuts, swaps, loses and withholds blocks does a reader no harm', {
  timeout: 240_000,
}, async (t) => {
  const network = await BootstrapNode.forTest(t);
  const machine = Machine.forTest(t, { bootstrap: network.address, here: true });
  const honest = await startHosts(t, network.address, 3);
  const answers: LyingAnswer[] = [
    async () => Buffer.alloc(100, 1),
    async () => Buffer.alloc(70_000, 2),
    async () => null,
    () => new Promise(() => undefined),
  ];
  // In turn and not by block: it may owe blocks only of which it withholds each, and such an audit takes 15 s.
  let questions = 0;
  const liar = await lyingHost(t, network.address, (block) =>
    (answers[questions++ % answers.length] as LyingAnswer)(block),
  );
  let mount = await machine.createAndMount('drive');
  await machine.shoal('protect', 'drive', '--data', '2', '--parity', '1');
  const invites = honest.map(({ invite }) => invite);
  await machine.shoal('hosts', 'add', 'drive', liar, ...invites);
  const content = writeRandom(mount, 'file', 5 << 20);
  await machine.shoal('sync', 'drive', ...SYNC);
  const key = (await machine.shoal('share', 'drive')).trim();
  await mount.unmount();

  // A quarter of all shards is nowhere, whatever the one that should have them says.
  const elsewhere = Machine.forTest(t, { bootstrap: network.address, here: true });
  const reader = await elsewhere.mount(key, ['--name', 'drive', '--deadline', '60']);
  t.ok(readFileSync(path.join(reader.directory, 'file')).equals(content));
  await reader.unmount();

  mount = await machine.mount('drive');
  await until(
    'it is found out',
    async () => {
      const [first] = await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive');
      return first?.status === 'dropped';
    },
    120_000,
  );
  await machine.shoal('sync', 'drive', ...SYNC);
  const health = await healthWith(machine, 3);
  t.alike([health.spare, health.hosts], [1, 3]);
  await mount.unmount();
});
