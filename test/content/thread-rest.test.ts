import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { ThreadRest } from '../../src/content/thread-rest.js';

const REST_MS = 60;

test('thread rest: ends when nothing was asked for the time, counted from the last use', async (t) => {
  let ends = 0;
  const rest = new ThreadRest(() => ends++, REST_MS);
  await sleep(2 * REST_MS);
  t.is(ends, 0, 'there is no thread');
  for (let round = 0; round < 3; round++) {
    rest.used();
    await sleep(REST_MS / 2);
    // On a busy machine it may have ended by now.
    const before = ends;
    const usedMs = performance.now();
    rest.used();
    while (ends === before) await sleep(1);
    t.ok(performance.now() - usedMs >= REST_MS, 'not before the time');
    await sleep(2 * REST_MS);
    t.is(ends, before + 1, 'once');
  }
  const before = ends;
  rest.used();
  rest.stop();
  await sleep(2 * REST_MS);
  t.is(ends, before, 'not one that ended otherwise');
});
