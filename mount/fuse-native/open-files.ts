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
 *
 * Its directory has to stay: libfuse has no path for the file without it, and the package ends the process then.
 */
export class HiddenFiles {
  readonly #fileSystem: FileSystem;
  readonly #files = new Map<string, { ino: Ino; parent: Ino }>();

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  isHiddenName(path: string): boolean {
    return HIDDEN_NAME.test(lastPart(path));
  }

  /** Takes over one lookup of `ino`, which was in the directory `parent`. */
  add(path: string, ino: Ino, parent: Ino): void {
    this.#files.set(lastPart(path), { ino, parent });
  }

  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  /** Whether one of them was in this directory. */
  hasIn(parent: Ino): boolean {
    for (const file of this.#files.values()) if (file.parent === parent) return true;
    return false;
  }

  inoOf(path: string): Ino | undefined {
    return this.isEmpty ? undefined : this.#files.get(lastPart(path))?.ino;
  }

  /** Returns whether there was one. */
  remove(path: string): boolean {
    const name = lastPart(path);
    const file = this.#files.get(name);
    if (file === undefined) return false;
    this.#files.delete(name);
    this.#fileSystem.forget(file.ino, 1);
    return true;
  }

  /** The file was closed. Then libfuse deletes the hidden name, too, unless it is ending. */
  removeInode(ino: Ino): void {
    for (const [name, file] of this.#files) if (file.ino === ino) this.remove(`/${name}`);
  }
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
