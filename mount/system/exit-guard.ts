import { exitNow } from './libc.js';

/** What is still to be done when the process exits with mounts up. */
const leftovers = new Set<() => void>();

/** The last error that nobody caught. */
let uncaught: { error: unknown } | null = null;

/**
 * Runs `cleanUp` when the process exits with this mount up. Returns how to call that off.
 *
 * Without this, `process.exit()` would hang: it joins the threads of the pool, of which one waits in the kernel for the
 * next request of the mount. So after every other listener of "exit" the process ends without joining.
 */
export function guardExit(cleanUp: () => void): () => void {
  if (leftovers.size === 0) {
    process.on('exit', leave);
    process.on('uncaughtExceptionMonitor', remember);
  }
  leftovers.add(cleanUp);
  return () => {
    leftovers.delete(cleanUp);
    if (leftovers.size > 0) return;
    process.off('exit', leave);
    process.off('uncaughtExceptionMonitor', remember);
  };
}

function remember(error: unknown): void {
  uncaught = { error };
}

function leave(code: number): void {
  const listeners = process.listeners('exit');
  for (const later of listeners.slice(listeners.indexOf(leave) + 1)) later.call(process, code);
  for (const cleanUp of leftovers) cleanUp();
  // Node prints what ends the process after "exit", which this does not return from. Where somebody listens, that is no end.
  if (uncaught !== null && process.listenerCount('uncaughtException') === 0) {
    console.error(uncaught.error);
  }
  exitNow(Number(process.exitCode ?? code));
}
