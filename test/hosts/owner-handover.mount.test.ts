/** Another machine with the write key takes over a drive that hosts keep. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'brittle';
import type { ProtectionFigures } from '../../src/drive/protection-control.js';
import { BootstrapNode, Machine } from '../support/drive-mount.js';
import { until } from './support/host-process.js';
import { asked, healthWith, SYNC, startHosts, writeRandom } from './support/owner.js';

const TIME = { timeout: 240_000 };

test(
  'owner - another machine that takes over the writing goes on with the hosts',
  TIME,
  async (t) => {
    const network = await BootstrapNode.forTest(t);
    const first = Machine.forTest(t, { bootstrap: network.address, here: true });
    const second = Machine.forTest(t, { bootstrap: network.address, here: true });
    const hosts = await startHosts(t, network.address, 3);
    let mount = await first.createAndMount('drive');
    await first.shoal('protect', 'drive', '--data', '2', '--parity', '1');
    await first.shoal('hosts', 'add', 'drive', ...hosts.map(({ invite }) => invite));
    const content = writeRandom(mount, 'file', 2 << 20);
    await first.shoal('sync', 'drive', ...SYNC);
    const before = await healthWith(first, 3);
    const key = (await first.shoal('share', 'drive', '--write')).trim();
    await mount.unmount();
    mount = await first.mount('drive', ['--read-only']);
    const refused = await first.tryShoal(['hosts', 'list', 'drive']);
    t.is(refused.code, 11, refused.stderr);

    for (const host of hosts) host.freeze();
    const taken = await second.mount(key, ['--name', 'drive']);
    await mount.unmount();
    writeRandom(taken, 'more', 1 << 20);
    const logFile = path.join(second.home, 'drives', 'drive', 'log');
    // What the hosts stand still counts, too.
    const synced = asked<ProtectionFigures>(second, 'sync', 'drive', '--deadline', '150');
    synced.catch(() => undefined);
    // Without the plan, unless the machine before could give it before it went.
    await until('it was tried', () => {
      const tried = /trying again: .* another machine wrote before|plan of the hosts goes on/;
      return tried.test(readFileSync(logFile, 'utf8'));
    });
    for (const host of hosts) host.thaw();
    const figures = await synced;
    t.alike([figures.protectedVersion, figures.activeHosts], [figures.version, 3]);
    const health = await healthWith(second, 3);
    t.is(health.spare, 1);
    t.ok(health.groups > before.groups);
    t.ok(readFileSync(path.join(taken.directory, 'file')).equals(content));
    const log = readFileSync(logFile, 'utf8');
    t.ok(/plan of the hosts goes on under fork 65536/.test(log), log);
    t.absent(/stripes anew/.test(log), 'no stripe was lost on the way');
    await taken.unmount();
  },
);
