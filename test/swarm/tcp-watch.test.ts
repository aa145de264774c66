/** Far away TCP is used for as long as it is not slow. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import { limits } from '../../src/limits.js';
import { decodeTcpInfo, type TcpInfo, tcpInfo } from '../../src/swarm/tcp-info.js';
import { type TcpLook, TcpPace, TcpWatch } from '../../src/swarm/tcp-watch.js';
import { socketPair } from './support/socket-pair.js';

const ROUND_TRIP_MS = 50;
const SEGMENT_BYTES = 1400;
const FAST = 2 * limits.tcp_bytes_per_second_min;
const SLOW = limits.tcp_bytes_per_second_min / 2;

/** What happened between two looks. */
interface Stretch {
  bytesPerSecond: number;
  lost?: number;
  peerFullMs?: number;
  roundTripMs?: number;
  isWaiting?: boolean;
  waitingConnections?: number;
}

/** A connection that is nothing but looks. */
class PacedConnection {
  readonly #pace = new TcpPace();
  readonly #roundTripMsMin: number;
  #info: TcpInfo;
  nowMs = 1000;

  constructor(roundTripMsMin = ROUND_TRIP_MS) {
    this.#roundTripMsMin = roundTripMsMin;
    this.#info = {
      roundTripMs: roundTripMsMin,
      roundTripMsMin,
      segmentBytes: SEGMENT_BYTES,
      deliveredSegments: 0,
      repeatedSegments: 0,
      unsentBytes: 1,
      peerFullMs: 0,
    };
    this.#pace.isTooSlow(this.#look(true, 1));
  }

  /** After how many such stretches it is too slow; null when it is not after a thousand. */
  slowAfter(stretch: Stretch): number | null {
    for (let count = 1; count <= 1000; count++) if (this.passes(stretch)) return count;
    return null;
  }

  passes({ bytesPerSecond, lost = 0, peerFullMs = 0, ...rest }: Stretch): boolean {
    const { isWaiting = true, waitingConnections = 1, roundTripMs = this.#roundTripMsMin } = rest;
    this.nowMs += limits.tcp_look_ms;
    const segments = Math.round((bytesPerSecond * limits.tcp_look_ms) / 1000 / SEGMENT_BYTES);
    this.#info = {
      ...this.#info,
      roundTripMs,
      deliveredSegments: this.#info.deliveredSegments + segments,
      repeatedSegments: this.#info.repeatedSegments + lost,
      peerFullMs: this.#info.peerFullMs + peerFullMs,
    };
    return this.#pace.isTooSlow(this.#look(isWaiting, waitingConnections));
  }

  #look(isWaiting: boolean, waitingConnections: number): TcpLook {
    return { info: this.#info, nowMs: this.nowMs, isWaiting, waitingConnections };
  }
}

const lossyLooks = (limits.tcp_lossy_round_trips_max * ROUND_TRIP_MS) / limits.tcp_look_ms;
const slowLooks = (limits.tcp_slow_round_trips_max * ROUND_TRIP_MS) / limits.tcp_look_ms;

test('tcp watch - slow and lossy is left soon', (t) => {
  t.is(new PacedConnection().slowAfter({ bytesPerSecond: SLOW, lost: 1 }), lossyLooks + 1);
  const connection = new PacedConnection();
  t.absent(connection.passes({ bytesPerSecond: SLOW, lost: 1 }));
  t.is(connection.slowAfter({ bytesPerSecond: SLOW }), lossyLooks, 'one loss is enough');
  const stuck = new PacedConnection();
  t.is(stuck.slowAfter({ bytesPerSecond: 0, lost: 1 }), lossyLooks + 1, 'nothing comes at all');
});

test('tcp watch - as long as it is fast, losses do not matter', (t) => {
  t.is(new PacedConnection().slowAfter({ bytesPerSecond: FAST, lost: 50 }), null);
});

test('tcp watch - one burst of losses that is got over drives nobody off', (t) => {
  const connection = new PacedConnection();
  t.absent(connection.passes({ bytesPerSecond: SLOW }), 'it begins slowly');
  t.absent(connection.passes({ bytesPerSecond: SLOW, lost: 900 }));
  t.absent(connection.passes({ bytesPerSecond: SLOW, lost: 50 }));
  t.absent(connection.passes({ bytesPerSecond: SLOW }));
  t.is(connection.slowAfter({ bytesPerSecond: FAST }), null);
  t.is(connection.slowAfter({ bytesPerSecond: SLOW }), slowLooks, 'it is forgotten then');
});

test('tcp watch - slow without losses is left later, and not when the way is full', (t) => {
  t.is(new PacedConnection().slowAfter({ bytesPerSecond: SLOW }), slowLooks);
  const roundTripMs = 2 * ROUND_TRIP_MS;
  t.is(new PacedConnection().slowAfter({ bytesPerSecond: SLOW, roundTripMs }), null);
  t.ok(limits.tcp_slow_round_trips_max > 2 * limits.tcp_lossy_round_trips_max);
});

