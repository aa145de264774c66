/**
 * Sizes and field offsets of the structures of `include/uapi/linux/fuse.h`, version 7.45. All fields are in the byte
 * order of the machine; every machine Node runs Linux on is little endian. Offsets are from the structure's start.
 * Where a comment says "then", variable parts follow the structure.
 */

/** fuse_in_header: before every request. */
export const IN_HEADER = {
  SIZE: 40,
  len: 0, // u32, of the whole request
  opcode: 4, // u32
  unique: 8, // u64
  nodeid: 16, // u64
  uid: 24, // u32
  gid: 28, // u32
  pid: 32, // u32
  totalExtlen: 36, // u16, length of the extensions at the end, in units of 8 bytes
} as const;

/** fuse_out_header: before every answer and notification. */
export const OUT_HEADER = {
  SIZE: 16,
  len: 0, // u32, of the whole answer
  error: 4, // i32, 0 or -errno; the code of a notification
  unique: 8, // u64, of the request; 0 in a notification
} as const;

/** fuse_attr. */
export const ATTR = {
  SIZE: 88,
  ino: 0, // u64
  size: 8, // u64
  blocks: 16, // u64
  atime: 24, // i64
  mtime: 32, // i64
  ctime: 40, // i64
  atimensec: 48, // u32
  mtimensec: 52, // u32
  ctimensec: 56, // u32
  mode: 60, // u32
  nlink: 64, // u32
  uid: 68, // u32
  gid: 72, // u32
  rdev: 76, // u32
  blksize: 80, // u32
  flags: 84, // u32
} as const;

/** fuse_entry_out. */
export const ENTRY_OUT = {
  SIZE: 128,
  nodeid: 0, // u64
  generation: 8, // u64
  entryValid: 16, // u64
  attrValid: 24, // u64
  entryValidNsec: 32, // u32
  attrValidNsec: 36, // u32
  attr: 40,
} as const;

/** fuse_attr_out. */
export const ATTR_OUT = { SIZE: 104, attrValid: 0, attrValidNsec: 8, attr: 16 } as const;

/** fuse_statx_out, with fuse_statx in it. */
export const STATX_OUT = {
  SIZE: 288,
  attrValid: 0, // u64
  attrValidNsec: 8, // u32
  mask: 32, // u32
  blksize: 36, // u32
  nlink: 48, // u32
  uid: 52, // u32
  gid: 56, // u32
  mode: 60, // u16
  ino: 64, // u64
  size: 72, // u64
  blocks: 80, // u64
  atime: 96, // fuse_sx_time: i64 seconds, u32 nanoseconds, 4 bytes unused
  btime: 112,
  ctime: 128,
  mtime: 144,
  rdevMajor: 160, // u32
  rdevMinor: 164, // u32
} as const;

/** fuse_statx_in. */
export const STATX_IN = { SIZE: 24, getattrFlags: 0, fh: 8 } as const;

/** fuse_getattr_in. */
export const GETATTR_IN = { SIZE: 16, flags: 0, fh: 8 } as const;

/** fuse_setattr_in. */
export const SETATTR_IN = {
  SIZE: 88,
  valid: 0, // u32
  fh: 8, // u64
  size: 16, // u64
  atime: 32, // i64
  mtime: 40, // i64
  ctime: 48, // i64
  atimensec: 56, // u32
  mtimensec: 60, // u32
  ctimensec: 64, // u32
  mode: 68, // u32
  uid: 76, // u32
  gid: 80, // u32
} as const;

/** fuse_forget_in. */
export const FORGET_IN = { SIZE: 8, nlookup: 0 } as const;
/** fuse_batch_forget_in, then `count` times fuse_forget_one. */
export const BATCH_FORGET_IN = { SIZE: 8, count: 0 } as const;
export const FORGET_ONE = { SIZE: 16, nodeid: 0, nlookup: 8 } as const;

/** fuse_mknod_in, then the name. */
export const MKNOD_IN = { SIZE: 16, mode: 0, rdev: 4, umask: 8 } as const;
/** fuse_mkdir_in, then the name. */
export const MKDIR_IN = { SIZE: 8, mode: 0, umask: 4 } as const;
/** fuse_rename_in, then two names. */
export const RENAME_IN = { SIZE: 8, newdir: 0 } as const;
/** fuse_rename2_in, then two names. */
export const RENAME2_IN = { SIZE: 16, newdir: 0, flags: 8 } as const;
/** fuse_link_in, then the name. */
export const LINK_IN = { SIZE: 8, oldnodeid: 0 } as const;

