/**
 * System calls that Node's `fs` lacks, called in libc through koffi. Paths are bytes: a Buffer is passed as it is, a
 * string as UTF-8. A call that fails throws an error with Node's fields `code`, `errno` and `syscall`.
 */
import { constants } from 'node:fs';
import { errno as errnoNow, load, os } from 'koffi';

/** A path as text or as bytes. */
export type Path = string | Buffer;

const libc = load(null);

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_SYMLINK_FOLLOW = 0x400;
const AT_EMPTY_PATH = 0x1000;

/** `utimensat` values for "now" and "leave as it is". */
export const UTIME_NOW = (1 << 30) - 1;
export const UTIME_OMIT = (1 << 30) - 2;

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

export const FALLOC_KEEP_SIZE = 1;
export const FALLOC_PUNCH_HOLE = 2;
export const FALLOC_ZERO_RANGE = 16;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

/** Flag of open(2) for a file without a name. */
export const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

const PC_NAME_MAX = 3;

/** A failed system call, shaped like the errors of Node's `fs`. */
export class SyscallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = errnoName(errno);
    super(`${code}: ${syscall}`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}

/** The name of an error number: 2 gives "ENOENT". */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(os.errno)) {
    if (value === errno && name !== 'EWOULDBLOCK' && name !== 'ENOTSUP') return name;
  }
  return `errno ${errno}`;
}

/** A path as bytes with the NUL that C wants. */
export function cPath(path: Path): Buffer {
  return Buffer.concat([Buffer.from(path as string), Buffer.of(0)]);
}

type Native = (...args: unknown[]) => number;

/** Declares a libc function by its C prototype. The result is checked: -1 throws a {@link SyscallError}. */
export function declare(prototype: string): Native {
  const native = libc.func(prototype);
  const name = /(\w+)\(/.exec(prototype)?.[1] ?? prototype;
  return (...args) => {
    const result: unknown = native(...args);
    // A directory position may be beyond 2^53; nobody uses such a result.
    if (typeof result === 'bigint') return Number(result);
    if (typeof result !== 'number') throw new Error(`Call of '${name}' returned no number`);
    if (result === -1) throw new SyscallError(name, errnoNow());
    return result;
  };
}

const renameat2Native = declare(
  'int renameat2(int, const void *, int, const void *, unsigned int)',
);
const fallocateNative = declare('int fallocate(int, int, int64_t, int64_t)');
const lseekNative = declare('int64_t lseek(int, int64_t, int)');
const truncateNative = declare('int truncate(const void *, int64_t)');
const ftruncateNative = declare('int ftruncate(int, int64_t)');
const copyFileRangeNative = declare(
  'intptr_t copy_file_range(int, void *, int, void *, size_t, unsigned int)',
);
const utimensatNative = declare('int utimensat(int, const void *, const void *, int)');
const futimensNative = declare('int futimens(int, const void *)');
const mknodNative = declare('int mknod(const void *, unsigned int, uint64_t)');
const linkatNative = declare('int linkat(int, const void *, int, const void *, int)');
const syncfsNative = declare('int syncfs(int)');
const pathconfNative = declare('intptr_t pathconf(const void *, int)');
const umaskNative = declare('unsigned int umask(unsigned int)');

/** renameat2(2) with the current directory as base. */
export function rename(from: Path, to: Path, flags: number): void {
  renameat2Native(AT_FDCWD, cPath(from), AT_FDCWD, cPath(to), flags);
}

export function fallocate(fd: number, mode: number, offset: number, length: number): void {
  fallocateNative(fd, mode, offset, length);
}

/** lseek(2); returns the new offset in bytes. */
export function lseek(fd: number, offset: number, whence: number): number {
  return lseekNative(fd, offset, whence);
}

/** truncate(2), also with a size that Node would clamp. */
export function truncate(path: Path, size: number | bigint): void {
  truncateNative(cPath(path), size);
}

/** ftruncate(2), also with a size that Node would clamp. */
export function ftruncate(fd: number, size: number | bigint): void {
  ftruncateNative(fd, size);
}

/** copy_file_range(2) at explicit offsets; returns the bytes copied, which may be fewer than asked. */
export function copyFileRange(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): number {
  return copyFileRangeNative(from, int64(fromOffset), to, int64(toOffset), length, 0);
}

/** A time for `utimensat`; `nsec` may be {@link UTIME_NOW} or {@link UTIME_OMIT}. */
export interface TimeSpec {
  sec: number;
  nsec: number;
}

/** utimensat(2); with `follow` false a symbolic link itself is changed. */
export function utimensat(path: Path, atime: TimeSpec, mtime: TimeSpec, follow = true): void {
  utimensatNative(AT_FDCWD, cPath(path), timeSpecs(atime, mtime), follow ? 0 : AT_SYMLINK_NOFOLLOW);
}

export function futimens(fd: number, atime: TimeSpec, mtime: TimeSpec): void {
  futimensNative(fd, timeSpecs(atime, mtime));
}

/** mknod(2): `mode` with the type bits, `device` in the kernel's encoding. */
export function mknod(path: Path, mode: number, device = 0): void {
  mknodNative(cPath(path), mode, device);
}

/** linkat(2): a new name for `from`; a symbolic link is followed only when asked. */
export function link(from: Path, to: Path, follow = false): void {
  linkatNative(AT_FDCWD, cPath(from), AT_FDCWD, cPath(to), follow ? AT_SYMLINK_FOLLOW : 0);
}

/** Gives an open file a name (linkat with AT_EMPTY_PATH). Needs CAP_DAC_READ_SEARCH. */
export function linkOpenFile(fd: number, to: Path): void {
  linkatNative(fd, cPath(''), AT_FDCWD, cPath(to), AT_EMPTY_PATH);
}

/** syncfs(2) of the file system that holds the open file. */
export function syncfs(fd: number): void {
  syncfsNative(fd);
}

/** The longest file name in a directory, in bytes. */
export function nameBytesMax(directory: Path): number {
  return pathconfNative(cPath(directory), PC_NAME_MAX);
}

/** Runs a function under a umask and puts the old one back. */
export function withUmask<T>(mask: number, run: () => T): T {
  const before = umaskNative(mask);
  try {
    return run();
  } finally {
    umaskNative(before);
  }
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

function timeSpecs(atime: TimeSpec, mtime: TimeSpec): Buffer {
  const bytes = Buffer.alloc(32);
  [atime, mtime].forEach((time, index) => {
    bytes.writeBigInt64LE(BigInt(time.sec), index * 16);
    bytes.writeBigInt64LE(BigInt(time.nsec), index * 16 + 8);
  });
  return bytes;
}
