import { exitNow } from './libc.js';

/** What is still to be done when the process exits with mounts up. */
const leftovers = new Set<() => void>();

/**
 * Runs `cleanUp` when the process exits with this mount up. Returns how to call that off.
 *
 * Without this, `process.exit()` would hang: it joins the threads of the pool, of which one waits in the kernel for the
 * next request of the mount. So after every other listener of "exit" the process ends without joining.
 */
export function guardExit(cleanUp: () => void): () => void {
  if (leftovers.size === 0) process.on('exit', leave);
  leftovers.add(cleanUp);
  return () => {
    leftovers.delete(cleanUp);
    if (leftovers.size === 0) process.off('exit', leave);
  };
}

function leave(code: number): void {
  const listeners = process.listeners('exit');
  for (const later of listeners.slice(listeners.indexOf(leave) + 1)) later.call(process, code);
  for (const cleanUp of leftovers) cleanUp();
  exitNow(Number(process.exitCode ?? code));
}
