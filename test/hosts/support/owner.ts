/** What tests of an owner and his hosts share. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Assertions } from 'brittle';
import type { DriveHealth } from '../../../src/drive/protection-control.js';
import { BootstrapNode, type DriveMount, Machine } from '../../support/drive-mount.js';
import { SeededRandom, seedOfRun } from '../../support/seeded-random.js';
import { HostProcess, until } from './host-process.js';

/** For `shoal sync`. */
export const SYNC = ['--deadline', '50'];

export async function startHosts(
  t: Assertions,
  bootstrap: string,
  count: number,
): Promise<HostProcess[]> {
  return await Promise.all(
    Array.from({ length: count }, () => HostProcess.forTest(t, { bootstrap })),
  );
}

/** An owner's machine, the hosts of a network of their own, and a drive that two shards of data and one of parity protect. */
export interface ProtectedScene {
  machine: Machine;
  hosts: HostProcess[];
  mount: DriveMount;
}

/** @param options More of `shoal protect`. */
export async function protectedDrive(
  t: Assertions,
  hostCount: number,
  options: string[] = [],
): Promise<ProtectedScene> {
  const network = await BootstrapNode.forTest(t);
  const machine = Machine.forTest(t, { bootstrap: network.address, here: true });
  const hosts = await startHosts(t, network.address, hostCount);
  const mount = await machine.createAndMount('drive');
  await machine.shoal('protect', 'drive', '--data', '2', '--parity', '1', ...options);
  await machine.shoal('hosts', 'add', 'drive', ...hosts.map(({ invite }) => invite));
  return { machine, hosts, mount };
}

/** A file of random bytes, which it returns. */
export function writeRandom(mount: DriveMount, name: string, bytes: number): Buffer {
  const content = new SeededRandom(seedOfRun() + bytes).bytes(bytes);
  writeFileSync(path.join(mount.directory, name), content);
  return content;
}

/**
 * The health of a drive, once so many hosts are counted: of two connections with one host the newer is dropped, so for a
 * moment one may seem away.
 */
export async function healthWith(machine: Machine, connected: number): Promise<DriveHealth> {
  return await until(`${connected} hosts are counted`, async () => {
    const health = await asked<DriveHealth>(machine, 'health', 'drive');
    return health.connected === connected && health;
  });
}

/** What a command answers with `--json`. */
export async function asked<T>(machine: Machine, ...args: string[]): Promise<T> {
  return JSON.parse(await machine.shoal(...args, '--json')) as T;
}
