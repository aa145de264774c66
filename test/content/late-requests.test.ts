import test from 'brittle';
import type Hypercore from 'hypercore';
import type { PendingBlock, ReplicatorPeer } from 'hypercore';
import { hedge_ms, LateRequests } from '../../src/content/late-requests.js';

const peer = {} as ReplicatorPeer;

/** A log with as much as is used of it, whose library would ask a second peer for all these blocks. */
function logWith(blocks: PendingBlock[]) {
  const listeners: ((index: number, bytes: number, from: object) => void)[] = [];
  const hotswaps = { pick: (_peer: ReplicatorPeer): Iterable<PendingBlock> => blocks };
  const core = {
    replicator: { hotswaps },
    on: (_event: string, listener: (typeof listeners)[number]) => listeners.push(listener),
    removeListener: (_event: string, listener: (typeof listeners)[number]) =>
      listeners.splice(listeners.indexOf(listener), 1),
  };
  const late = new LateRequests(core as unknown as Hypercore);
  late.apply();
  late.apply();
  return {
    late,
    listeners,
    /** The blocks that are asked of a second peer. */
    pick: () => {
      const picked: number[] = [];
      for (const block of hotswaps.pick(peer)) {
        picked.push(block.index);
        (block.inflight as unknown[]).push({ peer, timestamp: Date.now() });
      }
      return picked;
    },
    hear: (from: object) => {
      for (const listener of listeners) listener(0, 1, from);
    },
  };
}

function blockOf(index: number, owing: object, ageMs: number, waiting = 0): PendingBlock {
  const request = { peer: owing as ReplicatorPeer, timestamp: Date.now() - ageMs };
  return { index, inflight: [request], refs: Array(waiting).fill({}) };
}

test('late requests - a block is asked of a second peer only when it is late', (t) => {
  const [busy, silent] = [{}, {}];
  const log = logWith([
    blockOf(1, silent, 0, 1),
    blockOf(2, busy, 2 * hedge_ms),
    blockOf(3, busy, 2 * hedge_ms, 1),
    blockOf(4, silent, 2 * hedge_ms),
    blockOf(5, busy, 100 * hedge_ms),
  ]);
  log.hear(busy);
  t.alike(
    log.pick(),
    [3, 4, 5],
    'one that is waited for, one of a silent peer, and a very late one',
  );
  t.alike(log.pick(), [], 'now each is under way again');
  log.late.close();
  t.is(log.listeners.length, 0);
});

test('late requests - asking twice is bounded by what comes', (t) => {
  const frozen = {};
  const many = Array.from({ length: 500 }, (_, index) => blockOf(index, frozen, 2 * hedge_ms));
  const log = logWith(many);
  const first = log.pick().length;
  t.ok(first >= 16 && first <= 64, `${first} of what a frozen peer owes`);
  t.is(log.pick().length, 0);
  for (let i = 0; i < 80; i++) log.hear({});
  t.is(log.pick().length, 10, 'one for each eight that came');
});
