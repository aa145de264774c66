/** Lets others have their turn in a long computation. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { limits } from '../limits.js';

/** A function to be called now and then, which waits for the next turn of the event loop once it has worked for a while. */
export function workPause(): () => Promise<void> | undefined {
  let beganMs = performance.now();
  return () => {
    if (performance.now() - beganMs < limits.host_work_ms) return undefined;
    return nextTurn().then(() => {
      beganMs = performance.now();
    });
  };
}
