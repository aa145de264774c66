/** Extended attributes (xattr(7)) through libc. Names are text, values are bytes. */
import { cPath, declare, type Path } from './syscalls.js';

export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

const setNative = declare('int setxattr(const void *, const void *, const void *, size_t, int)');
const lsetNative = declare('int lsetxattr(const void *, const void *, const void *, size_t, int)');
const getNative = declare('intptr_t getxattr(const void *, const void *, void *, size_t)');
const lgetNative = declare('intptr_t lgetxattr(const void *, const void *, void *, size_t)');
const listNative = declare('intptr_t listxattr(const void *, void *, size_t)');
const llistNative = declare('intptr_t llistxattr(const void *, void *, size_t)');
const removeNative = declare('int removexattr(const void *, const void *)');
const lremoveNative = declare('int lremovexattr(const void *, const void *)');

export function setxattr(path: Path, name: Path, value: Buffer, flags = 0): void {
  setNative(cPath(path), cPath(name), value, value.length, flags);
}

/** Like {@link setxattr}, of a symbolic link itself. */
export function lsetxattr(path: Path, name: Path, value: Buffer, flags = 0): void {
  lsetNative(cPath(path), cPath(name), value, value.length, flags);
}

/** The value. With `room` a buffer of that many bytes is used, and the call fails with ERANGE when it is too small. */
export function getxattr(path: Path, name: Path, room = 65_536): Buffer {
  const value = Buffer.alloc(Math.max(1, room));
  return value.subarray(0, getNative(cPath(path), cPath(name), value, room));
}

export function lgetxattr(path: Path, name: Path): Buffer {
  const value = Buffer.alloc(65_536);
  return value.subarray(0, lgetNative(cPath(path), cPath(name), value, value.length));
}

/** The size of the value, asked for with an empty buffer. */
export function getxattrSize(path: Path, name: Path): number {
  return getNative(cPath(path), cPath(name), null, 0);
}

/** The names, sorted. */
export function listxattr(path: Path, room = 65_536): string[] {
  const names = Buffer.alloc(Math.max(1, room));
  return split(names.subarray(0, listNative(cPath(path), names, room)));
}

export function llistxattr(path: Path): string[] {
  const names = Buffer.alloc(65_536);
  return split(names.subarray(0, llistNative(cPath(path), names, names.length)));
}

export function removexattr(path: Path, name: Path): void {
  removeNative(cPath(path), cPath(name));
}

export function lremovexattr(path: Path, name: Path): void {
  lremoveNative(cPath(path), cPath(name));
}

function split(names: Buffer): string[] {
  return names.toString('latin1').split('\0').slice(0, -1).sort();
}
