/** An exclusive lock on a file (flock(2)) that ends with its process, however that ends. */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { EnvironmentError } from '../errors.js';

const LOCK_EXCLUSIVE = 2;
const LOCK_NON_BLOCKING = 4;

let flockFunction: ((descriptor: number, operation: number) => number) | null = null;

function flock(descriptor: number, operation: number): number {
  // A null library is the program itself, which is linked with the C library on every system.
  flockFunction ??= koffi.load(null).func('int flock(int, int)') as (
    descriptor: number,
    operation: number,
  ) => number;
  return flockFunction(descriptor, operation);
}

/**
 * Opens (and creates, 0600) a file and locks it. Returns its descriptor, which must be closed to let go, or null when
 * another process has the lock. Node opens with close-on-exec, so children do not keep it. Throws EnvironmentError
 * where the file system has no locks.
 */
export function tryLockFile(path: string): number | null {
  // "a+" neither truncates what the holder wrote nor fails when the file is new.
  const descriptor = openSync(path, 'a+', 0o600);
  try {
    if (flock(descriptor, LOCK_EXCLUSIVE | LOCK_NON_BLOCKING) === 0) return descriptor;
    const errno = koffi.errno();
    closeSync(descriptor);
    if (errno === koffi.os.errno.EAGAIN || errno === koffi.os.errno.EINTR) return null;
    throw new EnvironmentError(
      `Cannot lock '${path}': the file system refused (errno ${errno}); keep SHOAL_HOME on a local disk`,
    );
  } catch (error) {
    if (!(error instanceof EnvironmentError)) closeSync(descriptor);
    throw error;
  }
}
