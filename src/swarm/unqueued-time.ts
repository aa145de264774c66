/**
 * A clock that stands still while this process waits for a processor that others have. What may take so much each second by
 * it takes the same share of what the process gets, however busy the machine is.
 */
import { readFileSync } from 'node:fs';

/** Of the main thread: nanoseconds on a processor, nanoseconds in the queue for one, turns. */
const SCHEDULING = '/proc/self/schedstat';
const NANOSECONDS_PER_MS = 1e6;

/** Milliseconds, monotonic. Where the kernel does not tell how long a process waits, ordinary ones. */
export function unqueuedMs(): number {
  return performance.now() - queuedMs();
}

let isTold = true;

function queuedMs(): number {
  if (!isTold) return 0;
  try {
    const waited = Number(readFileSync(SCHEDULING, 'latin1').split(' ')[1]);
    if (Number.isFinite(waited)) return waited / NANOSECONDS_PER_MS;
  } catch {
    // Some kernels are built without it; then, and whatever else is wrong with the file, ordinary time will do.
    return untold();
  }
  return untold();
}

function untold(): 0 {
  isTold = false;
  return 0;
}
