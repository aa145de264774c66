import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import { BusyError, UsageError } from '../../src/errors.js';
import { startBootstrapNode } from '../../src/swarm/bootstrap.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { freePort, silentPort } from '../drive/support/private-network.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const topic = Buffer.alloc(32, 5);

function openStore(t: Assertions, name: string): Corestore {
  const store = new Corestore(join(temporaryFolder(t, 'swarm'), name));
  t.teardown(() => store.close(), { order: 10, force: true });
  return store;
}

function joinSwarm(
  t: Assertions,
  store: Corestore,
  port: number,
  log: (line: string) => void = () => undefined,
): Swarm {
  const swarm = new Swarm({
    store,
    topic,
    bootstrap: [{ host: '127.0.0.1', port }],
    log,
  });
  t.teardown(() => swarm.close(), { force: true });
  return swarm;
}

test('swarm - peers replicate, and count what they send', async (t) => {
  const node = await startBootstrapNode('127.0.0.1', await freePort());
  t.teardown(() => node.close(), { order: 20, force: true });
  const a = openStore(t, 'a');
  const b = openStore(t, 'b');
  const log = a.get({ name: 'log' });
  await log.append(Buffer.alloc(10_000, 1));
  const first = joinSwarm(t, a, node.port);
  await first.announced();
  const second = joinSwarm(t, b, node.port);
  const copy = b.get({ key: log.key });
  t.alike(await copy.get(0), Buffer.alloc(10_000, 1));
  // Of two connections with one peer, one is dropped.
  await eventually('one peer', () => second.statistics().peers === 1);
  t.ok(second.statistics().receivedBytes > 10_000);
  t.ok(second.statistics().reachable);
  await second.close();
  t.is(second.statistics().peers, 0);
  t.ok(second.statistics().receivedBytes > 10_000, 'counters outlive connections');
});

test('swarm - whoever starts first, and with no network in between, they find each other', {
  timeout: 90_000,
}, async (t) => {
  const { port, release } = await silentPort(t);
  const a = openStore(t, 'a');
  const b = openStore(t, 'b');
  const log = a.get({ name: 'log' });
  await log.append(Buffer.from('x'));
  const lines: string[] = [];
  const said = new Promise<void>((resolve) => {
    joinSwarm(t, a, port, (line) => {
      lines.push(line);
      resolve();
    });
  });
  const second = joinSwarm(t, b, port);
  await said;
  t.ok(lines[0]?.includes(`127.0.0.1:${port} does not answer`), lines[0]);
  t.absent(second.statistics().reachable);
  await release();
  const node = await startBootstrapNode('127.0.0.1', port);
  t.teardown(() => node.close(), { order: 20, force: true });
  t.alike(await b.get({ key: log.key }).get(0), Buffer.from('x'));
  t.is(lines.length <= 2, true, 'said once, and that it is over');
});

test('swarm - leaves the port that a bootstrap node comes back at', async (t) => {
  // The library's default, which is the one that people give a node.
  const port = 49_737;
  const node = await startBootstrapNode('127.0.0.1', await freePort());
  const before = socketPorts().length;
  const swarm = joinSwarm(t, openStore(t, 'a'), node.port);
  await swarm.announced();
  t.ok(socketPorts().length > before, 'it is bound');
  await node.close();
  t.absent(socketPorts().some((taken) => taken === port || taken === node.port));
});

/** UDP ports of this process. */
function socketPorts(): number[] {
  const inodes = new Set(
    readdirSync('/proc/self/fd').map(
      (fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/self/fd/${fd}`))?.[1],
    ),
  );
  return readFileSync('/proc/net/udp', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => inodes.has(fields[9]))
    .map((fields) => Number.parseInt(fields[1]?.split(':')[1] ?? '', 16));
}

/** Where a link leads; nowhere when it is gone, as a file that was just closed is. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

test('swarm - closing is possible at any moment', async (t) => {
  const node = await startBootstrapNode('127.0.0.1', await freePort());
  t.teardown(() => node.close(), { order: 20, force: true });
  const swarm = joinSwarm(t, openStore(t, 'a'), node.port);
  await swarm.close();
  await swarm.close();
  t.is(swarm.statistics().peers, 0);
});

test('bootstrap - a taken port and a foreign address are refused', async (t) => {
  const node = await startBootstrapNode('127.0.0.1', await freePort());
  t.teardown(() => node.close(), { order: 20, force: true });
  await t.exception(startBootstrapNode('127.0.0.1', node.port), BusyError);
  await t.exception(startBootstrapNode('203.0.113.1', 40_000), UsageError);
  await t.exception(startBootstrapNode('localhost', 40_000), UsageError);
  await t.exception(startBootstrapNode('0.0.0.0', 40_000), UsageError);
});
