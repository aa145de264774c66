import test from 'brittle';
import { limits } from '../../src/limits.js';
import { PeerFaults } from '../../src/swarm/peer-faults.js';
import { TokenBucket } from '../../src/swarm/token-bucket.js';

const peer = (n: number) => Buffer.alloc(32, n);
const hostile = { reason: 'it lies', isHostile: true };
const unlucky = { reason: 'it failed', isHostile: false };

test('peer faults - who is hostile again and again is kept out, who fails is not', (t) => {
  const lines: string[] = [];
  const faults = new PeerFaults((line) => lines.push(line));
  for (let i = 1; i < limits.peer_faults_max; i++) t.absent(faults.add(peer(1), 'a:1', hostile));
  for (let i = 0; i < 5; i++) t.absent(faults.add(peer(2), 'a:2', unlucky));
  t.ok(faults.add(peer(1), 'a:1', hostile));
  t.is(lines[0], 'Dropped peer 01010101 at a:1: it lies');
  t.is(lines.at(-1), 'Dropped peer 01010101 at a:1: it lies; it is not let in again');
});

test('peer faults - lines are bounded, and what was left out is told', (t) => {
  const lines: string[] = [];
  let nowMs = 5;
  const faults = new PeerFaults(
    (line) => lines.push(line),
    () => nowMs,
  );
  const extra = 7;
  for (let i = 0; i < limits.peer_log_lines_max + extra; i++) faults.add(peer(i), 'a:1', hostile);
  t.is(lines.length, limits.peer_log_lines_max);
  nowMs += limits.peer_log_stretch_ms + 1;
  faults.note(peer(9), 'it is slow');
  t.is(lines.at(-1), `Dropped peer 09090909 for now: it is slow (${extra} such lines left out)`);
});

test('token bucket - a burst, then so much each second', (t) => {
  let nowMs = 0;
  const bucket = new TokenBucket(10, 4, () => nowMs);
  t.ok(bucket.take(10));
  t.absent(bucket.take());
  nowMs = 500;
  t.absent(bucket.take(3), 'too much at once');
  t.ok(bucket.take(2));
  t.absent(bucket.take());
  nowMs = 3_600_000;
  t.absent(bucket.take(11), 'never more than the burst');
  t.ok(bucket.take(10));
});
