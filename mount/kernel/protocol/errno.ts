/** The error numbers (Linux) that the driver itself answers or looks for. */
export const ERRNO = {
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  EBUSY: 16,
  ENODEV: 19,
  ENOTDIR: 20,
  EINVAL: 22,
  EFBIG: 27,
  ENXIO: 6,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ECONNABORTED: 103,
  ENOTCONN: 107,
} as const;
