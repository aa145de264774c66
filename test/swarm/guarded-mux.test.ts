/** What a peer may send at once does not depend on how long this machine takes to handle it. */
import { PassThrough } from 'node:stream';
import test, { type Assertions } from 'brittle';
import type { PeerConnection } from 'hyperswarm';
import { limits } from '../../src/limits.js';
import { GuardedMux, type PeerFault } from '../../src/swarm/guarded-mux.js';
import { frameOf, openOf } from '../hostile/support/attacks.js';

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
