import type { FileSystem, Ino } from '../file-system.js';
import { PathError } from './path-error.js';

/** An open file. */
export interface OpenFile {
  ino: Ino;
  /** Lookups of the inode that it holds: 1, or 0 where something else does. */
  lookups: number;
  /** The file system's. */
  handle: number;
  flags: number;
}

/** The package keeps 31 bits, and takes 0 for none. */
const DESCRIPTOR_MAX = 2 ** 31 - 1;

/** Open files by the number that the package knows them by. */
export class OpenFiles {
  readonly #files = new Map<number, OpenFile>();
  readonly #opensByIno = new Map<Ino, number>();
  #last = 0;

  add(file: OpenFile): number {
    do this.#last = this.#last === DESCRIPTOR_MAX ? 1 : this.#last + 1;
    while (this.#files.has(this.#last));
    this.#files.set(this.#last, file);
    this.#opensByIno.set(file.ino, (this.#opensByIno.get(file.ino) ?? 0) + 1);
    return this.#last;
  }

  /** Throws EBADF. */
  get(descriptor: number): OpenFile {
    const file = this.#files.get(descriptor);
    if (file === undefined) throw new PathError('EBADF');
    return file;
  }

  /** Takes an open file out. Throws EBADF. */
  remove(descriptor: number): OpenFile {
    const file = this.get(descriptor);
    this.#files.delete(descriptor);
    const opens = (this.#opensByIno.get(file.ino) ?? 1) - 1;
    if (opens === 0) this.#opensByIno.delete(file.ino);
    else this.#opensByIno.set(file.ino, opens);
    return file;
  }

  isOpen(ino: Ino): boolean {
    return this.#opensByIno.has(ino);
  }
}

/** What libfuse renames a file to that is open and shall go: its own number of the file, and a counter. */
const HIDDEN_NAME = /^\.fuse_hidden[0-9a-f]{16}$/;

/**
 * Files that were deleted while open. libfuse, which works on paths, renames such a file to a hidden name and deletes
 * that at the last close. Here the name is not made: the file is deleted at once, and the hidden name leads to its inode
 * as long as it is open. So nothing is left after a crash, and no listing shows it. Each holds one lookup.
 */
export class HiddenFiles {
  readonly #fileSystem: FileSystem;
  readonly #inoByName = new Map<string, Ino>();

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  isHiddenName(path: string): boolean {
    return HIDDEN_NAME.test(lastPart(path));
  }

  /** Takes over one lookup of `ino`. */
  add(path: string, ino: Ino): void {
    this.#inoByName.set(lastPart(path), ino);
  }

  inoOf(path: string): Ino | undefined {
    // Nearly always empty.
    return this.#inoByName.size === 0 ? undefined : this.#inoByName.get(lastPart(path));
  }

  /** Returns whether there was one. */
  remove(path: string): boolean {
    const name = lastPart(path);
    const ino = this.#inoByName.get(name);
    if (ino === undefined) return false;
    this.#inoByName.delete(name);
    this.#fileSystem.forget(ino, 1);
    return true;
  }

  /** The file was closed. libfuse does not say so where its directory is gone, too. */
  removeInode(ino: Ino): void {
    for (const [name, hidden] of this.#inoByName) if (hidden === ino) this.remove(`/${name}`);
  }
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
