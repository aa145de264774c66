/** flock(2) and the two kinds of fcntl(2) locks through libc. */
import { declare } from './syscalls.js';

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

/** Lock types of `struct flock`. */
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

/** POSIX locks belong to a process, open-file-description (OFD) locks to an open file. */
export type RangeLockKind = 'posix' | 'ofd';

const COMMANDS = {
  posix: { get: 5, set: 6, setAndWait: 7 },
  ofd: { get: 36, set: 37, setAndWait: 38 },
} as const;

const flockNative = declare('int flock(int, int)');
const fcntlNative = declare('int fcntl(int, int, void *)');

/** flock(2); throws EWOULDBLOCK as EAGAIN when LOCK_NB is set and somebody else holds it. */
export function flock(fd: number, operation: number): void {
  flockNative(fd, operation);
}

/** Sets or clears a lock of [offset, offset + length); length 0 means to the end. */
export function setRangeLock(
  kind: RangeLockKind,
  fd: number,
  type: number,
  offset: number,
  length: number,
  wait = false,
): void {
  const commands = COMMANDS[kind];
  fcntlNative(fd, wait ? commands.setAndWait : commands.set, encode(type, offset, length));
}

/** What would be in the way of such a lock: the holder's type and pid, or null. */
export function getRangeLock(
  kind: RangeLockKind,
  fd: number,
  type: number,
  offset: number,
  length: number,
): { type: number; pid: number } | null {
  const lock = encode(type, offset, length);
  fcntlNative(fd, COMMANDS[kind].get, lock);
  const found = lock.readInt16LE(0);
  return found === F_UNLCK ? null : { type: found, pid: lock.readInt32LE(24) };
}

/** `struct flock` of 64-bit Linux: type and whence in 16 bits each, start, length, pid. */
function encode(type: number, offset: number, length: number): Buffer {
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(type, 0);
  lock.writeInt16LE(0, 2);
  lock.writeBigInt64LE(BigInt(offset), 8);
  lock.writeBigInt64LE(BigInt(length), 16);
  return lock;
}
