/** A network that falls into two halves, of real processes in network namespaces, and comes together again. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import brittle, { type Assertions } from 'brittle';
import { missingForDivision, Network, type NetworkNode } from '../../scripts/swarm/network.js';
import type { DriveHealth, ProtectionFigures } from '../../src/drive/protection-control.js';
import { limits } from '../../src/limits.js';
import { tryCommand } from '../support/command.js';
import { BootstrapNode, type DriveMount, Machine } from '../support/drive-mount.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { HostProcess, until } from './support/host-process.js';
import { keptBlocks } from './support/kept-blocks.js';
import { asked, healthWith, SYNC, writeRandom } from './support/owner.js';

const TIME = { timeout: 300_000 } as const;
const HOSTS = 6;
/** Each lies in one stripe or two, so that half of the hosts has some. */
const FILES = 24;
const FILE_BYTES = 100_000;
const LATE_BYTES = 20_000;
const SCHEME = ['--data', '2', '--parity', '1', '--repair-after', '1s'];
/** For what half of the hosts may not have. */
const READ_DEADLINE_SECONDS = 4;

const missing = missingForDivision();
const name = `partition - both halves go on, and after it all is as it should be${missing === null ? '' : ` (${missing})`}`;

interface Scene {
  network: Network;
  bootstrap: string;
  /** The places in the network of the half without the owner. */
  apart: number[];
  owner: Machine;
  hosts: HostProcess[];
}

/** The first machine writes; half of the hosts and the last machine are the other half. Each half has a bootstrap node. */
async function openScene(t: Assertions): Promise<Scene> {
  const count = HOSTS + 2;
  const network = await Network.open(count, { name: 'LAN', rttMs: 0, lossPercent: 0 }, 'netem');
  t.teardown(() => network.close(), { force: true, order: 900 });
  const at = (place: number): NetworkNode => network.nodes[place] as NetworkNode;
  const ends = await Promise.all(
    [at(0), at(count - 1)].map(({ address, through }) =>
      BootstrapNode.start({ host: address, through }),
    ),
  );
  for (const node of ends) t.teardown(() => node.close(), { force: true, order: 100 });
  const bootstrap = ends.map(({ address }) => address).join();
  const hosts = await Promise.all(
    Array.from({ length: HOSTS }, (_, i) =>
      HostProcess.forTest(t, { bootstrap, through: at(1 + i).through }),
    ),
  );
  const owner = Machine.forTest(t, { bootstrap, through: at(0).through });
  const places = Array.from({ length: count }, (_, place) => place);
  return { network, bootstrap, apart: places.slice(1 + HOSTS / 2), owner, hosts };
}

const random = new SeededRandom(seedOfRun());
const contents = Array.from({ length: FILES }, () => random.bytes(FILE_BYTES));

function sum(bytes: readonly number[]): number {
  return bytes.reduce((total, each) => total + each, 0);
}

/** How many files a mount reads as they are; throws when one has a wrong byte. Others fail at their deadline. */
async function readable(mount: DriveMount): Promise<number> {
  const results = await Promise.all(
    contents.map((input, i) =>
      tryCommand('cmp', [path.join(mount.directory, `file-${i}`), '-'], { input }),
    ),
  );
  for (const { code, stdout, stderr } of results) {
    if (code === 1) throw new Error(`A wrong byte: ${stdout}`);
    if (code === 2 && !/Input\/output error|timed out/i.test(stderr)) throw new Error(stderr);
  }
  return results.filter(({ code }) => code === 0).length;
}

