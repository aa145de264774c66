/** Hostile peers of a drive that is kept on hosts: its owner and its hosts stay up, and serve each other. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'brittle';
import { MemorySampler } from '../../scripts/benchmark/mount-process.js';
import { parseCapability } from '../../src/drive/capability.js';
import type { ProtectionFigures } from '../../src/drive/protection-control.js';
import { parseDriveId } from '../../src/hosts/host-book.js';
import { HostProcess, until } from '../hosts/support/host-process.js';
import { asked, SYNC } from '../hosts/support/owner.js';
import { BootstrapNode, isRunning, Machine } from '../support/drive-mount.js';
import { randomBytes } from '../support/random-bytes.js';
import { HostilePeer } from './support/hostile-peer.js';
import { briefHostsAttacks, type HostsAttack, longHostsAttacks } from './support/hosts-attacks.js';

const TIME = { timeout: 240_000 } as const;
const MEMORY_BYTES_MAX = 500 << 20;
const FILE_BYTES = 300_000;

test('hostile peers of hosts - each is dropped, and the others are served', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = Machine.forTest(t, { bootstrap });
  const host = await HostProcess.forTest(t, { bootstrap });
  const mount = await owner.createAndMount('drive');
  await owner.shoal('protect', 'drive', '--copies', '1');
  await owner.shoal('hosts', 'add', 'drive', host.invite);
  const { driveId } = await asked<ProtectionFigures>(owner, 'protect', 'drive');
  const planKey = parseDriveId(driveId) as Buffer;
  const capability = parseCapability((await owner.shoal('share', 'drive')).trim());
  if (capability.type !== 'read') throw new Error('No read key');
  const { treeLogKey } = capability;
  const logs = {
    owner: path.join(owner.home, 'drives', 'drive', 'log'),
    host: path.join(host.folder, 'log'),
  };
  const samplers = [mount.pid, host.pid].map((pid) => new MemorySampler(pid));
  let seed = 1;

  /** What is written now gets to the host, and neither of the two has a fault. */
  const expectServed = async (what: string): Promise<void> => {
    writeFileSync(path.join(mount.directory, 'file'), randomBytes(FILE_BYTES, seed++));
    const figures = await asked<ProtectionFigures>(owner, 'sync', 'drive', ...SYNC);
    t.is(figures.protectedVersion, figures.version, `${what}: the host has what is new`);
    for (const [name, log] of Object.entries(logs)) {
      const text = readFileSync(log, 'utf8');
      t.absent(/Unhandled|Uncaught|fault of the program|TypeError/.test(text), `${what}: ${name}`);
    }
    t.ok(isRunning(mount.pid) && isRunning(host.pid), `${what}: both are up`);
  };
  const attack = async (name: string, { run, line, onlyHosts }: HostsAttack): Promise<void> => {
    const peer = await HostilePeer.join(t, { bootstrap, treeLogKey, victims: 2 });
    await Promise.all(peer.victims.map((victim) => run(victim, planKey)));
    if (line !== null) {
      const files = onlyHosts === true ? [logs.host] : Object.values(logs);
      await until(`${name}: dropped by ${files.length}`, () =>
        files.every((file) => line.test(readFileSync(file, 'utf8'))),
      );
      await until(`${name}: the connection is ended`, () => {
        const dropped = peer.victims.filter(({ isDropped }) => isDropped);
        return dropped.length >= files.length;
      });
    }
    await peer.leave();
  };

  await expectServed('before');
  await Promise.all(Object.entries(briefHostsAttacks).map(([name, each]) => attack(name, each)));
  await expectServed('what is no message');
  for (const [name, each] of Object.entries(longHostsAttacks)) {
    await attack(name, each);
    await expectServed(name);
  }
  for (const log of Object.values(logs)) {
    const told = readFileSync(log, 'utf8').match(/speaks another version/g) ?? [];
    t.is(told.length, 1, 'another version is told of once');
  }
  for (const sampler of samplers) {
    sampler.stop();
    const { peakBytes } = sampler;
    t.ok(peakBytes < MEMORY_BYTES_MAX, `${peakBytes >> 20} MiB of memory at most`);
  }
  await mount.unmount();
  await host.kill('SIGTERM');
});
