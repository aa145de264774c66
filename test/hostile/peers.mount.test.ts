/** Hostile peers: mounts stay up with bounded memory, say in one line what happened, and are served by honest peers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { MemorySampler } from '../../scripts/benchmark/mount-process.js';
import { parseCapability } from '../../src/drive/capability.js';
import { Home } from '../../src/drive/home.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { tryCommand } from '../support/command.js';
import { BootstrapNode, type DriveMount, isRunning, Machine } from '../support/drive-mount.js';
import { randomBytes } from '../support/random-bytes.js';
import { attacks, type LogKeys, stall, stallInBlock } from './support/attacks.js';
import { HostilePeer } from './support/hostile-peer.js';

const TIME = { timeout: 300_000 } as const;
const FILE_BYTES = 1 << 20;
const MEMORY_BYTES_MAX = 500 << 20;
const READ_MS_MAX = 60_000;

interface Scene {
  bootstrap: string;
  keys: LogKeys;
  origin: DriveMount;
  reader: DriveMount;
}

async function openScene(t: Assertions): Promise<Scene> {
  const bootstrap = await BootstrapNode.forTest(t);
  const machine = Machine.forTest(t, { bootstrap: bootstrap.address });
  const origin = await machine.createAndMount('origin');
  const key = (await machine.shoal('share', 'origin')).trim();
  const capability = parseCapability(key);
  const { contentLogKey } = await new Home(machine.home).read('origin');
  if (capability.type !== 'read' || contentLogKey === null) throw new Error('No keys');
  const other = Machine.forTest(t, { bootstrap: bootstrap.address });
  const reader = await other.mount(key, ['--name', 'reader']);
  const keys = { treeLogKey: capability.treeLogKey, contentLogKey };
  return { bootstrap: bootstrap.address, keys, origin, reader };
}

function logOf(mount: DriveMount): string {
  return mount.machine.logOf(mount.name);
}

/** Something new at the origin can be read at the reader. Not by this process: the hostile peer lives in it. */
async function expectServed(t: Assertions, scene: Scene, name: string, seed: number) {
  const { origin, reader } = scene;
  const content = randomBytes(FILE_BYTES, seed);
  writeFileSync(join(origin.directory, `${seed}`), content);
  await origin.commit();
  const path = join(reader.directory, `${seed}`);
  const cmp = () => tryCommand('cmp', [path, '-'], { input: content, deadlineMs: READ_MS_MAX });
  await eventually(`${name}: served`, async () => (await cmp()).code === 0);
  t.pass(`${name}: what the origin has is read`);
}

function expectSound(t: Assertions, { origin, reader }: Scene, name: string) {
  for (const mount of [origin, reader]) {
    t.ok(isRunning(mount.pid), `${name}: ${mount.name} is up`);
    const log = logOf(mount);
    t.absent(/Unhandled|Uncaught|fault of the program/.test(log), `${name}: no fault`);
  }
}

test('hostile peers - each attack ends its connection, and nothing else', TIME, async (t) => {
  const scene = await openScene(t);
  const { keys, bootstrap, origin, reader } = scene;
  const samplers = [origin, reader].map(({ pid }) => new MemorySampler(pid));
  let seed = 1;
  await expectServed(t, scene, 'before', seed++);
  for (const [name, { run, line, onlyReaders, mayStay }] of Object.entries(attacks)) {
    const before = [origin, reader].map((mount) => logOf(mount).length);
    const options = { bootstrap, treeLogKey: keys.treeLogKey, victims: 2 };
    const peer = await HostilePeer.join(t, options);
    await Promise.all(peer.victims.map((victim) => run(victim, keys)));
    await expectServed(t, scene, name, seed++);
    const count = onlyReaders ? 1 : peer.victims.length;
    const isDropped = () => peer.victims.filter((victim) => victim.isDropped).length >= count;
    if (!mayStay) await eventually(`${name}: dropped`, isDropped);
    if (line !== null) {
      for (const [i, mount] of [origin, reader].entries()) {
        if (onlyReaders && mount === origin) continue;
        const news = () => logOf(mount).slice(before[i]).trim().split('\n');
        await eventually(`${name}: ${mount.name} says so`, () => line.test(news().join('\n')));
        t.is(news().filter((text) => /Dropped peer/.test(text)).length, 1, `${name}: one line`);
      }
    }
    await peer.leave();
    expectSound(t, scene, name);
  }
  for (const sampler of samplers) {
    sampler.stop();
    const { peakBytes } = sampler;
    t.ok(peakBytes < MEMORY_BYTES_MAX, `${peakBytes >> 20} MiB of memory at most`);
  }
  // Whatever was left under way would keep the store open.
  for (const mount of [reader, origin]) await mount.unmount();
});

/** Each says that it has every block, so it is asked for some. */
const stalls = {
  'nothing is answered': { run: stall, line: /Dropped peer \w+ for now: it answers no request/ },
  // What it was asked for is asked of others soon, so it owes nothing.
  'half a block is sent': { run: stallInBlock, line: null },
};

for (const [name, { run, line }] of Object.entries(stalls)) {
  test(`hostile peers - ${name}, and honest peers are asked instead`, TIME, async (t) => {
    const scene = await openScene(t);
    const { keys, bootstrap, reader } = scene;
    const options = { bootstrap, treeLogKey: keys.treeLogKey, victims: 2 };
    const peer = await HostilePeer.join(t, options);
    await Promise.all(peer.victims.map((victim) => run(victim, keys)));
    for (let seed = 1; seed < 4; seed++) await expectServed(t, scene, name, seed);
    if (line !== null) await eventually(`${name}: said`, () => line.test(logOf(reader)));
    expectSound(t, scene, name);
    await peer.leave();
  });
}
