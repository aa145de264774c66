/** How a file system that shows the past refuses to change it, and passes on what concerns the drive. */
import type {
  Answer,
  AttributeChanges,
  Caller,
  Entry,
  FileSystemStatistics,
  OpenAnswer,
  TimedAttributes,
  WriteOptions,
} from '../../../mount/file-system.js';
import type { DriveFileSystem } from '../drive-file-system.js';
import { PosixError } from '../posix-error.js';
import { isHistory, ROOT_INO } from './view-numbers.js';

/** The name in the root directory. */
export const HISTORY_NAME = '.shoal';

export abstract class GuardedFileSystem {
  readonly #drive: DriveFileSystem;

  constructor(drive: DriveFileSystem) {
    this.#drive = drive;
  }

  statfs(): FileSystemStatistics {
    return this.#drive.statfs();
  }

  fsync(ino: number): Answer<void> {
    return isHistory(ino) ? undefined : this.#drive.fsync(ino);
  }

  fsyncdir(ino: number): Answer<void> {
    return isHistory(ino) ? undefined : this.#drive.fsyncdir();
  }

  syncfs(): Answer<void> {
    return this.#drive.syncfs();
  }

  // Changing

  /** Changes a name of the drive; not the one that the past has. Throws EROFS, EPERM. */
  #change<T>(parent: number, name: string, caller: Caller, run: () => Answer<T>): Answer<T> {
    if (isHistory(parent)) throw new PosixError('EROFS');
    if (parent !== ROOT_INO || name !== HISTORY_NAME) return run();
    return then(this.#drive.lookup(parent, name, caller), (entry) => {
      if (entry.attributes === null) throw new PosixError('EPERM');
      this.#drive.forget(entry.attributes.ino, 1);
      return run();
    });
  }

  #refuseHistory(...inodes: number[]): void {
    if (inodes.some(isHistory)) throw new PosixError('EROFS');
  }

  setattr(ino: number, changes: AttributeChanges, caller: Caller): Answer<TimedAttributes> {
    this.#refuseHistory(ino);
    return this.#drive.setattr(ino, changes, caller);
  }

  symlink(parent: number, name: string, target: Buffer, caller: Caller): Answer<Entry> {
    const kept = Buffer.from(target);
    return this.#change(parent, name, caller, () =>
      this.#drive.symlink(parent, name, kept, caller),
    );
  }

  mknod(
    parent: number,
    name: string,
    mode: number,
    rdev: number,
    caller: Caller,
    umask?: number,
  ): Answer<Entry> {
    return this.#change(parent, name, caller, () =>
      this.#drive.mknod(parent, name, mode, rdev, caller, umask),
    );
  }

  mkdir(parent: number, name: string, mode: number, caller: Caller, umask?: number): Answer<Entry> {
    return this.#change(parent, name, caller, () =>
      this.#drive.mkdir(parent, name, mode, caller, umask),
    );
  }

  unlink(parent: number, name: string, caller: Caller): Answer<void> {
    return this.#change(parent, name, caller, () => this.#drive.unlink(parent, name, caller));
  }

  rmdir(parent: number, name: string, caller: Caller): Answer<void> {
    return this.#change(parent, name, caller, () => this.#drive.rmdir(parent, name, caller));
  }

  rename(
    parent: number,
    name: string,
    newParent: number,
    newName: string,
    flags: number,
    caller: Caller,
  ): Answer<void> {
    return this.#change(parent, name, caller, () =>
      this.#change(newParent, newName, caller, () =>
        this.#drive.rename(parent, name, newParent, newName, flags, caller),
      ),
    );
  }

  link(ino: number, newParent: number, newName: string, caller: Caller): Answer<Entry> {
    if (isHistory(ino) && !isHistory(newParent)) throw new PosixError('EXDEV');
    return this.#change(newParent, newName, caller, () =>
      this.#drive.link(ino, newParent, newName, caller),
    );
  }

  create(
    parent: number,
    name: string,
    mode: number,
    flags: number,
    caller: Caller,
    umask?: number,
  ): Answer<{ entry: Entry; open: OpenAnswer }> {
    return this.#change(parent, name, caller, () =>
      this.#drive.create(parent, name, mode, flags, caller, umask),
    );
  }

  tmpfile(
    parent: number,
    mode: number,
    flags: number,
    caller: Caller,
    umask?: number,
  ): Answer<{ entry: Entry; open: OpenAnswer }> {
    this.#refuseHistory(parent);
    return this.#drive.tmpfile(parent, mode, flags, caller, umask);
  }

  write(
    ino: number,
    handle: number,
    offset: number,
    data: Buffer,
    options: WriteOptions,
    caller: Caller,
  ): Answer<number> {
    this.#refuseHistory(ino);
    return this.#drive.write(ino, handle, offset, data, options, caller);
  }

  fallocate(
    ino: number,
    handle: number,
    mode: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Answer<void> {
    this.#refuseHistory(ino);
    return this.#drive.fallocate(ino, handle, mode, offset, length, caller);
  }

  copyFileRange(
    ino: number,
    handle: number,
    offset: number,
    toIno: number,
    toHandle: number,
    toOffset: number,
    length: number,
    caller: Caller,
  ): Answer<number> {
    this.#refuseHistory(toIno);
    // The kernel copies by reading and writing then.
    if (isHistory(ino)) throw new PosixError('EXDEV');
    return this.#drive.copyFileRange(
      ...([ino, handle, offset, toIno, toHandle, toOffset, length, caller] as const),
    );
  }

  setxattr(
    ino: number,
    name: string,
    value: Buffer,
    flags: number,
    caller: Caller,
    killsSgid?: boolean,
  ): Answer<void> {
    this.#refuseHistory(ino);
    return this.#drive.setxattr(ino, name, value, flags, caller, killsSgid);
  }

  removexattr(ino: number, name: string, caller: Caller): Answer<void> {
    this.#refuseHistory(ino);
    return this.#drive.removexattr(ino, name, caller);
  }
}

/** Goes on at once where the answer is there. */
export function then<T, U>(answer: Answer<T>, next: (value: T) => Answer<U>): Answer<U> {
  return answer instanceof Promise ? answer.then(next) : next(answer);
}
