import { InterruptedError } from '../errors.js';

/**
 * Ends the wait for `promise` with InterruptedError when `signal` aborts. The work below goes on for others that wait
 * for it.
 *
 * @param what What is waited for, to follow "Interrupted"; for a message.
 */
export async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  what: string,
): Promise<T> {
  if (signal === undefined) return promise;
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(new InterruptedError(`Interrupted${what}`));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (abort !== undefined) signal.removeEventListener('abort', abort);
    // The loser of the race must not become an unhandled rejection.
    promise.catch(() => undefined);
  }
}
