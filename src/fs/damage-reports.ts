/** Lines about damaged records of one inode or directory; there could be millions of them. */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';

const REPORTS_PER_INODE_MAX = 10;

/** How much was said already about which damaged inode. */
export class DamageReports {
  readonly #counts = new Map<number, number>();

  /** Whether one more line may be written about the inode. Counts it. */
  admits(ino: number): boolean {
    const count = this.#counts.get(ino) ?? 0;
    if (count >= REPORTS_PER_INODE_MAX || this.#counts.size >= limits.cached_inodes_max)
      return false;
    this.#counts.set(ino, count + 1);
    return true;
  }
}

export function damagedEntry({ ino }: { ino: number }, name: string, what: string): DamagedError {
  return new DamagedError(`Entry ${JSON.stringify(name)} of directory ${ino} ${what}`);
}
