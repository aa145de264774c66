/** An owner meets a host anew that is connected and of no use. */
import path from 'node:path';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type { KeyPair } from 'hypercore';
import hypercoreCrypto from 'hypercore-crypto';
import { HostConnector } from '../../src/hosts/host-connector.js';
import type { Plan, PlanHost } from '../../src/hosts/plan-record.js';
import { limits } from '../../src/limits.js';
import { parseBootstrap } from '../../src/swarm/address.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { until } from './support/host-process.js';

function swarmFor(t: Assertions, bootstrap: string, keyPair?: KeyPair) {
  const store = new Corestore(path.join(temporaryFolder(t, 'peer'), 'store'));
  const connections: NoiseSecretStream[] = [];
  const swarm = new Swarm({
    store,
    keyPair,
    bootstrap: parseBootstrap(bootstrap),
    log: () => undefined,
    onConnection: (connection) => void connections.push(connection),
  });
  t.teardown(
    async () => {
      await swarm.close();
      await store.close();
    },
    { force: true },
  );
  return { swarm, connections };
}

function planOf(...hosts: Pick<PlanHost, 'id' | 'status'>[]): Plan {
  return { hosts } as unknown as Plan;
}

test('host connector - a host that is connected and says nothing is met anew, ever more seldom', {
  timeout: 60_000,
}, async (t) => {
  const network = await BootstrapNode.forTest(t);
  const keyPair = hypercoreCrypto.keyPair();
  const id = keyPair.publicKey;
  const host = swarmFor(t, network.address, keyPair);
  await host.swarm.announced();
  const { swarm, connections } = swarmFor(t, network.address);
  const lines: string[] = [];
  let nowMs = 0;
  let isUsable = false;
  const connector = new HostConnector(
    swarm,
    (line) => lines.push(line),
    () => nowMs,
  );
  const look = (): number =>
    connector.look(planOf({ id, status: 'active' }), () => isUsable).length;
  const met = (times: number): Promise<unknown> =>
    until(`connection ${times}`, () => connections.length === times && swarm.isConnected(id));

  t.is(look(), 0);
  await met(1);
  let first = connections.at(-1);
  for (const pauseMs of [limits.host_unusable_ms_min, 2 * limits.host_unusable_ms_min]) {
    const times = connections.length;
    look();
    nowMs += pauseMs - 1;
    look();
    t.absent(first?.destroying);
    nowMs++;
    look();
    await met(times + 1);
    t.ok(first?.destroyed, `after ${pauseMs} ms`);
    t.is(lines.length, times);
    first = connections.at(-1);
  }

  isUsable = true;
  t.is(look(), 1);
  nowMs += limits.host_unusable_ms_max;
  look();
  isUsable = false;
  look();
  t.absent(first?.destroying, 'while it is of use its time does not count');
  nowMs += limits.host_unusable_ms_min;
  look();
  await met(4);
  t.is(lines.length, 3, 'and the pause is the first again');
});

test('host connector - a host that is of use for a moment only is disturbed ever more seldom, too', (t) => {
  const closed: number[] = [];
  let nowMs = 0;
  const swarm = {
    isConnected: () => true,
    joinPeer: () => undefined,
    reconnect: () => void closed.push(nowMs),
  };
  const connector = new HostConnector(
    swarm,
    () => undefined,
    () => nowMs,
  );
  const plan = planOf({ id: Buffer.alloc(32, 1), status: 'active' });
  // Whoever was just met counts as of use until it was silent for so long.
  const isUsable = () =>
    nowMs - (closed.at(-1) ?? Number.NEGATIVE_INFINITY) < limits.host_silence_ms_max;
  for (; nowMs < 3600_000; nowMs += 1000) connector.look(plan, isUsable);
  const pauses = closed.map((atMs, i) => atMs - (closed[i - 1] ?? 0));
  t.ok((pauses.at(-1) as number) >= limits.host_unusable_ms_max, `${pauses}`);
  t.ok(pauses.length < 12);
});

test('host connector - the pause grows up to a limit, and for hosts of the plan only', (t) => {
  const closed: number[] = [];
  const joined: Buffer[] = [];
  let nowMs = 0;
  const swarm = {
    isConnected: (id: Buffer) => id[0] === 1,
    joinPeer: (id: Buffer) => void joined.push(id),
    reconnect: () => void closed.push(nowMs),
  };
  const connector = new HostConnector(
    swarm,
    () => undefined,
    () => nowMs,
  );
  const [here, away, gone] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const plan = planOf(
    { id: here, status: 'active' },
    { id: away, status: 'leaving' },
    { id: gone, status: 'gone' },
  );
  for (; nowMs < 3600_000; nowMs += 1000) connector.look(plan, () => false);
  const pauses = closed.map((atMs, i) => atMs - (closed[i - 1] ?? 0));
  t.is(pauses[0], limits.host_unusable_ms_min);
  t.ok(pauses.every((pauseMs) => pauseMs <= limits.host_unusable_ms_max + 1000));
  t.ok((pauses.at(-1) as number) >= limits.host_unusable_ms_max);
  t.ok(joined.length === 3600 && joined.every((id) => id === away));
});
