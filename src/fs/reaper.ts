/**
 * Removes the records of deleted inodes, a bounded number per commit. An inode with more records than that has an
 * orphan record until the last is gone, so that a crash in between leaves nothing behind.
 */
import { inodeKey, orphanKey, segmentKey, xattrKey } from '../tree/keys.js';
import type { TreeChange } from '../tree/tree.js';

/** Records removed per commit. */
const RECORDS_PER_COMMIT_MAX = 20_000;

/** A deleted inode whose records are still in the tree. */
interface Doomed {
  ino: number;
  /** Segments [0, segmentsEnd) may be there. */
  segmentsEnd: number;
  xattrNames: readonly string[];
  orphaned: boolean;
}

/** Part of the removal of one inode, for one commit. */
export interface Deletion {
  ino: number;
  changes: TreeChange[];
  /** To go on from when the commit fails. */
  before: Doomed;
}

export class Reaper {
  #doomed: Doomed[] = [];

  get isEmpty(): boolean {
    return this.#doomed.length === 0;
  }

  add(doomed: Doomed): void {
    this.#doomed.push(doomed);
  }

  /** The next removals; what did not fit stays for the next commit. */
  take(): Deletion[] {
    const deletions: Deletion[] = [];
    let room = RECORDS_PER_COMMIT_MAX;
    while (room > 0) {
      const doomed = this.#doomed.pop();
      if (doomed === undefined) break;
      const changes: TreeChange[] = [];
      const { ino, xattrNames } = doomed;
      const segments = Math.min(doomed.segmentsEnd, room);
      const segmentsEnd = doomed.segmentsEnd - segments;
      for (let index = doomed.segmentsEnd - 1; index >= segmentsEnd; index--) {
        changes.push({ key: segmentKey(ino, index), value: null });
      }
      room -= segments;
      if (segmentsEnd > 0) {
        if (!doomed.orphaned) changes.push({ key: orphanKey(ino), value: Buffer.alloc(0) });
        this.#doomed.push({ ino, segmentsEnd, xattrNames, orphaned: true });
      } else {
        for (const name of xattrNames) changes.push({ key: xattrKey(ino, name), value: null });
        changes.push({ key: inodeKey(ino), value: null });
        if (doomed.orphaned) changes.push({ key: orphanKey(ino), value: null });
        room -= xattrNames.length + 2;
      }
      deletions.push({ ino, changes, before: doomed });
    }
    return deletions;
  }

  /** The commit that carried them failed. */
  putBack(deletions: readonly Deletion[]): void {
    for (const { before } of deletions) {
      this.#doomed = this.#doomed.filter(({ ino }) => ino !== before.ino);
      this.#doomed.push(before);
    }
  }
}
