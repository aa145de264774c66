import { mountLimits } from '../../limits.js';
import { INIT_OUT } from './layouts.js';

/** The protocol version this driver speaks. An older kernel's minor version is answered with its own. */
export const PROTOCOL_MAJOR = 7;
export const PROTOCOL_MINOR = 45;
/** Below this (Linux 4.20) there is no MAX_PAGES, and structures are shorter. */
export const PROTOCOL_MINOR_MIN = 28;

/** Where pages are larger, the mount option max_read bounds reads, and max_write writes. */
const PAGE_BYTES = 4096;

/**
 * What the kernel can be asked for (FUSE_INIT flags). Not asked for, on purpose: POSIX_LOCKS and FLOCK_LOCKS (the kernel
 * does locks within one machine itself), EXPORT_SUPPORT (lookups of "." and ".."), NO_OPEN_SUPPORT and NO_OPENDIR_SUPPORT
 * (handles are wanted), SPLICE_* (data is answered from memory).
 */
export const INIT_FLAG = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  EXPLICIT_INVAL_DATA: 1 << 25,
  HANDLE_KILLPRIV_V2: 1 << 28,
  SETXATTR_EXT: 1 << 29,
  INIT_EXT: 1 << 30,
} as const;

/**
 * What access lists take, all or nothing: with POSIX_ACL the kernel goes by them, DONT_MASK leaves the umask to the file
 * system (it does not count in a directory with a default list), SETXATTR_EXT says when a list takes the set-group-id bit.
 */
const ACL_FLAGS = INIT_FLAG.POSIX_ACL | INIT_FLAG.DONT_MASK | INIT_FLAG.SETXATTR_EXT;

/** Flags of the second word, valid with INIT_EXT. */
export const INIT_FLAG_2 = { DIRECT_IO_ALLOW_MMAP: 1 << 4 } as const;

export interface InitRequest {
  major: number;
  minor: number;
  maxReadahead: number;
  flags: number;
  flags2: number;
}

export interface InitAnswer {
  major: number;
  minor: number;
  maxReadahead: number;
  flags: number;
  flags2: number;
  requestBytesMax: number;
  backgroundRequestsMax: number;
}

/**
 * Agrees with the kernel. `writebackCache` asks for it; `readOnly` says that data changes only with a notification, so
 * the kernel need not drop a file's pages because its size has changed. `posixAcl` asks for access lists.
 */
export function negotiate(
  offer: InitRequest,
  wishes: { writebackCache: boolean; readOnly: boolean; posixAcl: boolean },
): InitAnswer {
  let wanted =
    INIT_FLAG.ASYNC_READ |
    INIT_FLAG.ATOMIC_O_TRUNC |
    INIT_FLAG.BIG_WRITES |
    INIT_FLAG.DO_READDIRPLUS |
    INIT_FLAG.READDIRPLUS_AUTO |
    INIT_FLAG.ASYNC_DIO |
    INIT_FLAG.PARALLEL_DIROPS |
    INIT_FLAG.MAX_PAGES |
    INIT_FLAG.CACHE_SYMLINKS |
    INIT_FLAG.HANDLE_KILLPRIV_V2 |
    INIT_FLAG.INIT_EXT;
  if (wishes.writebackCache) wanted |= INIT_FLAG.WRITEBACK_CACHE;
  if (wishes.readOnly) wanted |= INIT_FLAG.EXPLICIT_INVAL_DATA;
  if (wishes.posixAcl && (offer.flags & ACL_FLAGS) === ACL_FLAGS) wanted |= ACL_FLAGS;
  const flags = (offer.flags & wanted) >>> 0;
  return {
    major: PROTOCOL_MAJOR,
    minor: Math.min(offer.minor, PROTOCOL_MINOR),
    maxReadahead: Math.min(offer.maxReadahead, mountLimits.readahead_bytes_max),
    flags,
    flags2: flags & INIT_FLAG.INIT_EXT ? offer.flags2 & INIT_FLAG_2.DIRECT_IO_ALLOW_MMAP : 0,
    requestBytesMax: mountLimits.request_data_bytes_max,
    backgroundRequestsMax: wishes.readOnly
      ? mountLimits.background_requests_reading_max
      : mountLimits.background_requests_max,
  };
}

/** Writes a fuse_init_out at `at`, which is zero before. */
export function encodeInit(view: DataView, at: number, answer: InitAnswer): void {
  view.setUint32(at + INIT_OUT.major, answer.major, true);
  view.setUint32(at + INIT_OUT.minor, answer.minor, true);
  view.setUint32(at + INIT_OUT.maxReadahead, answer.maxReadahead, true);
  view.setUint32(at + INIT_OUT.flags, answer.flags, true);
  view.setUint16(at + INIT_OUT.maxBackground, answer.backgroundRequestsMax, true);
  const congested = answer.backgroundRequestsMax * mountLimits.background_congested_share;
  view.setUint16(at + INIT_OUT.congestionThreshold, congested, true);
  view.setUint32(at + INIT_OUT.maxWrite, answer.requestBytesMax, true);
  view.setUint32(at + INIT_OUT.timeGran, 1, true);
  view.setUint16(at + INIT_OUT.maxPages, answer.requestBytesMax / PAGE_BYTES, true);
  view.setUint32(at + INIT_OUT.flags2, answer.flags2, true);
}
