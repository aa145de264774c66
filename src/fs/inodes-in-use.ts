/**
 * What programs on a reading mount use right now, so that they can go on with it when the drive has it no more: open
 * files, and directories that the kernel remembers, which one of them may be in.
 */
import type { TreeView } from '../tree/tree.js';
import { NumberCounts } from './number-counts.js';

/** A state of the drive that was shown, or that lay between two that were. */
export interface OlderHead {
  readonly view: TreeView;
  /** The kernel has been told what changed since, so no path leads to what is gone any more. */
  isTold: boolean;
}

export class InodesInUse {
  /** Open handles of files. By number: an inode in memory is replaced when its origin changes it. */
  readonly #openFiles = new NumberCounts();
  /** For a directory that changed since the kernel knows it: the head that was shown before it did so last. */
  readonly #directories = new Map<number, OlderHead | null>();

  opened(ino: number): void {
    this.#openFiles.add(ino);
  }

  closed(ino: number): void {
    this.#openFiles.remove(ino);
  }

  isOpen(ino: number): boolean {
    return this.#openFiles.has(ino);
  }

  openFiles(): IterableIterator<number> {
    return this.#openFiles.keys();
  }

  addDirectory(ino: number): void {
    if (!this.#directories.has(ino)) this.#directories.set(ino, null);
  }

  /** Whether it is a directory that the kernel remembers. */
  isDirectory(ino: number): boolean {
    return this.#directories.has(ino);
  }

  forgetDirectory(ino: number): void {
    this.#directories.delete(ino);
  }

  /** Directories among these (null: all) are not as they were at `older`; null where that cannot be read any more. */
  leave(inodes: Iterable<number> | null, older: OlderHead | null): void {
    for (const ino of inodes ?? this.#directories.keys()) {
      if (this.#directories.has(ino)) this.#directories.set(ino, older);
    }
  }

  /** Where to find what a directory was that is not there any more. */
  lastHeadOf(ino: number): OlderHead | null {
    return this.#directories.get(ino) ?? null;
  }
}