/** fuse_open_in, also of opendir. */
export const OPEN_IN = { SIZE: 8, flags: 0, openFlags: 4 } as const;
/** fuse_open_out. */
export const OPEN_OUT = { SIZE: 16, fh: 0, openFlags: 8 } as const;
/** fuse_create_in, then the name. */
export const CREATE_IN = { SIZE: 16, flags: 0, mode: 4, umask: 8 } as const;
/** fuse_release_in, also of releasedir. */
export const RELEASE_IN = { SIZE: 24, fh: 0, flags: 8 } as const;
/** fuse_flush_in. */
export const FLUSH_IN = { SIZE: 24, fh: 0 } as const;
/** fuse_read_in, also of readdir and readdirplus. */
export const READ_IN = { SIZE: 40, fh: 0, offset: 8, size: 16, flags: 32 } as const;
/** fuse_write_in, then the data. */
export const WRITE_IN = {
  SIZE: 40,
  fh: 0,
  offset: 8,
  size: 16,
  writeFlags: 20,
  flags: 32,
} as const;
/** fuse_write_out. */
export const WRITE_OUT = { SIZE: 8, size: 0 } as const;
/** fuse_fsync_in, also of fsyncdir. */
export const FSYNC_IN = { SIZE: 16, fh: 0, flags: 8 } as const;
/** fuse_fallocate_in. */
export const FALLOCATE_IN = { SIZE: 32, fh: 0, offset: 8, length: 16, mode: 24 } as const;
/** fuse_lseek_in. */
export const LSEEK_IN = { SIZE: 24, fh: 0, offset: 8, whence: 16 } as const;
/** fuse_lseek_out. */
export const LSEEK_OUT = { SIZE: 8, offset: 0 } as const;
/** fuse_copy_file_range_in. */
export const COPY_FILE_RANGE_IN = {
  SIZE: 56,
  fhIn: 0,
  offIn: 8,
  nodeidOut: 16,
  fhOut: 24,
  offOut: 32,
  len: 40,
  flags: 48,
} as const;
/** fuse_copy_file_range_out, of COPY_FILE_RANGE_64; the older request answers fuse_write_out. */
export const COPY_FILE_RANGE_OUT = { SIZE: 8, bytesCopied: 0 } as const;

/** The first 8 bytes of fuse_setxattr_in, then name and value. */
export const SETXATTR_IN = { SIZE: 8, size: 0, flags: 4 } as const;
/** The whole of it, where SETXATTR_EXT was negotiated. */
export const SETXATTR_EXT_IN = { SIZE: 16, setxattrFlags: 8 } as const;
/** fuse_getxattr_in, also of listxattr (then without a name). */
export const GETXATTR_IN = { SIZE: 8, size: 0 } as const;
/** fuse_getxattr_out, when only the size was asked. */
export const GETXATTR_OUT = { SIZE: 8, size: 0 } as const;

/** fuse_kstatfs. */
export const STATFS_OUT = {
  SIZE: 80,
  blocks: 0, // u64
  bfree: 8, // u64
  bavail: 16, // u64
  files: 24, // u64
  ffree: 32, // u64
  bsize: 40, // u32
  namelen: 44, // u32
  frsize: 48, // u32
} as const;

/** fuse_dirent, then the name, padded to 8 bytes. */
export const DIRENT = { SIZE: 24, ino: 0, off: 8, namelen: 16, type: 20 } as const;
/** fuse_direntplus: an entry_out before a dirent. */
export const DIRENTPLUS = { SIZE: 152, entry: 0, dirent: 128 } as const;

/** fuse_init_in; 16 bytes before version 7.36. */
export const INIT_IN = {
  SIZE: 16,
  EXTENDED_SIZE: 20,
  major: 0, // u32
  minor: 4, // u32
  maxReadahead: 8, // u32
  flags: 12, // u32
  flags2: 16, // u32
} as const;
/** fuse_init_out. */
export const INIT_OUT = {
  SIZE: 64,
  major: 0, // u32
  minor: 4, // u32
  maxReadahead: 8, // u32
  flags: 12, // u32
  maxBackground: 16, // u16
  congestionThreshold: 18, // u16
  maxWrite: 20, // u32
  timeGran: 24, // u32
  maxPages: 28, // u16
  flags2: 32, // u32
} as const;

/** fuse_interrupt_in. */
export const INTERRUPT_IN = { SIZE: 8, unique: 0 } as const;

/** fuse_notify_inval_inode_out. */
export const NOTIFY_INVAL_INODE = { SIZE: 24, ino: 0, off: 8, len: 16 } as const;
/** fuse_notify_inval_entry_out, then the name and NUL. */
export const NOTIFY_INVAL_ENTRY = { SIZE: 16, parent: 0, namelen: 8 } as const;
/** fuse_notify_delete_out, then the name and NUL. */
export const NOTIFY_DELETE = { SIZE: 24, parent: 0, child: 8, namelen: 16 } as const;
