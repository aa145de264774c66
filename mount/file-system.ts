/**
 * The contract between a mount driver and a file system.
 *
 * A driver (the kernel protocol in `kernel/`, or libfuse in `fuse-native/`) decodes what the kernel asks, calls one
 * method of this interface, and encodes the answer. It knows nothing of drives; a file system knows nothing of
 * /dev/fuse. Operations work on inode numbers, as the kernel does, never on paths.
 *
 * Units: sizes and offsets are bytes, held in a `number` (up to 2^53 - 1); inode numbers likewise. Times are split
 * into whole seconds (may be negative) and nanoseconds (0 to 999,999,999).
 */

/** Inode number, 1 to 2^53 - 1. The root directory is {@link ROOT_INO}. */
export type Ino = number;

/** The inode number of the root directory, fixed by the FUSE protocol. */
export const ROOT_INO: Ino = 1;

/**
 * A file name as bytes: one character per byte (Node's `latin1`), because a name need not be UTF-8.
 * Never empty, at most 255 long, without "/" and NUL. A driver refuses others before it calls.
 */
export type ByteName = string;

/** A value now, or a promise of it. A file system answers at once what memory can answer. */
export type Answer<T> = T | Promise<T>;

/** What `stat` shows of an inode. */
export interface Attributes {
  ino: Ino;
  /** Size in bytes; for a symbolic link the length of its target. */
  size: number;
  /** Allocated space in units of 512 bytes. */
  blocks: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  /** Time of birth (statx). */
  btimeSec: number;
  btimeNsec: number;
  /** Type and permission bits, as in `st_mode`. */
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  /** Device number of a character or block device in the kernel's encoding, else 0. */
  rdev: number;
  /** Preferred unit of input and output in bytes. */
  blockSize: number;
}

/** What a name leads to. The kernel may keep both parts for the given times. */
export interface Entry {
  attributes: Attributes;
  /** How long the kernel may remember that the name leads to this inode, in seconds; may be fractional. */
  entryTimeoutSec: number;
  /** How long the kernel may remember the attributes, in seconds; may be fractional. */
  attributesTimeoutSec: number;
}

/** A name that leads nowhere, which the kernel may remember for a time. 0 means: do not remember. */
export interface NegativeEntry {
  attributes: null;
  entryTimeoutSec: number;
}

/** Attributes with the time the kernel may keep them, in seconds. */
export interface TimedAttributes {
  attributes: Attributes;
  attributesTimeoutSec: number;
}

/** Who asks, and whether they still want the answer. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  /** Process (thread) id; 0 where it is in another pid namespace. */
  readonly pid: number;
  /** Aborted when the caller is to end (Ctrl-C). Created on first use: touch it only before a wait. */
  readonly signal: AbortSignal;
}

/** The changes of one `setattr`: absent means unchanged. */
export interface AttributeChanges {
  mode?: number;
  uid?: number;
  gid?: number;
  /** New size in bytes (truncate). */
  size?: number;
  /** Access time; "now" means the file system's clock. */
  atime?: { sec: number; nsec: number } | 'now';
  mtime?: { sec: number; nsec: number } | 'now';
  /** Only from a kernel that owns the times (writeback cache). */
  ctime?: { sec: number; nsec: number };
  /** Set-user-id and set-group-id bits are to be dropped (HANDLE_KILLPRIV_V2). */
  killSuidGid?: boolean;
  /** The open handle the change came through (ftruncate), if any. */
  handle?: number;
}

/** An answer to `open`, `opendir` and `create`. */
export interface OpenAnswer {
  /** Chosen by the file system, passed back on every operation on this open file. 0 to 2^53 - 1. */
  handle: number;
  /** Keep the kernel's page cache of an earlier open; default true. */
  keepCache?: boolean;
  /** Bypass the page cache; default false. */
  directIo?: boolean;
  /** A directory whose listing the kernel may keep; default false. */
  cacheDirectory?: boolean;
}

