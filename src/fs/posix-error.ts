/** Refusals that POSIX names: the file system says no, and nothing is wrong. */
import { ShoalError } from '../errors.js';

/** Errno names this file system answers with, and their Linux numbers. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ENODATA: 61,
  EOPNOTSUPP: 95,
  ESTALE: 116,
  ETIMEDOUT: 110,
} as const;

export type ErrnoName = keyof typeof ERRNO;

/**
 * A refusal with its errno. They are everyday answers ("no such file"), so no stack is taken: that would cost more
 * than the rest of a look-up.
 */
export class PosixError extends ShoalError {
  readonly errno: ErrnoName;

  constructor(errno: ErrnoName) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(errno);
    Error.stackTraceLimit = limit;
    this.errno = errno;
  }
}
