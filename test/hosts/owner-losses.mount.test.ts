/** What befalls an owner: kills, a loss of power, hosts that go, collections. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import type {
  DriveHealth,
  HostFigures,
  ProtectionFigures,
} from '../../src/drive/protection-control.js';
import { BootstrapNode, Machine } from '../support/drive-mount.js';
import { until } from './support/host-process.js';
import {
  asked,
  healthWith,
  protectedDrive,
  SYNC,
  startHosts,
  writeRandom,
} from './support/owner.js';

const TIME = { timeout: 240_000 };

test(
  'owner - killed while it encodes it goes on, and a host that is removed may go',
  TIME,
  async (t) => {
    const scene = await protectedDrive(t, 4);
    const { machine, hosts } = scene;
    let { mount } = scene;
    for (let round = 0; round < 2; round++) {
      writeRandom(mount, `file-${round}`, 8 << 20);
      await mount.commit();
      await asked<ProtectionFigures>(machine, 'protect', 'drive');
      await mount.kill();
      mount = await machine.mount('drive');
    }
    await machine.shoal('sync', 'drive', ...SYNC);
    const healthy = await healthWith(machine, 4);
    t.is(healthy.spare, 1, 'every stripe may lose a host');

    await machine.shoal('hosts', 'remove', 'drive', '0');
    // Whether the others know of it or not: what it kept it has until they have it.
    for (let look = 0; look < 5; look++) {
      // A host that is slow to answer is not counted.
      const leaving = await until('all have answered', async () => {
        const now = await asked<DriveHealth>(machine, 'health', 'drive');
        return now.unchecked.length === 0 && now;
      });
      t.alike([leaving.spare, leaving.unsent], [1, 0], `look ${look}`);
    }
    await machine.shoal('sync', 'drive', ...SYNC);
    await until('the host is gone from the plan', async () => {
      const [host] = await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive');
      return host?.status === 'gone';
    });
    const again = await machine.tryShoal(['hosts', 'remove', 'drive', '0']);
    t.is(again.code, 2, 'it is gone already');
    await hosts[0]?.kill();
    const without = await healthWith(machine, 3);
    t.alike([without.spare, without.hosts], [1, 3], 'what it had is on the others');

    hosts[1]?.freeze();
    const frozen = await asked<DriveHealth>(machine, 'health', 'drive');
    t.alike([frozen.spare, frozen.unchecked.length], [0, 1], 'who does not answer does not count');
    hosts[1]?.thaw();
    t.is((await healthWith(machine, 3)).spare, 1);

    await machine.shoal('retention', 'drive', '--keep', '0', '--no-keep-snapshots');
    for (let round = 0; round < 2; round++) rmSync(path.join(mount.directory, `file-${round}`));
    writeRandom(mount, 'last', 100_000);
    await machine.shoal('sync', 'drive', ...SYNC);
    await machine.shoal('collect', 'drive');
    await machine.shoal('sync', 'drive', ...SYNC);
    const collected = await healthWith(machine, 3);
    t.ok(
      collected.groups < without.groups / 2,
      `${collected.groups} of ${without.groups} are left`,
    );
    t.is(collected.spare, 1);
    await until('hosts let go what was collected', async () => {
      const listed = await asked<HostFigures[]>(machine, 'hosts', 'list', 'drive');
      return listed.slice(1).every(({ storedBytes }) => storedBytes < 8 << 20);
    });
    await mount.unmount();
    // What was said is not said again at every mount.
    const lengths: number[] = [];
    for (let i = 0; i < 2; i++) {
      const again = await asked<ProtectionFigures>(machine, 'sync', 'drive', ...SYNC);
      lengths.push(again.planLength);
    }
    t.is(lengths[0], lengths[1]);
  },
);

test(
  'owner - after a loss of power the logs for the hosts go on under a new fork',
  TIME,
  async (t) => {
    const network = await BootstrapNode.forTest(t);
    const machine = Machine.forTest(t, { bootstrap: network.address, here: true });
    const hosts = await startHosts(t, network.address, 3);
    const drive = path.join(machine.home, 'drives', 'drive');
    const database = path.join(drive, 'store', 'db');
    const kept = path.join(machine.folder, 'kept');
    let mount = await machine.createAndMount('drive');
    await machine.shoal('protect', 'drive', '--data', '2', '--parity', '1');
    await machine.shoal('hosts', 'add', 'drive', ...hosts.map(({ invite }) => invite));
    const before = writeRandom(mount, 'before', 2 << 20);
    await machine.shoal('sync', 'drive', ...SYNC);
    await mount.unmount();
    cpSync(database, kept, { recursive: true });

    mount = await machine.mount('drive');
    const lost = writeRandom(mount, 'lost', 1 << 20);
    await machine.shoal('sync', 'drive', ...SYNC);
    await mount.kill();
    rmSync(database, { recursive: true });
    cpSync(kept, database, { recursive: true });
    const stateFile = path.join(drive, 'state.json');
    const state = JSON.parse(readFileSync(stateFile, 'utf8')) as Record<string, unknown>;
    t.is(state.clean, false);
    writeFileSync(stateFile, JSON.stringify({ ...state, bootId: 'an earlier boot' }));

    mount = await machine.mount('drive');
    // The hosts have it: what was synced to them comes back from them.
    t.alike(readdirSync(mount.directory).sort(), ['before', 'lost']);
    const after = writeRandom(mount, 'after', 700_000);
    const figures = await asked<ProtectionFigures>(machine, 'sync', 'drive', ...SYNC);
    t.is(figures.protectedVersion, figures.version);
    const health = await healthWith(machine, 3);
    t.is(health.spare, 1, 'the hosts follow the new forks');
    const read = (name: string): Buffer => readFileSync(path.join(mount.directory, name));
    t.ok(read('before').equals(before));
    t.ok(read('lost').equals(lost));
    t.ok(read('after').equals(after));
    const log = readFileSync(path.join(drive, 'log'), 'utf8');
    t.ok(/plan of the hosts goes on under fork 65536/.test(log), log);
    await mount.unmount();
  },
);
