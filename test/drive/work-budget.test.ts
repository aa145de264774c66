import { test } from 'brittle';
import { WorkBudget } from '../../src/drive/work-budget.js';

test('work budget - how long it rests may depend on what else there is to do', async (t) => {
  let restMs = 0;
  const { pause } = new WorkBudget(() => ({ workMs: 0, restMs }));
  await pause();
  restMs = 40;
  const beganMs = performance.now();
  await pause();
  // Timers may be early by a fraction of a millisecond.
  t.ok(performance.now() - beganMs > 38);
});

test('work budget - works on until its time is up, and ends when it is told to', async (t) => {
  const abort = new AbortController();
  const { pause } = new WorkBudget({ workMs: 3_600_000, restMs: 0 }, abort.signal);
  t.is(pause(), undefined);
  abort.abort(new Error('the end'));
  t.exception(() => pause(), /the end/);
});
