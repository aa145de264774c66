import type {
  Answer,
  Attributes,
  Caller,
  DirectorySink,
  Entry,
  FileSystem,
  FileSystemStatistics,
  Ino,
  KernelNotifier,
  MountParameters,
  NegativeEntry,
  OpenAnswer,
  TimedAttributes,
} from '../../../mount/file-system.js';
import { ROOT_INO } from '../../../mount/file-system.js';

const ENOENT = 2;
const ENOSYS = 38;

/** An error that is an errno. */
export class ErrnoError extends Error {
  constructor(readonly errno: number) {
    super(`errno ${errno}`);
  }
}

function notImplemented(): never {
  throw new ErrnoError(ENOSYS);
}

/**
 * A file system that does nothing, as fast as it can be done: a directory with the files `f` and `w`, which read as
 * zeros and take every write. What a driver costs shows against it. Also a base for file systems of tests.
 */
export class NoOpFileSystem implements FileSystem {
  readonly wantsWritebackCache: boolean = true;
  readonly readOnly: boolean = false;
  readonly wantsPosixAcl: boolean = false;
  readonly wantsBirthTimes: boolean = false;
  readonly #zeros = Buffer.alloc(1 << 20);
  readonly #attributes: ReadonlyMap<Ino, Attributes>;
  readonly #names = new Map<string, Ino>([
    ['f', 2],
    ['w', 3],
  ]);
  /** How long the kernel may remember names and attributes. */
  readonly #timeoutSec: number;

  constructor({ fileBytes = 2 ** 30, timeoutSec = 5 } = {}) {
    this.#timeoutSec = timeoutSec;
    this.#attributes = new Map([
      [ROOT_INO, plainAttributes(ROOT_INO, 0o40755, 4096)],
      [2, plainAttributes(2, 0o100644, fileBytes)],
      [3, plainAttributes(3, 0o100644, fileBytes)],
    ]);
  }

  start(_kernel: KernelNotifier, _parameters: MountParameters): void {}
  stopped(): void {}

  errnoOf(error: unknown, _operation: string, _ino: Ino): number {
    return error instanceof ErrnoError ? error.errno : 5;
  }

  lookup(_parent: Ino, name: string): Answer<Entry | NegativeEntry> {
    const ino = this.#names.get(name);
    if (ino === undefined) return { attributes: null, entryTimeoutSec: 0 };
    return this.#entry(ino);
  }

  forget(_ino: Ino, _count: number): void {}

  getattr(ino: Ino): Answer<TimedAttributes> {
    return this.#entry(ino);
  }

  setattr(ino: Ino): Answer<TimedAttributes> {
    return this.#entry(ino);
  }

  open(_ino: Ino, _flags: number): Answer<OpenAnswer> {
    return { handle: 0, keepCache: false };
  }

  read(
    _ino: Ino,
    _handle: number,
    _offset: number,
    length: number,
    _caller: Caller,
  ): Answer<Buffer | Buffer[]> {
    return this.#zeros.subarray(0, length);
  }

  write(_ino: Ino, _handle: number, _offset: number, data: Buffer): Answer<number> {
    return data.length;
  }

  flush(_ino: Ino, _handle: number, _caller: Caller): Answer<void> {}
  release(): Answer<void> {}
  fsync(_ino: Ino): Answer<void> {}
  opendir(): Answer<OpenAnswer> {
    return { handle: 0 };
  }

  readdir(_ino: Ino, _handle: number, offset: number, sink: DirectorySink): Answer<void> {
    const entries = [['.', ROOT_INO] as const, ['..', ROOT_INO] as const, ...this.#names];
    for (const [index, [name, ino]] of entries.entries()) {
      if (index < offset) continue;
      const entry = this.#entry(ino);
      const added = sink.plus
        ? sink.addPlus(name, entry, index + 1)
        : sink.add(name, ino, entry.attributes.mode, index + 1);
      if (!added) return;
    }
  }

  releasedir(): Answer<void> {}
  fsyncdir(_ino: Ino): Answer<void> {}

  statfs(): Answer<FileSystemStatistics> {
    return {
      blockSize: 4096,
      blocks: 1 << 20,
      blocksFree: 1 << 20,
      blocksAvailable: 1 << 20,
      files: 3,
      filesFree: 1 << 20,
      nameBytesMax: 255,
    };
  }

  syncfs(): Answer<void> {}
  readlink: FileSystem['readlink'] = notImplemented;
  symlink: FileSystem['symlink'] = notImplemented;
  mknod: FileSystem['mknod'] = notImplemented;
  mkdir: FileSystem['mkdir'] = notImplemented;
  unlink: FileSystem['unlink'] = notImplemented;
  rmdir: FileSystem['rmdir'] = notImplemented;
  rename: FileSystem['rename'] = notImplemented;
  link: FileSystem['link'] = notImplemented;
  create: FileSystem['create'] = notImplemented;
  tmpfile: FileSystem['tmpfile'] = notImplemented;
  fallocate: FileSystem['fallocate'] = notImplemented;
  lseek: FileSystem['lseek'] = notImplemented;
  copyFileRange: FileSystem['copyFileRange'] = notImplemented;
  getxattr: FileSystem['getxattr'] = notImplemented;
  setxattr: FileSystem['setxattr'] = notImplemented;
  listxattr: FileSystem['listxattr'] = notImplemented;
  removexattr: FileSystem['removexattr'] = notImplemented;

  #entry(ino: Ino): Entry {
    const attributes = this.#attributes.get(ino);
    if (attributes === undefined) throw new ErrnoError(ENOENT);
    return {
      attributes,
      entryTimeoutSec: this.#timeoutSec,
      attributesTimeoutSec: this.#timeoutSec,
    };
  }
}

/** Attributes of an inode at the beginning of time, owned by root. */
export function plainAttributes(ino: Ino, mode: number, size: number): Attributes {
  return {
    ino,
    size,
    blocks: Math.ceil(size / 512),
    atimeSec: 0,
    atimeNsec: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    ctimeSec: 0,
    ctimeNsec: 0,
    btimeSec: 0,
    btimeNsec: 0,
    mode,
    nlink: 1,
    uid: 0,
    gid: 0,
    rdev: 0,
    blockSize: 4096,
  };
}
