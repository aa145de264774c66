/** Peers of one network go over to TCP; where that does not work, nothing is lost but a moment. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import NoiseSecretStream from '@hyperswarm/secret-stream';
import test, { type Assertions } from 'brittle';
import cenc from 'compact-encoding';
import Corestore from 'corestore';
import type { KeyPair } from 'hypercore';
import hypercoreCrypto from 'hypercore-crypto';
import Hyperswarm, { type PeerConnection } from 'hyperswarm';
import Protomux from 'protomux';
import { limits } from '../../src/limits.js';
import { isPrivateNetwork } from '../../src/swarm/address.js';
import { type BootstrapNode, startBootstrapNode } from '../../src/swarm/bootstrap.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { type TcpInfo, tcpInfo } from '../../src/swarm/tcp-info.js';
import { TcpPaths } from '../../src/swarm/tcp-paths.js';
import { freePort } from '../drive/support/private-network.js';
import { eventually } from '../sharing/support/shared-drive.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { socketPair } from './support/socket-pair.js';

const PROTOCOL = 'shoal/tcp/1';
const SETUP_MS_MAX = limits.tcp_setup_ms_max;

/** On a busy machine what works may take long. Only what never comes is waited for as long as the program does it. */
const patience = { tcp_setup_ms_max: 10_000 };
Object.assign(limits, patience);

function waitsInVain(t: Assertions): void {
  Object.assign(limits, { tcp_setup_ms_max: SETUP_MS_MAX });
  t.teardown(() => Object.assign(limits, patience), { force: true });
}

/** One side of a connection, as Hyperswarm would have made it. */
interface Side {
  keyPair: KeyPair;
  connection: PeerConnection;
  mux: Protomux;
  paths: TcpPaths;
  lines: string[];
}

/** Two peers that are connected. `host`: where each sees the other. */
async function connectedPair(
  t: Assertions,
  host = '127.0.0.1',
  look?: (socket: Socket) => TcpInfo | null,
): Promise<[Side, Side]> {
  const [dialed, socket] = await socketPair();
  const keyPairs = [hypercoreCrypto.keyPair(), hypercoreCrypto.keyPair()] as const;
  const sideOf = (keyPair: KeyPair, raw: Socket, remotePublicKey?: Buffer): Side => {
    Object.assign(raw, { remoteHost: host });
    const stream = new NoiseSecretStream(remotePublicKey !== undefined, raw, {
      pattern: 'IK',
      keyPair,
      ...(remotePublicKey === undefined ? {} : { remotePublicKey }),
    });
    const connection = stream as unknown as PeerConnection;
    const mux = new Protomux(connection);
    const lines: string[] = [];
    const paths = new TcpPaths(keyPair, '127.0.0.1', (line) => lines.push(line), look);
    t.teardown(async () => {
      await paths.close();
      connection.destroy();
    });
    return { keyPair, connection, mux, paths, lines };
  };
  const sides: [Side, Side] = [
    sideOf(keyPairs[0], dialed, keyPairs[1].publicKey),
    sideOf(keyPairs[1], socket),
  ];
  for (const { connection } of sides) {
    connection.on('error', () => undefined);
    await (connection as unknown as NoiseSecretStream).opened;
  }
  return sides;
}

async function open({ paths, connection, mux }: Side): Promise<NoiseSecretStream | null> {
  return (await paths.open(connection, mux))?.stream ?? null;
}

/** What a peer that is no program of ours may say as the responder. */
function offer({ mux }: Side, port: number): void {
  const channel = mux.createChannel({
    protocol: PROTOCOL,
    messages: [{ encoding: cenc.uint16, onmessage: () => undefined }],
    onopen: (_handshake, opened) => void opened.messages[0]?.send(port),
  });
  channel?.open();
}

async function listen(t: Assertions, onConnection: (socket: Socket) => void): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server;
}

test('tcp - both sides get a stream to the same identity', async (t) => {
  const [a, b] = await connectedPair(t);
  const [first, second] = await Promise.all([open(a), open(b)]);
  if (first === null || second === null) throw new Error('No stream');
  t.teardown(() => first.destroy());
  t.alike(first.remotePublicKey, b.keyPair.publicKey);
  t.alike(second.remotePublicKey, a.keyPair.publicKey);
  t.alike(first.handshakeHash, second.handshakeHash);
  t.unlike(first.handshakeHash, a.connection.handshakeHash, 'a handshake of its own');
  first.write(Buffer.from('over TCP'));
  const [data] = await once(second, 'data');
  t.alike(data, Buffer.from('over TCP'));
  t.absent(a.connection.destroyed || b.connection.destroyed);
  second.destroy();
  await once(first, 'close');
});

test('tcp - not with a peer of another network', async (t) => {
  const [a, b] = await connectedPair(t, '203.0.113.1');
  let wasAsked = false;
  for (const { mux } of [a, b]) {
    mux.pair({ protocol: PROTOCOL }, () => {
      wasAsked = true;
    });
  }
  t.is(await open(a), null);
  t.is(await open(b), null);
  t.absent(wasAsked);
});