/** Figures of `statfs`. Sizes in units of `blockSize`. */
export interface FileSystemStatistics {
  blockSize: number;
  blocks: number;
  blocksFree: number;
  blocksAvailable: number;
  files: number;
  filesFree: number;
  nameBytesMax: number;
}

/** Receives the entries of a directory until it is full. */
export interface DirectorySink {
  /** Whether the caller wants attributes with each name (readdirplus): then `addPlus` is called, else `add`. */
  readonly plus: boolean;
  /**
   * Adds a name. `type` is the `S_IFMT` part of the mode; `nextOffset` is what the caller passes to continue behind it.
   * Returns false when it did not fit: stop, and nothing of it was taken.
   */
  add(name: ByteName, ino: Ino, type: number, nextOffset: number): boolean;
  /**
   * Adds a name with what `lookup` would answer; counts as a lookup, except for "." and "..".
   * Returns false when it did not fit.
   */
  addPlus(name: ByteName, entry: Entry, nextOffset: number): boolean;
}

/** `rename` flags of renameat2(2). */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

/** `fallocate` modes of fallocate(2). */
export const FALLOC_KEEP_SIZE = 1;
export const FALLOC_PUNCH_HOLE = 2;
export const FALLOC_ZERO_RANGE = 16;

/** `setxattr` flags of setxattr(2). */
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

/** `lseek` whence values a driver passes on; the kernel does the others itself. */
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

/** What a write request says besides data. */
export interface WriteOptions {
  /** From the kernel's page cache (writeback): the handle may be any open one of the file, the caller unknown. */
  fromPageCache: boolean;
  /** Drop the set-user-id and set-group-id bits. */
  killSuidGid: boolean;
  /** `open` flags of the file (O_APPEND, O_SYNC, O_DSYNC ...) as the request carries them. */
  openFlags: number;
}

/**
 * How a file system tells the kernel that what it remembers is no longer true.
 * Each call is queued and sent from the thread pool, because it can block in the kernel on a lock that a request
 * waiting for our reply holds; never await one while answering a request on the same inode or directory. The one
 * exception is `lseek`: the kernel asks it without writing out what it holds of the file, and `invalidateInode` makes it.
 * The promises end when the kernel has taken the message; an inode the kernel does not know is no error.
 */
export interface KernelNotifier {
  /** Forget cached data in [offset, offset + length) (length 0: to the end) and the attributes of an inode. */
  invalidateInode(ino: Ino, offset: number, length: number): Promise<void>;
  /** Forget attributes only. */
  invalidateAttributes(ino: Ino): Promise<void>;
  /** Forget what a name in a directory leads to. */
  invalidateEntry(parent: Ino, name: ByteName): Promise<void>;
  /** A name was deleted by somebody else: forget it, and tell inotify watchers. */
  deleteEntry(parent: Ino, child: Ino, name: ByteName): Promise<void>;
}

/** What was agreed when the mount came up. */
export interface MountParameters {
  /** The kernel gathers small writes, and owns size and times of files it has cached. */
  writebackCache: boolean;
  /** Bytes of one write or read request at most. */
  requestBytesMax: number;
  /**
   * The kernel goes by POSIX access lists, which it reads and sets as the extended attributes `system.posix_acl_access`
   * and `system.posix_acl_default`. The file system keeps mode and list in step, and lets new inodes inherit.
   */
  posixAcl?: boolean;
}

/**
 * One typed table of operations. Every one is present: what a file system does not have, it refuses itself with an
 * error that {@link FileSystem.errnoOf} maps to ENOSYS or EOPNOTSUPP.
 *
 * Errors are thrown (or rejected); the driver turns them into an errno with `errnoOf`. `Buffer`s passed in are only
 * valid until the method first returns or awaits: copy what is kept. Buffers handed out must not change any more.
 */
