/** The one place where an error becomes an errno. Total: whatever is thrown gets a number. */
import {
  BusyError,
  DamagedError,
  InterruptedError,
  LimitError,
  NoSpaceError,
  NotFoundError,
  ReadOnlyError,
  UnavailableError,
} from '../errors.js';
import { ERRNO, PosixError } from './posix-error.js';

/** Whether the user should find a line in the log about it: refusals and interruptions are everyday. */
function isWorthALine(error: unknown): boolean {
  return !(
    error instanceof PosixError ||
    error instanceof InterruptedError ||
    error instanceof ReadOnlyError
  );
}

function errnoNumber(error: unknown): number {
  if (error instanceof PosixError) return ERRNO[error.errno];
  if (error instanceof InterruptedError) return ERRNO.EINTR;
  if (error instanceof ReadOnlyError) return ERRNO.EROFS;
  if (error instanceof NoSpaceError) return ERRNO.ENOSPC;
  if (error instanceof UnavailableError) return ERRNO.ETIMEDOUT;
  if (error instanceof DamagedError) return ERRNO.EIO;
  if (error instanceof NotFoundError) return ERRNO.ENOENT;
  if (error instanceof BusyError) return ERRNO.EBUSY;
  if (error instanceof LimitError) return ERRNO.EIO;
  return ERRNO.EIO;
}

/** Maps any thrown value to a positive errno, and writes a line for what is not everyday. */
export function errnoOf(
  error: unknown,
  operation: string,
  ino: number,
  log: (line: string) => void,
): number {
  const errno = errnoNumber(error);
  if (isWorthALine(error)) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    log(`${operation} of inode ${ino} failed with errno ${errno}: ${text}`);
  }
  return errno;
}