/** As if the round trip took so long. */
function lookFrom(roundTripMs: number): (socket: Socket) => TcpInfo | null {
  return (socket) => {
    const info = tcpInfo(socket);
    return info && { ...info, roundTripMs, roundTripMsMin: roundTripMs };
  };
}

test('tcp - with a peer that is far away, and not with one that is too far', async (t) => {
  const isFar = async (roundTripMs: number) => {
    const pair = await connectedPair(t, '127.0.0.1', lookFrom(roundTripMs));
    const paths = await Promise.all(
      pair.map(({ paths, connection, mux }) => paths.open(connection, mux)),
    );
    for (const path of paths) path?.stream.destroy();
    return paths.map((path) => path?.isFar ?? null);
  };
  t.alike(await isFar(limits.tcp_round_trip_ms_max), [false, false]);
  t.alike(await isFar(limits.tcp_round_trip_ms_max + 1), [true, true]);
  t.alike(await isFar(limits.tcp_far_round_trip_ms_max), [true, true]);
  t.alike(await isFar(limits.tcp_far_round_trip_ms_max + 1), [null, null]);
});

test('tcp - not with a peer that does not speak the protocol', async (t) => {
  const [a] = await connectedPair(t);
  t.is(await open(a), null, 'it refuses');
  const [, b] = await connectedPair(t);
  t.is(await open(b), null);
});

test('tcp - a peer that says nothing is waited for only so long', async (t) => {
  waitsInVain(t);
  const [a, b] = await connectedPair(t);
  b.mux.pair({ protocol: PROTOCOL }, () => new Promise<void>(() => undefined) as never);
  t.is(await open(a), null);
});

test('tcp - a port that cannot be reached is not tried again soon', async (t) => {
  const [a, b] = await connectedPair(t);
  offer(b, await freePort());
  t.is(await open(a), null);
  t.absent(a.connection.destroyed, 'the connection goes on');
  let wasAsked = false;
  b.mux.pair({ protocol: PROTOCOL }, () => {
    wasAsked = true;
  });
  t.is(await open(a), null);
  t.absent(wasAsked);
});

/** Listens at a port, takes one connection after which there is no room, and never looks at it. */
const BUSY_SERVER = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '0.0.0.0', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** A port at which no connection is made, and none is refused. */
async function busyPort(t: Assertions): Promise<number> {
  const worker = new Worker(BUSY_SERVER, { eval: true });
  t.teardown(() => worker.terminate());
  const [port] = await once(worker, 'message');
  for (let i = 0; i < 3; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
    await Promise.race([once(socket, 'connect'), sleep(100)]);
  }
  return port;
}

/** Whether TCP is tried again after it took too long to reach a port at some address of this machine. */
async function isTriedAgain(t: Assertions, host: string, port: number): Promise<boolean> {
  waitsInVain(t);
  const [a, b] = await connectedPair(t, host);
  offer(b, port);
  t.is(await open(a), null);
  t.absent(a.connection.destroyed, 'the connection goes on');
  const asked = new Promise<boolean>((resolve) => {
    b.mux.pair({ protocol: PROTOCOL }, () => resolve(true));
  });
  t.is(await open(a), null);
  return await Promise.race([asked, sleep(10, false)]);
}

test('tcp - time that ran out is no reason to leave this machine alone', async (t) => {
  t.ok(await isTriedAgain(t, '127.0.0.1', await busyPort(t)));
});

const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ address, internal }) => !internal && isPrivateNetwork({ host: address }))?.address;
const missing = ownAddress === undefined ? 'needs a private address' : null;
const reason = missing === null ? '' : ` (${missing})`;
test(`tcp - time that ran out may be a firewall on the way to another machine${reason}`, {
  skip: missing !== null,
}, async (t) => {
  t.absent(await isTriedAgain(t, ownAddress as string, await busyPort(t)));
});

test('tcp - somebody else who listens at the port gets nowhere', async (t) => {
  const [a, b] = await connectedPair(t);
  const other = hypercoreCrypto.keyPair();
  const server = await listen(t, (socket) => {
    const stream = new NoiseSecretStream(false, socket, { pattern: 'IK', keyPair: other });
    stream.on('error', () => undefined);
  });
  offer(b, (server.address() as AddressInfo).port);
  t.is(await open(a), null);
});