export interface FileSystem {
  /** Read by the driver before it mounts: a read-only or followed drive must not have the writeback cache. */
  readonly wantsWritebackCache: boolean;
  readonly readOnly: boolean;
  /** Ask the kernel for {@link MountParameters.posixAcl}. */
  readonly wantsPosixAcl: boolean;
  /**
   * Tell times of birth. The kernel has no place for them where it is told of an inode otherwise: each program that wants
   * them causes one more request for each, and those in Node.js and Rust always want them.
   */
  readonly wantsBirthTimes: boolean;

  /** The mount is up. Called once, before any operation. */
  start(kernel: KernelNotifier, parameters: MountParameters): void;
  /** The mount has ended, for whatever reason; nothing is asked any more. */
  stopped(): void;
  /** Total: any thrown value to a positive errno. Logs what it does not know, and answers EIO. */
  errnoOf(error: unknown, operation: string, ino: Ino): number;

  lookup(parent: Ino, name: ByteName, caller: Caller): Answer<Entry | NegativeEntry>;
  /** The kernel drops `count` of the lookups it was answered. Never fails. */
  forget(ino: Ino, count: number): void;
  getattr(ino: Ino, handle: number | undefined, caller: Caller): Answer<TimedAttributes>;
  setattr(ino: Ino, changes: AttributeChanges, caller: Caller): Answer<TimedAttributes>;
  /** The target of a symbolic link, as bytes. */
  readlink(ino: Ino, caller: Caller): Answer<Buffer>;

  symlink(parent: Ino, name: ByteName, target: Buffer, caller: Caller): Answer<Entry>;
  /**
   * `mode` carries type and permissions; here and below the umask is already applied, except with `posixAcl`: then it is
   * `umask`'s turn, unless the directory has a default list.
   */
  mknod(
    parent: Ino,
    name: ByteName,
    mode: number,
    rdev: number,
    caller: Caller,
    umask?: number,
  ): Answer<Entry>;
  mkdir(parent: Ino, name: ByteName, mode: number, caller: Caller, umask?: number): Answer<Entry>;
  unlink(parent: Ino, name: ByteName, caller: Caller): Answer<void>;
  rmdir(parent: Ino, name: ByteName, caller: Caller): Answer<void>;
  rename(
    parent: Ino,
    name: ByteName,
    newParent: Ino,
    newName: ByteName,
    flags: number,
    caller: Caller,
  ): Answer<void>;
  link(ino: Ino, newParent: Ino, newName: ByteName, caller: Caller): Answer<Entry>;