test('tcp watch - it is not TCP that is slow', (t) => {
  const slow = { bytesPerSecond: SLOW, lost: 1 };
  t.is(new PacedConnection().slowAfter({ ...slow, isWaiting: false }), null, 'nothing waits');
  const peerFullMs = limits.tcp_look_ms;
  t.is(new PacedConnection().slowAfter({ ...slow, peerFullMs }), null, 'the peer does not read');
  const others = { ...slow, waitingConnections: 3 };
  t.is(new PacedConnection().slowAfter(others), null, 'others get most of it');
  const near = new PacedConnection(limits.tcp_round_trip_ms_max);
  t.is(near.slowAfter(slow), null, 'near');
  const pausing = new PacedConnection();
  for (let round = 0; round < 100; round++) {
    if (pausing.passes(slow) || pausing.passes({ ...slow, isWaiting: false })) t.fail();
  }
});

async function openSockets(t: Assertions): Promise<[Socket, Socket]> {
  const [dialed, socket] = await socketPair();
  t.teardown(() => {
    dialed.destroy();
    socket.destroy();
  });
  return [dialed, socket];
}

test('tcp watch - what the kernel says of a connection', async (t) => {
  const [socket, peer] = await openSockets(t);
  const before = tcpInfo(socket);
  if (before === null) throw new Error('It says nothing');
  t.ok(before.roundTripMsMin !== null && before.roundTripMsMin <= before.roundTripMs);
  t.ok(before.segmentBytes >= 500 && before.segmentBytes < 100_000, `${before.segmentBytes}`);
  // More than fits while the peer does not read: some of it waits.
  socket.write(Buffer.alloc(32 << 20));
  let unsentBytes = 0;
  while (unsentBytes === 0) {
    await setImmediate();
    unsentBytes = tcpInfo(socket)?.unsentBytes ?? -1;
  }
  t.ok(unsentBytes > 0 && unsentBytes < 32 << 20, `${unsentBytes} bytes`);
  let receivedBytes = 0;
  peer.on('data', (data) => {
    receivedBytes += data.length;
    if (receivedBytes === 32 << 20) peer.end();
  });
  await once(socket.resume(), 'end');
  const after = tcpInfo(socket);
  t.is(after?.unsentBytes, 0);
  t.ok((after?.deliveredSegments ?? 0) > before.deliveredSegments);
  socket.destroy();
  t.is(tcpInfo(socket), null, 'nothing once it is closed');
});

test('tcp watch - where everything lies', (t) => {
  const info = Buffer.alloc(196);
  info.writeUInt32LE(1448, 16);
  info.writeUInt32LE(51_500, 68);
  info.writeUInt32LE(7, 100);
  info.writeUInt32LE(9000, 144);
  info.writeUInt32LE(50_250, 148);
  info.writeBigUInt64LE(12_000n, 176);
  info.writeUInt32LE(0xffff_fffe, 192);
  const decoded = {
    roundTripMs: 51.5,
    roundTripMsMin: 50.25,
    segmentBytes: 1448,
    deliveredSegments: 0xffff_fffe,
    repeatedSegments: 7,
    unsentBytes: 9000,
    peerFullMs: 12,
  };
  t.alike(decodeTcpInfo(info), decoded);
  info.writeUInt32LE(0xffff_ffff, 148);
  t.alike(decodeTcpInfo(info), { ...decoded, roundTripMsMin: null });
});

test('tcp watch - looks while there is something to send only', async (t) => {
  const [socket, peer] = await openSockets(t);
  let looks = 0;
  let looked: (() => void) | null = null;
  let info: TcpInfo | null = tcpInfo(socket);
  const watch = new TcpWatch(socket, {
    look: () => {
      looks++;
      process.nextTick(() => looked?.());
      return info;
    },
    waitingConnections: () => 1,
    onSlow: () => t.fail('it is not slow'),
  });
  const nextLook = () =>
    new Promise<void>((resolve) => {
      looked = resolve;
    });
  t.is(looks, 0);
  socket.write('a');
  // Two: the first sees that something was sent.
  await nextLook();
  await nextLook();
  t.absent(watch.isWaiting);
  const rested = looks;
  await sleep(3 * limits.tcp_look_ms);
  t.is(looks, rested, 'nobody looks any more');
  peer.resume();
  info = info && { ...info, unsentBytes: 1 };
  socket.write('b');
  await nextLook();
  t.is(looks, rested + 1);
  t.ok(watch.isWaiting);
  info = null;
  await nextLook();
  t.absent(watch.isWaiting, 'the kernel does not say any more');
});
