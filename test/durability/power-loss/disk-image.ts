/** What is on a disk: inodes by number, with the bytes of files and the names of directories. */
import { ROOT_INO } from '../../../mount/file-system.js';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const FIRST_CAPACITY_BYTES = 4096;

/**
 * Something a program did to the disk. What a name leads to is set and removed in pairs of directory and name, so that
 * an operation still has a meaning when one before it was lost.
 */
export type DiskOperation =
  /** An inode came to be. It is nowhere until a name leads to it. */
  | { kind: 'make'; ino: number; mode: number; timeMs: number }
  /** One change of names, as a whole: a rename removes one and sets another. */
  | { kind: 'names'; remove: DiskName[]; set: (DiskName & { ino: number })[] }
  | { kind: 'write'; ino: number; offset: number; data: Buffer; timeMs: number }
  | { kind: 'truncate'; ino: number; size: number; timeMs: number }
  /** fsync or fdatasync of a file or a directory. */
  | { kind: 'sync'; ino: number };

export interface DiskName {
  directory: number;
  name: string;
}

export class DiskInode {
  readonly ino: number;
  readonly mode: number;
  readonly bornMs: number;
  modifiedMs: number;
  /** Null for what is no directory. */
  readonly names: Map<string, number> | null;
  #bytes: Buffer;
  /** The bytes are a copy's, too, and must not be changed: an image is copied often and changed little. */
  #shared = false;
  #size = 0;

  constructor(ino: number, mode: number, timeMs: number) {
    this.ino = ino;
    this.mode = mode;
    this.bornMs = timeMs;
    this.modifiedMs = timeMs;
    this.names = (mode & S_IFMT) === S_IFDIR ? new Map() : null;
    this.#bytes = Buffer.alloc(0);
  }

  get size(): number {
    return this.#size;
  }

  /** What the file holds; valid until it is changed. */
  get content(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }

  write(offset: number, data: Buffer): void {
    this.#reserve(offset + data.length);
    data.copy(this.#bytes, offset);
    this.#size = Math.max(this.#size, offset + data.length);
  }

  resize(size: number): void {
    this.#reserve(size);
    if (size < this.#size) this.#own(0);
    // What lies behind the end reads as zeros when the file grows again.
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }

  clone(): DiskInode {
    const clone = new DiskInode(this.ino, this.mode, this.bornMs);
    clone.modifiedMs = this.modifiedMs;
    for (const [name, ino] of this.names ?? []) clone.names?.set(name, ino);
    this.#shared = true;
    clone.#shared = true;
    clone.#bytes = this.#bytes;
    clone.#size = this.#size;
    return clone;
  }

  /** Makes room for a change up to `size`. */
  #reserve(size: number): void {
    if (size <= this.#bytes.length) this.#own(0);
    else this.#own(Math.max(size, 2 * this.#bytes.length, FIRST_CAPACITY_BYTES));
  }

  /** Takes the bytes to memory of their own that has `capacity`, unless they have. */
  #own(capacity: number): void {
    if (!this.#shared && capacity <= this.#bytes.length) return;
    const own = Buffer.alloc(Math.max(capacity, this.#bytes.length));
    this.#bytes.copy(own, 0, 0, this.#size);
    this.#bytes = own;
    this.#shared = false;
  }
}

export class DiskImage {
  readonly inodes = new Map<number, DiskInode>();
  nextIno = ROOT_INO + 1;

  /** An empty disk: a root directory. */
  static empty(): DiskImage {
    const image = new DiskImage();
    image.inodes.set(ROOT_INO, new DiskInode(ROOT_INO, S_IFDIR | 0o755, Date.now()));
    return image;
  }

  apply(operation: Exclude<DiskOperation, { kind: 'sync' }>): void {
    switch (operation.kind) {
      case 'make': {
        const { ino, mode, timeMs } = operation;
        this.inodes.set(ino, new DiskInode(ino, mode, timeMs));
        this.nextIno = Math.max(this.nextIno, ino + 1);
        return;
      }
      case 'names':
        for (const { directory, name } of operation.remove) {
          this.inodes.get(directory)?.names?.delete(name);
        }
        for (const { directory, name, ino } of operation.set) {
          this.inodes.get(directory)?.names?.set(name, ino);
        }
        return;
      case 'write': {
        const inode = this.inodes.get(operation.ino);
        inode?.write(operation.offset, operation.data);
        if (inode !== undefined) inode.modifiedMs = operation.timeMs;
        return;
      }
      case 'truncate': {
        const inode = this.inodes.get(operation.ino);
        inode?.resize(operation.size);
        if (inode !== undefined) inode.modifiedMs = operation.timeMs;
        return;
      }
    }
  }

  /** A copy of what names lead to; the rest is gone, and names of inodes that never came to be. */
  cloneReachable(): DiskImage {
    const clone = new DiskImage();
    clone.nextIno = this.nextIno;
    const visit = (ino: number): boolean => {
      if (clone.inodes.has(ino)) return true;
      const inode = this.inodes.get(ino)?.clone();
      if (inode === undefined) return false;
      clone.inodes.set(ino, inode);
      for (const [name, child] of inode.names ?? []) if (!visit(child)) inode.names?.delete(name);
      return true;
    };
    visit(ROOT_INO);
    return clone;
  }
}
