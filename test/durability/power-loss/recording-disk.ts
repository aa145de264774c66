/** A file system in memory that writes down everything that is done to it. */
import type {
  Answer,
  AttributeChanges,
  Attributes,
  ByteName,
  DirectorySink,
  Entry,
  FileSystem,
  FileSystemStatistics,
  Ino,
  NegativeEntry,
  OpenAnswer,
  TimedAttributes,
} from '../../../mount/file-system.js';
import { FALLOC_KEEP_SIZE, ROOT_INO } from '../../../mount/file-system.js';
import {
  ErrnoError,
  NoOpFileSystem,
  plainAttributes,
} from '../../mount/support/no-op-file-system.js';
import type { DiskImage, DiskInode, DiskName, DiskOperation } from './disk-image.js';

const ENOENT = 2;
const EEXIST = 17;
const ENOTDIR = 20;
const EISDIR = 21;
const EINVAL = 22;
const ENOTEMPTY = 39;
const ENODATA = 61;
const EOPNOTSUPP = 95;
const O_TRUNC = 0o1000;
const RENAME_NOREPLACE = 1;
const TIMEOUT_SEC = 3600;
const BLOCK_BYTES = 4096;
/** The store keeps some space of its disk free. */
const DISK_BLOCKS = 2 ** 24;

/**
 * One mount's life of a disk. Nothing of the folder `noted` of the root directory is ever lost: notes there of what was
 * acknowledged to programs take their place among the operations.
 */
export class RecordingDisk extends NoOpFileSystem {
  override readonly wantsWritebackCache = false;
  readonly operations: DiskOperation[] = [];
  /** What was on the disk before the first operation. */
  readonly base: DiskImage;
  readonly #image: DiskImage;
  readonly #exempt = new Set<Ino>();
  /** Deleted while open, maybe. */
  readonly #modes = new Map<Ino, number>();

