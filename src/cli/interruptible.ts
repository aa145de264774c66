/** Ctrl-C in a command that works by itself, without a mount. */
import { InterruptedError } from '../errors.js';

/** Runs `work` with a signal that SIGINT and SIGTERM abort with InterruptedError. Throws what it throws. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const interrupt = (): void => abort.abort(new InterruptedError('Interrupted'));
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await work(abort.signal);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