test('tcp - somebody else who connects gets nowhere, and the peer does', async (t) => {
  const [a, b] = await connectedPair(t);
  const accepted = open(b);
  const port = await new Promise<number>((resolve) => {
    a.mux
      .createChannel({
        protocol: PROTOCOL,
        messages: [{ encoding: cenc.uint16, onmessage: (said) => resolve(said as number) }],
      })
      ?.open();
  });
  const publicKey = b.keyPair.publicKey;
  const strangers = Array.from({ length: 3 }, () => connect(port, '127.0.0.1'));
  const [noise, silent, known] = strangers as [Socket, Socket, Socket];
  for (const socket of strangers) socket.on('error', () => undefined);
  t.teardown(() => silent.destroy());
  noise.write(Buffer.alloc(100, 3));
  const stranger = new NoiseSecretStream(true, known, {
    pattern: 'IK',
    keyPair: hypercoreCrypto.keyPair(),
    remotePublicKey: publicKey,
  });
  stranger.on('error', () => undefined);
  await once(stranger, 'close');
  const peer = new NoiseSecretStream(true, connect(port, '127.0.0.1'), {
    pattern: 'IK',
    keyPair: a.keyPair,
    remotePublicKey: publicKey,
  });
  t.teardown(() => peer.destroy());
  const stream = await accepted;
  t.alike(stream?.remotePublicKey, a.keyPair.publicKey);
  t.alike(b.lines, []);
});

test('tcp - who is not expected is not let in', async (t) => {
  const [a, b] = await connectedPair(t);
  const [first] = await Promise.all([open(a), open(b)]);
  if (first === null) throw new Error('No stream');
  t.teardown(() => first.destroy());
  const { remotePort } = first.rawStream as Socket;
  const late = connect(remotePort as number, '127.0.0.1');
  late.on('error', () => undefined);
  late.resume();
  await once(late, 'close');
  t.pass('its connection is closed');
  await b.paths.close();
  const later = connect(remotePort as number, '127.0.0.1');
  const [error] = await once(later, 'error');
  t.is(error.code, 'ECONNREFUSED', 'and nobody listens after the end');
  t.is(await open(b), null, 'nor offers it');
});

const topic = Buffer.alloc(32, 11);

async function openNode(t: Assertions): Promise<BootstrapNode> {
  const node = await startBootstrapNode('127.0.0.1', await freePort());
  t.teardown(() => node.close(), { order: 20, force: true });
  return node;
}

function openPeer(t: Assertions, { port }: BootstrapNode, name: string) {
  const store = new Corestore(join(temporaryFolder(t, 'tcp'), name));
  t.teardown(() => store.close(), { order: 10, force: true });
  const log = () => undefined;
  const keyPair = hypercoreCrypto.keyPair();
  const bootstrap = [{ host: '127.0.0.1', port }];
  const connections: NoiseSecretStream[] = [];
  const onConnection = (connection: NoiseSecretStream) => connections.push(connection);
  const swarm = new Swarm({ store, topic, keyPair, bootstrap, log, onConnection });
  t.teardown(() => swarm.close(), { force: true });
  return { store, swarm, keyPair, connections };
}

test('tcp - peers of a swarm replicate over it, and find each other again when it breaks', {
  timeout: 60_000,
}, async (t) => {
  const node = await openNode(t);
  const a = openPeer(t, node, 'a');
  const log = a.store.get({ name: 'log' });
  await log.append([Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 2)]);
  await a.swarm.announced();
  const b = openPeer(t, node, 'b');
  const copy = b.store.get({ key: log.key });
  t.alike(await copy.get(0), Buffer.alloc(100_000, 1));
  const id = a.keyPair.publicKey;
  const connection = await b.swarm.connectionTo(id, 30_000);
  t.ok(connection.rawStream instanceof Socket, 'over TCP');
  t.is(b.connections.length, 1, 'each peer is met once');
  const { receivedBytes } = b.swarm.statistics();
  t.ok(receivedBytes > 100_000 && receivedBytes < 120_000, `${receivedBytes} bytes`);
  t.alike(b.swarm.traffic().get(id.toString('hex'))?.receivedBytes, receivedBytes);
  (connection.rawStream as Socket).destroy();
  t.alike(await copy.get(1), Buffer.alloc(100_000, 2));
  const next = await b.swarm.connectionTo(id, 30_000);
  t.not(next, connection);
  // Of two connections with one peer, one is dropped.
  await eventually('one peer', () => b.swarm.statistics().peers === 1);
  t.ok(b.swarm.statistics().receivedBytes > 200_000, 'counters outlive connections');
});

test('tcp - a peer of another kind is replicated with as before', async (t) => {
  const node = await openNode(t);
  const a = openPeer(t, node, 'a');
  const log = a.store.get({ name: 'log' });
  await log.append(Buffer.alloc(100_000, 1));
  await a.swarm.announced();
  const store = new Corestore(join(temporaryFolder(t, 'tcp'), 'other'));
  t.teardown(() => store.close(), { order: 10, force: true });
  const other = new Hyperswarm({ bootstrap: [{ host: '127.0.0.1', port: node.port }] });
  t.teardown(() => other.destroy(), { force: true });
  other.on('connection', (connection) => {
    connection.on('error', () => undefined);
    store.replicate(connection);
  });
  other.join(topic);
  t.alike(await store.get({ key: log.key }).get(0), Buffer.alloc(100_000, 1));
  t.absent(a.connections[0]?.rawStream instanceof Socket);
  t.ok(SETUP_MS_MAX < limits.peer_silence_ms_max);
});
