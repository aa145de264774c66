/** Which directories have names in memory: those used longest ago are forgotten when there are too many names. */
import type { Inode } from './inode.js';

/**
 * So many that were used last stay: an operation that waits for names of one may need those of another, and others wait beside it.
 * But few where there are far too many names.
 */
const KEPT_DIRECTORIES = 16;
const KEPT_DIRECTORIES_MIN = 3;

export class DirectoryCache {
  readonly #namesMax: number;
  /** The one used longest ago first. */
  readonly #directories = new Set<Inode>();
  #names = 0;

  constructor(namesMax: number) {
    this.#namesMax = namesMax;
  }

  /** Names in memory, missing ones too. */
  get names(): number {
    return this.#names;
  }

  /** Its `directory` is being used. */
  use(inode: Inode): void {
    this.#directories.delete(inode);
    this.#directories.add(inode);
  }

  /** Names were added, or taken out. */
  count(change: number): void {
    this.#names += change;
  }

  /** Forgets the names of a directory. */
  drop(inode: Inode): void {
    if (inode.directory === null) return;
    this.#names -= inode.directory.entries.size;
    this.#directories.delete(inode);
    inode.directory = null;
  }

  /** To be called when names were added. */
  evict(): void {
    const kept = this.#names > 2 * this.#namesMax ? KEPT_DIRECTORIES_MIN : KEPT_DIRECTORIES;
    let left = this.#directories.size - kept;
    for (const inode of this.#directories) {
      if (this.#names <= this.#namesMax || left-- <= 0) return;
      if (!inode.hasDirtyNames && !inode.isPinned) this.drop(inode);
    }
  }
}
