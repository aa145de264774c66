/** Peers that leave TCP, since it is slow, go on over the connection that they have. */
import { Socket } from 'node:net';
import { join } from 'node:path';
import type NoiseSecretStream from '@hyperswarm/secret-stream';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import hypercoreCrypto from 'hypercore-crypto';
import { limits } from '../../src/limits.js';
import { startBootstrapNode } from '../../src/swarm/bootstrap.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { type TcpInfo, tcpInfo } from '../../src/swarm/tcp-info.js';
import { freePort } from '../drive/support/private-network.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const topic = Buffer.alloc(32, 11);
const FAR_MS = 2 * limits.tcp_round_trip_ms_max;

// On a busy machine it may take long until the peers speak over TCP.
Object.assign(limits, { tcp_setup_ms_max: 10_000 });

/** What the kernel would say of a way that is far, and on which so much is lost that nothing goes on. */
interface Way {
  isLossy: boolean;
}

interface TestPeer {
  store: Corestore;
  swarm: Swarm;
  id: Buffer;
  connections: NoiseSecretStream[];
  lines: string[];
}

function openPeer(t: Assertions, folder: string, port: number, way: Way): TestPeer {
  let lost = 0;
  const lookAtTcp = (socket: Socket): TcpInfo | null => {
    const info = tcpInfo(socket);
    if (info === null) return null;
    const far = { ...info, roundTripMs: FAR_MS, roundTripMsMin: FAR_MS };
    const { isLossy } = way;
    return isLossy
      ? { ...far, deliveredSegments: 0, repeatedSegments: ++lost, unsentBytes: 1, peerFullMs: 0 }
      : far;
  };
  const store = new Corestore(folder);
  t.teardown(() => store.close(), { order: 10, force: true });
  const lines: string[] = [];
  const connections: NoiseSecretStream[] = [];
  const keyPair = hypercoreCrypto.keyPair();
  const swarm = new Swarm({
    store,
    topic,
    keyPair,
    bootstrap: [{ host: '127.0.0.1', port }],
    log: (line) => void lines.push(line),
    onConnection: (connection) => void connections.push(connection),
    lookAtTcp,
  });
  t.teardown(() => swarm.close(), { force: true });
  return { store, swarm, id: keyPair.publicKey, connections, lines };
}

interface Pair {
  /** Has the log. */
  a: TestPeer;
  b: TestPeer;
  log: Hypercore;
  copy: Hypercore;
  way: Way;
}

/** Two peers that replicate over TCP, the first block of two so far. */
async function connectedPair(t: Assertions): Promise<Pair> {
  const port = await freePort();
  const node = await startBootstrapNode('127.0.0.1', port);
  t.teardown(() => node.close(), { order: 20, force: true });
  const folder = temporaryFolder(t, 'tcp-left');
  const way = { isLossy: false };
  const a = openPeer(t, join(folder, 'a'), port, way);
  const log = a.store.get({ name: 'log' });
  await log.append([Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 2)]);
  await a.swarm.announced();
  const b = openPeer(t, join(folder, 'b'), port, way);
  const copy = b.store.get({ key: log.key });
  t.alike(await copy.get(0), Buffer.alloc(100_000, 1));
  t.alike(kindsOf(a), ['TCP']);
  t.alike(kindsOf(b), ['TCP']);
  return { a, b, log, copy, way };
}

/** Of all connections so far. */
function kindsOf({ connections }: TestPeer): string[] {
  return connections.map(({ rawStream }) => (rawStream instanceof Socket ? 'TCP' : 'UDP'));
}

/** Of the first connection. */
function socketOf({ connections }: TestPeer): Socket {
  const [tcp] = connections;
  if (!(tcp?.rawStream instanceof Socket)) throw new Error('It is not over TCP');
  return tcp.rawStream;
}

/** Both went on with the peer that they had. */
async function wentOn(t: Assertions, { a, b, log, copy }: Pair): Promise<void> {
  t.alike(await copy.get(1), Buffer.alloc(100_000, 2));
  t.alike(kindsOf(a), ['TCP', 'UDP']);
  t.alike(kindsOf(b), ['TCP', 'UDP']);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    t.is(await one.swarm.connectionTo(other.id, 5000), one.connections[1]);
    const { peers, receivedBytes, sentBytes } = one.swarm.statistics();
    t.is(peers, 1);
    t.ok(receivedBytes + sentBytes > 200_000, 'counters hold both connections');
  }
  await log.append(Buffer.alloc(1000, 3));
  t.alike(await copy.get(2), Buffer.alloc(1000, 3), 'what comes later comes, too');
}

test('tcp left - where packets are lost, and not gone back to', async (t) => {
  const pair = await connectedPair(t);
  const { a, b, log, copy, way } = pair;
  way.isLossy = true;
  // Something is sent: from then on it is looked at.
  await eventually('TCP is left', async () => {
    await log.append(Buffer.alloc(10));
    return kindsOf(a).length > 1 && kindsOf(b).length > 1;
  });
  t.ok([...a.lines, ...b.lines].some((line) => line.includes('going on over UDP')));
  way.isLossy = false;
  t.alike(await copy.get(1), Buffer.alloc(100_000, 2));
  t.alike(kindsOf(a), ['TCP', 'UDP']);
  t.alike(kindsOf(b), ['TCP', 'UDP']);
  b.connections[1]?.destroy();
  await eventually('they meet again', () => kindsOf(a).length > 2 && kindsOf(b).length > 2);
  // They may meet twice, and drop one of two connections.
  for (const peer of [a, b]) {
    const [first, ...later] = kindsOf(peer);
    t.is(first, 'TCP');
    t.ok(
      later.every((kind) => kind === 'UDP'),
      later.join(),
    );
  }
});

test('tcp left - when it breaks', async (t) => {
  const pair = await connectedPair(t);
  socketOf(pair.b).resetAndDestroy();
  await wentOn(t, pair);
});

test('tcp left - by a peer whose word of it comes before the end of the connection', async (t) => {
  const pair = await connectedPair(t);
  const socket = socketOf(pair.b);
  // The end of what this peer uses does not end what the other one uses.
  socket.destroy = () => socket;
  pair.b.connections[0]?.destroy();
  const followed = new Promise<void>((resolve) => {
    const other = socketOf(pair.a);
    const reset = other.resetAndDestroy.bind(other);
    other.resetAndDestroy = () => {
      resolve();
      return reset();
    };
  });
  await wentOn(t, pair);
  Reflect.deleteProperty(socket, 'destroy');
  socket.destroy();
  await followed;
  t.pass('it was not silence that told');
});