  constructor(base: DiskImage, noted: string) {
    super();
    this.base = base;
    this.#image = base.cloneReachable();
    const folder = this.#image.inodes.get(ROOT_INO)?.names?.get(noted);
    if (folder === undefined) throw new Error(`The disk has no folder '${noted}'`);
    this.#exempt.add(folder);
    for (const ino of this.#names(folder).values()) this.#exempt.add(ino);
  }

  isExempt(ino: Ino): boolean {
    return this.#exempt.has(ino);
  }

  override lookup(parent: Ino, name: ByteName): Answer<Entry | NegativeEntry> {
    const ino = this.#names(parent).get(name);
    if (ino === undefined) return { attributes: null, entryTimeoutSec: TIMEOUT_SEC };
    return this.#entryOf(ino);
  }

  override getattr(ino: Ino): Answer<TimedAttributes> {
    return this.#entryOf(ino);
  }

  /** Times are what writes make them, and permissions are not stored: nothing in a store depends on them. */
  override setattr(ino: Ino, changes?: AttributeChanges): Answer<TimedAttributes> {
    if (changes?.size !== undefined) this.#truncate(ino, changes.size);
    if (changes?.mode !== undefined) this.#modes.set(ino, changes.mode);
    return this.#entryOf(ino);
  }

  override mkdir: FileSystem['mkdir'] = (parent, name, mode) =>
    this.#entryOf(this.#make(parent, name, mode | 0o040000));

  override mknod: FileSystem['mknod'] = (parent, name, mode) =>
    this.#entryOf(this.#make(parent, name, mode));

  override create: FileSystem['create'] = (parent, name, mode) => {
    const ino = this.#make(parent, name, mode);
    return { entry: this.#entryOf(ino), open: { handle: 0 } };
  };

  override unlink: FileSystem['unlink'] = (parent, name) => {
    if (this.#inode(this.#child(parent, name)).names !== null) throw new ErrnoError(EISDIR);
    this.#rename([{ directory: parent, name }], []);
  };

  override rmdir: FileSystem['rmdir'] = (parent, name) => {
    if (this.#names(this.#child(parent, name)).size > 0) throw new ErrnoError(ENOTEMPTY);
    this.#rename([{ directory: parent, name }], []);
  };

  override rename: FileSystem['rename'] = (parent, name, newParent, newName, flags) => {
    if ((flags & ~RENAME_NOREPLACE) !== 0) throw new ErrnoError(EINVAL);
    const ino = this.#child(parent, name);
    const replaced = this.#names(newParent).get(newName);
    if (replaced !== undefined && flags === RENAME_NOREPLACE) throw new ErrnoError(EEXIST);
    if (replaced !== undefined && (this.#inode(replaced).names?.size ?? 0) > 0) {
      throw new ErrnoError(ENOTEMPTY);
    }
    this.#rename([{ directory: parent, name }], [{ directory: newParent, name: newName, ino }]);
  };

  override open(ino: Ino, flags: number): Answer<OpenAnswer> {
    if ((flags & O_TRUNC) !== 0) this.#truncate(ino, 0);
    return { handle: 0 };
  }

  override read(ino: Ino, _handle: number, offset: number, length: number): Answer<Buffer> {
    return Buffer.from(this.#inode(ino).content.subarray(offset, offset + length));
  }

  override write(ino: Ino, _handle: number, offset: number, data: Buffer): Answer<number> {
    this.#do({ kind: 'write', ino, offset, data: Buffer.from(data), timeMs: Date.now() });
    return data.length;
  }

  override fsync(ino: Ino): void {
    this.operations.push({ kind: 'sync', ino });
  }

  override fsyncdir(ino: Ino): void {
    this.operations.push({ kind: 'sync', ino });
  }

  /** Space set aside is no content, unless it makes the file longer. */
  override fallocate: FileSystem['fallocate'] = (ino, _handle, mode, offset, length) => {
    if (mode === FALLOC_KEEP_SIZE) return;
    if (mode !== 0) throw new ErrnoError(EOPNOTSUPP);
    this.#truncate(ino, Math.max(this.#inode(ino).size, offset + length));
  };

  override readdir(ino: Ino, _handle: number, offset: number, sink: DirectorySink): Answer<void> {
    const entries: [ByteName, Ino][] = [['.', ino], ['..', ROOT_INO], ...this.#names(ino)];
    for (const [index, [name, child]] of entries.entries()) {
      if (index < offset) continue;
      const entry = this.#entryOf(child);
      const isTaken = sink.plus
        ? sink.addPlus(name, entry, index + 1)
        : sink.add(name, child, entry.attributes.mode, index + 1);
      if (!isTaken) return;
    }
  }

  override statfs(): Answer<FileSystemStatistics> {
    return {
      blockSize: BLOCK_BYTES,
      blocks: DISK_BLOCKS,
      blocksFree: DISK_BLOCKS,
      blocksAvailable: DISK_BLOCKS,
      files: this.#image.inodes.size,
      filesFree: DISK_BLOCKS,
      nameBytesMax: 255,
    };
  }

  override getxattr: FileSystem['getxattr'] = () => {
    throw new ErrnoError(ENODATA);
  };
  override setxattr: FileSystem['setxattr'] = () => {
    throw new ErrnoError(EOPNOTSUPP);
  };
  override listxattr: FileSystem['listxattr'] = () => [];

  #do(operation: Exclude<DiskOperation, { kind: 'sync' }>): void {
    this.operations.push(operation);
    this.#image.apply(operation);
  }

  #make(parent: Ino, name: ByteName, mode: number): Ino {
    if (this.#names(parent).has(name)) throw new ErrnoError(EEXIST);
    const ino = this.#image.nextIno;
    if (this.#exempt.has(parent)) this.#exempt.add(ino);
    this.#do({ kind: 'make', ino, mode, timeMs: Date.now() });
    this.#rename([], [{ directory: parent, name, ino }]);
    return ino;
  }

  #rename(remove: DiskName[], set: (DiskName & { ino: Ino })[]): void {
    this.#do({ kind: 'names', remove, set });
  }

  #truncate(ino: Ino, size: number): void {
    this.#do({ kind: 'truncate', ino, size, timeMs: Date.now() });
  }

  #inode(ino: Ino): DiskInode {
    const inode = this.#image.inodes.get(ino);
    if (inode === undefined) throw new ErrnoError(ENOENT);
    return inode;
  }

  #names(ino: Ino): Map<ByteName, Ino> {
    const { names } = this.#inode(ino);
    if (names === null) throw new ErrnoError(ENOTDIR);
    return names;
  }

  #child(parent: Ino, name: ByteName): Ino {
    const ino = this.#names(parent).get(name);
    if (ino === undefined) throw new ErrnoError(ENOENT);
    return ino;
  }

  #entryOf(ino: Ino): Entry {
    return {
      attributes: this.#attributesOf(this.#inode(ino)),
      entryTimeoutSec: TIMEOUT_SEC,
      attributesTimeoutSec: TIMEOUT_SEC,
    };
  }

  #attributesOf({ ino, mode, size, bornMs, modifiedMs, names }: DiskInode): Attributes {
    const modified = splitTime(modifiedMs);
    const born = splitTime(bornMs);
    const changed = this.#modes.get(ino);
    return {
      ...plainAttributes(
        ino,
        changed === undefined ? mode : (mode & 0o170000) | (changed & 0o7777),
        size,
      ),
      nlink: names === null ? 1 : 2,
      atimeSec: modified.sec,
      atimeNsec: modified.nsec,
      mtimeSec: modified.sec,
      mtimeNsec: modified.nsec,
      ctimeSec: modified.sec,
      ctimeNsec: modified.nsec,
      btimeSec: born.sec,
      btimeNsec: born.nsec,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      blockSize: BLOCK_BYTES,
    };
  }
}

function splitTime(ms: number): { sec: number; nsec: number } {
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: Math.round((ms - sec * 1000) * 1e6) };
}
