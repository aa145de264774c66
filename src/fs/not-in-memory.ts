/**
 * How operations stay atomic without locks.
 *
 * An operation is a plain function over what is in memory: it looks up all it needs first, then changes, and nothing
 * else runs in between. A look-up that finds something not in memory throws {@link NotInMemory} with a promise that
 * brings it there; {@link withMemory} waits for it and runs the operation again from the start.
 * The rule for writers of operations: no change before the last look-up.
 */
import { setImmediate } from 'node:timers/promises';
import { LimitError } from '../errors.js';
import { untilAborted } from '../log/until-aborted.js';

/** Thrown by look-ups, caught by {@link withMemory}. Not an error: no stack is taken. */
export class NotInMemory {
  readonly loading: Promise<unknown>;

  constructor(loading: Promise<unknown>) {
    this.loading = loading;
  }
}

/** Each round brings at least one thing into memory; a program cannot need more at once. */
const ROUNDS_MAX = 10_000;
const ROUNDS_PER_TURN = 64;

/** The part of a caller that matters here. `signal` is only touched before a wait. */
export interface Waiter {
  readonly signal: AbortSignal;
}

/**
 * Runs `attempt` until it finds all it needs in memory. Answers at once where nothing had to be loaded.
 * Throws what the attempt or a loader throws, and InterruptedError when the caller gives up.
 */
export function withMemory<T>(attempt: () => T, waiter: Waiter | null): T | Promise<T> {
  try {
    return attempt();
  } catch (missing) {
    if (!(missing instanceof NotInMemory)) throw missing;
    return loadAndRetry(attempt, missing, waiter);
  }
}

async function loadAndRetry<T>(
  attempt: () => T,
  first: NotInMemory,
  waiter: Waiter | null,
): Promise<T> {
  let missing = first;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    await untilInterrupted(missing.loading, waiter);
    // What is loaded from memory ends without the event loop: commits and timers must get their turn.
    if (round % ROUNDS_PER_TURN === ROUNDS_PER_TURN - 1) await setImmediate();
    try {
      return attempt();
    } catch (again) {
      if (!(again instanceof NotInMemory)) throw again;
      missing = again;
    }
  }
  throw new LimitError('Cannot bring an operation to an end: what it needs never stays in memory');
}

/** Waits for `promise`, but not for longer than the caller does. The work goes on for others. */
export function untilInterrupted<T>(promise: Promise<T>, waiter: Waiter | null): Promise<T> {
  return untilAborted(promise, waiter?.signal, '');
}