const run = missing === null ? brittle : brittle.skip;
run(name, TIME, async (t) => {
  const scene = await openScene(t);
  const { network, bootstrap, apart, owner, hosts } = scene;
  const far = hosts.slice(HOSTS / 2);
  const mount = await owner.createAndMount('drive');
  await owner.shoal('protect', 'drive', ...SCHEME);
  await owner.shoal('hosts', 'add', 'drive', ...hosts.map(({ invite }) => invite));
  for (const [i, content] of contents.entries()) {
    writeFileSync(path.join(mount.directory, `file-${i}`), content);
  }
  await owner.shoal('sync', 'drive', ...SYNC);
  const key = (await owner.shoal('share', 'drive')).trim();
  const stored = async (which: readonly HostProcess[]): Promise<number[]> =>
    await Promise.all(which.map(async (host) => (await host.status()).drives[0]?.storedBytes ?? 0));
  const last = network.nodes.at(-1) as NetworkNode;
  const away = Machine.forTest(t, { bootstrap, through: last.through });
  const reader = await away.mountWithDeadline(key, 'reader', READ_DEADLINE_SECONDS);

  await network.divide(apart);
  const late = writeRandom(mount, 'late', LATE_BYTES);
  const figures = await asked<ProtectionFigures>(owner, 'sync', 'drive', ...SYNC);
  t.is(figures.missedHosts, HOSTS / 2);
  t.is(figures.protectedVersion, figures.version, 'what is new is kept by the half that is here');
  const half = await healthWith(owner, HOSTS / 2);
  t.alike([half.spare, half.connected], [1, HOSTS / 2]);
  const rebuilt = async (which: readonly HostProcess[]): Promise<number> => {
    const reports = await Promise.all(which.map((host) => host.status()));
    return reports.reduce((sum, { drives }) => sum + (drives[0]?.repaired.blocks ?? 0), 0);
  };
  await until(
    'the half without the owner has rebuilt what it can',
    async () => (await rebuilt(far)) > 0,
  );
  const first = await readable(reader);
  t.ok(first > 0 && first < FILES, `${first} of ${FILES} files are read with half of the hosts`);

  await network.heal();
  await until(
    'the other half has what is new',
    async () => {
      const { code } = await tryCommand('cmp', [path.join(reader.directory, 'late'), '-'], {
        input: late,
      });
      return code === 0;
    },
    60_000,
  );
  await until('everything is read everywhere', async () => (await readable(reader)) === FILES);
  await until('all hosts are counted on again', async () => {
    const now = await asked<ProtectionFigures>(owner, 'sync', 'drive', ...SYNC);
    return now.missedHosts === 0 && now.reachableHosts === HOSTS;
  });
  // Of two connections with one host the newer one is dropped: for a moment it may seem away.
  await until('any host may fail', async () => {
    const { spare, connected } = await asked<DriveHealth>(owner, 'health', 'drive');
    return spare === 1 && connected === HOSTS;
  });
  // Hosts look every few seconds for what they need not keep any more; that is over once nothing went for longer.
  let now = await stored(hosts);
  let sinceMs = performance.now();
  await until(
    'what is kept twice goes',
    async () => {
      const next = await stored(hosts);
      if (sum(next) !== sum(now)) sinceMs = performance.now();
      now = next;
      return performance.now() - sinceMs > 3 * limits.host_surplus_look_ms;
    },
    60_000,
  );
  await Promise.all([mount.unmount(), reader.unmount()]);
  await Promise.all(hosts.map((host) => host.kill('SIGTERM')));
  const kept = await Promise.all(hosts.map(({ folder }) => keptBlocks(folder)));
  const { lengths } = kept[0] as (typeof kept)[0];
  const holders = new Map<string, number>();
  for (const { shards } of kept) {
    for (const shard of shards) holders.set(shard, (holders.get(shard) ?? 0) + 1);
  }
  const blocks = lengths.content + lengths.parity;
  t.is(holders.size, blocks, 'every shard is somewhere');
  const twice = [...holders].filter(([, count]) => count > 1).map(([shard]) => shard);
  const lastAlone = lengths.content % 2 === 0 ? [] : [`content ${lengths.content - 1}`];
  t.alike(twice, lastAlone, 'once each; a last block that does not fill a stripe has a copy');
});
