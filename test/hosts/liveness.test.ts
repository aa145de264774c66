import test from 'brittle';
import { decodeAbsences, encodeAbsences } from '../../src/hosts/absences.js';
import { type ConnectedHosts, Liveness, notCountedOn } from '../../src/hosts/liveness.js';
import type { Plan } from '../../src/hosts/plan-record.js';
import type { HostState } from '../../src/hosts/wire/hosts-messages.js';
import { limits } from '../../src/limits.js';
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
  const liveness = new Liveness(new Map(), () => nowMs);
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

test('liveness - how long a host was away before a restart counts, but for the time to come back', (t) => {
  let nowMs = 0;
  const plan = { ...planOf(3), repairAfterMs: 24 * 3600_000 };
  const away = Buffer.alloc(32, 2);
  const first = new Liveness(new Map(), () => nowMs);
  const step = (
    liveness: Liveness,
    ms: number,
    hosts: Record<number, Partial<HostState>>,
  ): void => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 1000) {
      liveness.look(plan, connected(hosts));
    }
  };
  step(first, 23 * 3600_000, { 0: {}, 1: {} });
  const stored = encodeAbsences([['ab'.repeat(32), first.absences]]);
  const [absences] = decodeAbsences(JSON.parse(JSON.stringify(stored))).values();
  t.alike(
    [...(absences ?? [])].map(([id]) => id),
    [away.toString('hex')],
  );
  const second = new Liveness(absences, () => nowMs);
  step(second, 3590_000, { 0: {}, 1: {} });
  t.alike(second.missed(plan, 0), []);
  step(second, 20_000, { 0: {}, 1: {} });
  t.alike(second.missed(plan, 0), [2]);
  // The longest absence ends no sooner than it takes to connect after a start.
  const third = new Liveness(new Map([[away.toString('hex'), 1e12]]), () => nowMs);
  step(third, limits.reconnect_grace_ms - 10_000, { 0: {}, 1: {} });
  t.alike(third.missed(plan, 0), []);
  step(third, 20_000, { 0: {}, 1: {} });
  t.alike(third.missed(plan, 0), [2]);
  step(third, 1000, { 0: {}, 1: {}, 2: {} });
  t.is(third.absences.get(away.toString('hex')), 1000, 'it begins anew');
});

test('liveness - absences in a file that are none are left out', (t) => {
  const id = 'ab'.repeat(32);
  for (const value of [null, 7, 'x', [], { x: { [id]: 9 } }, { [id]: null }, { [id]: { x: 1 } }]) {
    t.is(decodeAbsences(value).size, 0, JSON.stringify(value));
  }
  const found = decodeAbsences({ [id]: { [id]: 70_000, ['cd'.repeat(32)]: -1 } });
  t.alike([...(found.get(id) ?? [])], [[id, 70_000]]);
});

test('liveness - a machine that slept misses nobody for that', (t) => {
  let nowMs = 0;
  const liveness = new Liveness(new Map(), () => nowMs);
  const plan = planOf(3);
  liveness.look(plan, connected({}));
  nowMs += 10 * REPAIR_AFTER_MS;
  liveness.look(plan, connected({}));
  t.alike(liveness.missed(plan, 0), []);
});

test('liveness - who left is missed at once, and stays so when it is off', (t) => {
  const liveness = new Liveness(new Map(), () => 0);
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
