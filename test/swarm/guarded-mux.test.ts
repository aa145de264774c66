/** What a peer may send at once does not depend on how long this machine takes to handle it. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import test, { type Assertions } from 'brittle';
import type { PeerConnection } from 'hyperswarm';
import { limits } from '../../src/limits.js';
import { GuardedMux, type PeerFault } from '../../src/swarm/guarded-mux.js';
import { frameOf, openOf } from '../hostile/support/attacks.js';
import { peerPair } from './support/socket-pair.js';

/** The frames in which a peer opens so many channels, each a batch. */
function framesOfOpens(batches: number[]): Buffer[] {
  let id = 0;
  return batches.map((count) =>
    frameOf(
      Array.from({ length: count }, () => openOf(++id)),
      0,
    ),
  );
}

/** A multiplexer on a machine on which every look at the clock takes a second. */
function slowMux(t: Assertions): { receive(frame: Buffer): void; faults: PeerFault[] } {
  let nowMs = 0;
  const tick = () => {
    nowMs += 1000;
    return nowMs;
  };
  const faults: PeerFault[] = [];
  const connection = new PassThrough();
  t.teardown(() => connection.destroy());
  // A multiplexer uses its connection as a stream only.
  const mux = new GuardedMux(
    connection as unknown as PeerConnection,
    (fault) => faults.push(fault),
    () => null,
    tick,
  );
  t.ok(mux.drained);
  return { receive: (frame) => connection.emit('data', frame), faults };
}

/** A second passes before the first frame. */
const FIRST_OPENS_MAX = limits.peer_channels_burst_max + limits.peer_channels_per_second_max;

test('guarded mux - what one frame holds came at once, however long it takes', (t) => {
  const [frame] = framesOfOpens([FIRST_OPENS_MAX + 1]);
  const { receive, faults } = slowMux(t);
  receive(frame as Buffer);
  t.alike(
    faults.map(({ reason }) => reason),
    ['it opens one channel after the other'],
  );
});

test('guarded mux - what comes later may be more', (t) => {
  const perSecond = limits.peer_channels_per_second_max;
  const frames = framesOfOpens([FIRST_OPENS_MAX, perSecond, perSecond + 1]);
  const { receive, faults } = slowMux(t);
  receive(frames[0] as Buffer);
  receive(frames[1] as Buffer);
  t.is(faults.length, 0);
  receive(frames[2] as Buffer);
  t.is(faults.length, 1);
});

test('guarded mux - messages that are for nobody have a price, too', (t) => {
  const { receive, faults } = slowMux(t);
  const frameWith = (count: number) =>
    frameOf(
      Array.from({ length: count }, () => Buffer.of(0)),
      77,
    );
  receive(frameWith(limits.peer_messages_burst_max));
  t.is(faults.length, 0);
  // What a second allows that passed before it comes on top.
  receive(frameWith(limits.peer_messages_burst_max + limits.peer_messages_per_second_max));
  t.alike(
    faults.map(({ reason }) => reason),
    ['it sends one message after the other'],
  );
});

test('guarded mux - a peer that has proved nothing sends no large frame', async (t) => {
  const fits = await receiving(t);
  fits.peer.write(headerOf(limits.peer_first_frames_bytes_max));
  fits.peer.write(Buffer.alloc(1000));
  const tooLarge = await receiving(t);
  tooLarge.peer.write(headerOf(limits.peer_first_frames_bytes_max + 1));
  await tooLarge.end;
  t.is(tooLarge.faults.length, 1);
  t.ok(/a frame of more than/.test(tooLarge.faults[0]?.reason ?? ''));
  t.is(fits.faults.length, 0);
});

test('guarded mux - nor one that begins before anybody knows of the connection', async (t) => {
  for (const bytes of [
    limits.peer_first_frames_bytes_max,
    limits.peer_first_frames_bytes_max + 1,
  ]) {
    const [there, here] = await openPair(t);
    (there.rawStream as Socket).write(Buffer.concat([headerOf(bytes), Buffer.alloc(1000)]));
    // What the transport itself sends at its beginning is less.
    for (let came = 0; came < 1000; ) {
      const [data] = (await once(here.rawStream as Socket, 'data')) as [Buffer];
      came += data.length;
    }
    const isTooLarge = bytes > limits.peer_first_frames_bytes_max;
    const faults: PeerFault[] = [];
    const end = once(here, 'close');
    t.ok(new GuardedMux(here, (fault) => faults.push(fault)).drained);
    if (isTooLarge) await end;
    t.is(faults.length, isTooLarge ? 1 : 0);
    t.is(/a frame of more than/.test(faults[0]?.reason ?? ''), isTooLarge);
  }
});

async function openPair(t: Assertions) {
  const [there, here] = await peerPair();
  for (const stream of [there, here]) {
    stream.on('error', () => undefined);
    t.teardown(() => stream.destroy());
  }
  await Promise.all([here.opened, there.opened]);
  return [there, here] as const;
}

/** A connection with a peer of which what it writes to its socket comes here as it is. */
async function receiving(t: Assertions) {
  const [there, here] = await openPair(t);
  const faults: PeerFault[] = [];
  const end = once(here, 'close');
  const mux = new GuardedMux(here, (fault) => faults.push(fault));
  t.ok(mux.drained);
  return { peer: there.rawStream as Socket, faults, end };
}

/** The length of a frame, as its transport sends it. */
function headerOf(bytes: number): Buffer {
  const header = Buffer.alloc(3);
  header.writeUIntLE(bytes, 0, 3);
  return header;
}
