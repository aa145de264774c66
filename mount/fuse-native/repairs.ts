/** Faults of fuse-native 2.2.6 that would lose or show wrong data, repaired on one mount of it. */
import { constants } from 'node:os';
import type { PackageMount, PackageOperations, Signal } from './fuse-native-package.js';
import { PathError } from './path-error.js';

const { ERANGE, ENODATA } = constants.errno;

/** The package's number of the operation. */
const UTIMENS = 12;

/**
 * Where its record of a request (`fuse_thread_locals_t`, 64-bit) has both times in milliseconds. The record is a Buffer,
 * since the package allocates it in JavaScript.
 */
const RECORD_ATIME_AT = 104;
const RECORD_MTIME_AT = 112;

/** `mountOptions`: words of `-o`. */
export function repair(
  mount: PackageMount,
  operations: PackageOperations,
  mountOptions: readonly string[],
): void {
  // Its own list lacks use_ino, big_writes, ro and nosuid.
  mount._fuseOptions = () => `-o${mountOptions.join(',')}`;
  repairTimes(mount, operations);
  repairAttributes(mount, operations);
}

/** It passes the access time on twice, and the modification time never; and neither has a sign. */
function repairTimes(mount: PackageMount, operations: PackageOperations): void {
  const handler = mount._handlers[UTIMENS];
  if (handler === undefined) throw new PathError('EBADF');
  mount._handlers[UTIMENS] = (request, operation, path, ...times) =>
    handler(request, operation, path, ...withModificationTime(request, times as number[]));
  mount._op_utimens = (signal, path, atimeLow, atimeHigh, mtimeLow, mtimeHigh) =>
    operations.utimens(path, signed(atimeLow, atimeHigh), signed(mtimeLow, mtimeHigh), (result) =>
      signal(result),
    );
}

/** The record is believed when it has the access time where it should. */
export function withModificationTime(request: Buffer, times: readonly number[]): readonly number[] {
  const [atimeLow, atimeHigh] = times;
  if (
    request.length < RECORD_MTIME_AT + 8 ||
    request.readUInt32LE(RECORD_ATIME_AT) !== atimeLow ||
    request.readUInt32LE(RECORD_ATIME_AT + 4) !== atimeHigh
  ) {
    return times;
  }
  const mtimeLow = request.readUInt32LE(RECORD_MTIME_AT);
  return [atimeLow, atimeHigh, mtimeLow, request.readUInt32LE(RECORD_MTIME_AT + 4)];
}

function signed(low: number, high: number): number {
  return (high | 0) * 2 ** 32 + low;
}

/**
 * A value longer than the room for it would make libfuse write out memory behind that room, and the size asked of a list
 * is 128 too large.
 */
function repairAttributes(mount: PackageMount, operations: PackageOperations): void {
  mount._op_getxattr = (signal, path, name, room, position) =>
    operations.getxattr(path, name, position, (result, value) =>
      answerForRoom(signal, room, result, value),
    );
  mount._op_listxattr = (signal, path, room) =>
    operations.listxattr(path, (result, names) =>
      answerForRoom(signal, room, result, names && Buffer.concat(names)),
    );
}

/** Room 0 asks for the size only. */
function answerForRoom(signal: Signal, room: Buffer, result: number, value?: Buffer): void {
  let answer = result;
  if (result === 0) {
    if (value === undefined) answer = -ENODATA;
    else if (room.length > 0 && value.length > room.length) answer = -ERANGE;
    else answer = value.length;
    if (answer > 0 && room.length > 0) value?.copy(room);
  }
  signal(answer, room.buffer);
}
