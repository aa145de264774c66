import test from 'brittle';
import { type ConnectedHosts, Liveness, notCountedOn } from '../../src/hosts/liveness.js';
import type { Plan } from '../../src/hosts/plan-record.js';
import type { HostState } from '../../src/hosts/wire/hosts-messages.js';
import { sampleStates } from './support/sample-messages.js';

const REPAIR_AFTER_MS = 60_000;
const idle = sampleStates[0] as HostState;

function planOf(count: number): Plan {
  return {
    timeMs: 0,
    repairAfterMs: REPAIR_AFTER_MS,
    scheme: { kind: 'copies', data: 1, parity: 1 },
    epochs: [],
    hosts: Array.from({ length: count }, (_, i) => ({
      id: Buffer.alloc(32, i),
      capacityBytes: 1,
      status: 'active',
      label: '',
    })),
    garbageBlock: null,
  };
}

/** Hosts by their index, with what they say. */
function connected(states: Record<number, Partial<HostState>>): ConnectedHosts {
  return new Map(
    Object.entries(states).map(([index, state]) => [
      Buffer.alloc(32, Number(index)).toString('hex'),
      { ...idle, ...state },
    ]),
  );
}

test('liveness - a host that is away too long is missed, and is not once it is back', (t) => {
  let nowMs = 0;
  const liveness = new Liveness(() => nowMs);
  const plan = planOf(3);
  liveness.look(plan, connected({ 1: {} }));
  for (; nowMs < REPAIR_AFTER_MS; nowMs += 1000) liveness.look(plan, connected({ 1: {} }));
  t.alike(liveness.missed(plan, 0), [], 'not yet');
  t.is(liveness.awayMs(Buffer.alloc(32, 2)), REPAIR_AFTER_MS);
  nowMs += 1;
  t.alike(liveness.missed(plan, 0), [2]);
  t.absent(liveness.missed(plan, 2).includes(2), 'never oneself');
  liveness.look(plan, connected({ 1: {}, 2: {} }));
  t.alike(liveness.missed(plan, 0), []);
  t.is(liveness.awayMs(Buffer.alloc(32, 2)), 0);
});

test('liveness - a machine that slept misses nobody for that', (t) => {
  let nowMs = 0;
  const liveness = new Liveness(() => nowMs);
  const plan = planOf(3);
  liveness.look(plan, connected({}));
  nowMs += 10 * REPAIR_AFTER_MS;
  liveness.look(plan, connected({}));
  t.alike(liveness.missed(plan, 0), []);
});

test('liveness - who left is missed at once, and stays so when it is off', (t) => {
  const liveness = new Liveness(() => 0);
  const plan = planOf(3);
  liveness.look(plan, connected({ 1: { leaving: true } }));
  t.alike(liveness.missed(plan, 0), [1]);
  liveness.look(plan, connected({}));
  t.alike(liveness.missed(plan, 0), [1]);
  liveness.look(plan, connected({ 1: { leaving: false } }));
  t.alike(liveness.missed(plan, 0), []);
});

test('liveness - the majority of those who are connected decides', (t) => {
  const plan = planOf(6);
  const gone = (suspects: number[], states: Record<number, Partial<HostState>>): number[] =>
    [...notCountedOn(plan, 0, new Set(suspects), connected(states))].sort();
  t.alike(gone([5], { 1: {}, 2: {} }), [], 'one of three');
  t.alike(gone([5], { 1: { missed: [5] }, 2: {} }), [5], 'two of three');
  t.alike(gone([5], { 1: {} }), [], 'one of two is no majority');
  t.alike(
    gone([], { 1: { missed: [5] }, 2: { failing: [5] } }),
    [5],
    'missed by one, failing with one',
  );
  t.alike(gone([], { 1: { missed: [0] }, 2: { missed: [0] } }), [], 'never oneself');
  t.alike(gone([], { 1: { leaving: true }, 2: {} }), [1], 'who says so leaves');
  t.alike(gone([1, 2, 3, 4, 5], {}), [1, 2, 3, 4, 5], 'alone');
});
