import { setImmediate } from 'node:timers/promises';
import type { Assertions } from 'brittle';

/** Counts the threads that are started from now on, until the test ends: what it returns resolves with how many there were. */
export function countThreads(t: Assertions): () => Promise<number> {
  let threads = 0;
  const count = () => threads++;
  process.on('worker', count);
  t.teardown(() => process.off('worker', count));
  return async () => {
    // Node tells of a thread in the tick after.
    await setImmediate();
    return threads;
  };
}
