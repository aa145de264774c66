import test from 'brittle';
import { Capacity } from '../../src/hosts/capacity.js';
import { RateBudget } from '../../src/hosts/rate-budget.js';
import { limits } from '../../src/limits.js';

const MIB = 1 << 20;

test('rate budget - lets so much through a second, and no more for having rested', async (t) => {
  let nowMs = 0;
  const budget = new RateBudget(1000, () => nowMs);
  const never = new AbortController();
  const aborted = AbortSignal.abort(new Error('no time'));
  nowMs = 60_000;
  await budget.take(1000, never.signal);
  // What was taken is paid for by the second before; more has to wait.
  await budget.take(500, never.signal);
  await t.exception(budget.take(1, aborted));
  nowMs += 499;
  await t.exception(budget.take(1, aborted));
  nowMs += 10;
  await budget.take(1, never.signal);
  t.pass('and goes on once it is paid for');
});

function capacityOf(used: () => number, diskFree = Number.MAX_SAFE_INTEGER): Capacity {
  return new Capacity({
    capacityBytes: 100 * MIB,
    reserveBytes: 10 * MIB,
    measure: async () => used(),
    diskFreeBytes: async () => diskFree,
  });
}

test('capacity - what is on its way counts, and what did not come does not', async (t) => {
  let used = 20 * MIB;
  const capacity = capacityOf(() => used);
  await capacity.measure();
  t.is(capacity.freeBytes, 70 * MIB);
  const fitting = await capacity.claim(100, MIB);
  t.is(fitting, 69, 'with something for keys and hashes');
  t.ok(capacity.freeBytes < MIB);
  t.is(await capacity.claim(1, MIB), 0);
  capacity.settle(fitting, 30, MIB);
  t.ok(capacity.freeBytes > 39 * MIB && capacity.freeBytes < 40 * MIB);
  used = 50 * MIB;
  await capacity.measure();
  t.is(capacity.freeBytes, 40 * MIB, 'measured, nothing counts twice');
});

test('capacity - ends where the disk does', async (t) => {
  const capacity = capacityOf(() => 0, limits.store_reserve_bytes + 5 * MIB);
  await capacity.measure();
  t.is(capacity.freeBytes, 5 * MIB);
  t.is(await capacity.claim(10, MIB), 4);
});