  /**
   * `flags` as in open(2), without O_CREAT and O_EXCL; O_TRUNC is to be done here (ATOMIC_O_TRUNC). `killSuidGid`: that
   * truncation drops the set-user-id and set-group-id bits (HANDLE_KILLPRIV_V2).
   */
  open(ino: Ino, flags: number, caller: Caller, killSuidGid?: boolean): Answer<OpenAnswer>;
  create(
    parent: Ino,
    name: ByteName,
    mode: number,
    flags: number,
    caller: Caller,
    umask?: number,
  ): Answer<{ entry: Entry; open: OpenAnswer }>;
  /** A file without a name (O_TMPFILE) in the directory's file system. */
  tmpfile(
    parent: Ino,
    mode: number,
    flags: number,
    caller: Caller,
    umask?: number,
  ): Answer<{ entry: Entry; open: OpenAnswer }>;
  /**
   * Up to `length` bytes; fewer only at the end of the file. Several pieces are written out one after the other. What is
   * answered without a promise may be memory that is soon used again: it must be taken before anything is waited for.
   */
  read(
    ino: Ino,
    handle: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Answer<Buffer | Buffer[]>;
  /** Returns the number of bytes taken, which is all of them unless the disk is full. */
  write(
    ino: Ino,
    handle: number,
    offset: number,
    data: Buffer,
    options: WriteOptions,
    caller: Caller,
  ): Answer<number>;
  /**
   * A descriptor of the open file was closed (there may be more). Reports delayed write errors of the file system's
   * own: what the kernel held has been written before. One that has none leaves this out, and is not asked.
   */
  flush?(ino: Ino, handle: number, caller: Caller): Answer<void>;
  /** The last descriptor was closed. Never fails. */
  release(ino: Ino, handle: number, openFlags: number): Answer<void>;
  fsync(ino: Ino, handle: number, dataOnly: boolean, caller: Caller): Answer<void>;
  fallocate(
    ino: Ino,
    handle: number,
    mode: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Answer<void>;
  /** Returns the new offset; throws ENXIO behind the end. */
  lseek(ino: Ino, handle: number, offset: number, whence: number, caller: Caller): Answer<number>;
  /** Returns the bytes copied. */
  copyFileRange(
    ino: Ino,
    handle: number,
    offset: number,
    toIno: Ino,
    toHandle: number,
    toOffset: number,
    length: number,
    caller: Caller,
  ): Answer<number>;

  opendir(ino: Ino, flags: number, caller: Caller): Answer<OpenAnswer>;
  /** Adds entries from `offset` (0: from the start, "." and ".." first) until the sink is full or all are added. */
  readdir(
    ino: Ino,
    handle: number,
    offset: number,
    sink: DirectorySink,
    caller: Caller,
  ): Answer<void>;
  releasedir(ino: Ino, handle: number): Answer<void>;
  fsyncdir(ino: Ino, handle: number, dataOnly: boolean, caller: Caller): Answer<void>;

  /** Extended attribute names are bytes, too. The driver cuts or refuses (ERANGE) for the caller's buffer. */
  getxattr(ino: Ino, name: ByteName, caller: Caller): Answer<Buffer>;
  /** `killsSgid`: an access list that is set takes the set-group-id bit away. */
  setxattr(
    ino: Ino,
    name: ByteName,
    value: Buffer,
    flags: number,
    caller: Caller,
    killsSgid?: boolean,
  ): Answer<void>;
  listxattr(ino: Ino, caller: Caller): Answer<ByteName[]>;
  removexattr(ino: Ino, name: ByteName, caller: Caller): Answer<void>;

  statfs(ino: Ino, caller: Caller): Answer<FileSystemStatistics>;
  syncfs(ino: Ino, caller: Caller): Answer<void>;
}

/** How to mount. */
export interface MountOptions {
  /** An existing, empty directory; absolute. */
  directory: string;
  /** Shown as the device in `mount` and `df`. Control characters and commas are refused by the driver. */
  sourceName: string;
  /** Shown as type `fuse.SUBTYPE`. */
  subtype: string;
  /** Other users than the mounting one may use it. */
  allowOther: boolean;
  /** One line of text for the person who mounts (a stale mount was detached, ...). */
  onNotice: (line: string) => void;
  /** The mount ended without `unmount` being called (somebody ran umount, or the connection was aborted). */
  onEnd: (error: Error | null) => void;
}

/** Counters of a running driver. */
export interface DriverStatistics {
  /** Requests answered, by operation name in lower case. */
  requestsByOperation: Record<string, number>;
  inflightRequests: number;
  malformedRequests: number;
  bytesRead: number;
  bytesWritten: number;
}

/** A mount that answers. */
export interface Mount {
  readonly directory: string;
  statistics(): DriverStatistics;
  /**
   * Unmounts. `force` detaches the directory at once (lazy) even while it is in use. Throws {@link MountBusyError} when
   * it is in use and not forced; the mount then goes on. Resolves when the kernel has let go.
   */
  unmount(options: { force: boolean }): Promise<void>;
}

/** A way to mount a file system. */
export interface MountDriver {
  readonly name: string;
  mount(fileSystem: FileSystem, options: MountOptions): Promise<Mount>;
}
