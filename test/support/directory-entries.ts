/** Directory entries as the kernel hands them out (getdents64): with inode number, type and position. */
import { declare } from './syscalls.js';

export interface RawEntry {
  name: Buffer;
  ino: number;
  /** DT_REG, DT_DIR ... of readdir(3). */
  type: number;
  /** Where to `lseek` to continue behind this entry. */
  nextPosition: bigint;
}

export const DT_FIFO = 1;
export const DT_DIR = 4;
export const DT_REG = 8;
export const DT_LNK = 10;
export const DT_SOCK = 12;

const getdentsNative = declare('intptr_t getdents64(int, void *, size_t)');
const lseekNative = declare('intptr_t lseek(int, int64_t, int)');

/** The next entries of an open directory, as many as fit into `room` bytes; none at the end. */
export function nextEntries(fd: number, room = 32_768): RawEntry[] {
  const buffer = Buffer.alloc(room);
  const length = getdentsNative(fd, buffer, room);
  const entries: RawEntry[] = [];
  for (let at = 0; at < length; ) {
    const size = buffer.readUInt16LE(at + 16);
    const name = buffer.subarray(at + 19, at + size);
    entries.push({
      name: Buffer.from(name.subarray(0, name.indexOf(0))),
      ino: Number(buffer.readBigUInt64LE(at)),
      type: buffer.readUInt8(at + 18),
      nextPosition: buffer.readBigInt64LE(at + 8),
    });
    at += size;
  }
  return entries;
}

/** All entries from the present position on, "." and ".." included. */
export function allEntries(fd: number, room?: number): RawEntry[] {
  const all: RawEntry[] = [];
  for (;;) {
    const some = nextEntries(fd, room);
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** Sets the position of an open directory to one that an entry named, or to 0. */
export function seekDirectory(fd: number, position: bigint): void {
  lseekNative(fd, position, 0);
}
