/**
 * Removes the records of deleted inodes, a bounded number per commit. An inode that has to wait for a later commit has
 * an orphan record until its last record is gone, so that a crash in between leaves nothing behind.
 */
import { entryKey, inodeKey, orphanKey, segmentKey, xattrKey } from '../tree/keys.js';
import type { TreeChange } from '../tree/tree.js';
import type { Inode } from './inode.js';

/** Records removed per commit, besides directory entries. */
const RECORDS_PER_COMMIT_MAX = 20_000;

/** Records of a deleted inode that the tree may have. */
export interface DoomedRecords {
  readonly xattrNames: string[];
  /** Numbers of its segments; null: any up to the last one. */
  readonly segments: readonly number[] | null;
}

/** A deleted inode whose records may still be in the tree. */
export interface Doomed {
  readonly inode: Inode;
  readonly segments: readonly number[] | null;
  /** The first so many of `segments` may be there; without these, segments [0, segmentsEnd). */
  readonly segmentsEnd: number;
  /** Entries of a directory that may still be there. */
  readonly entryNames: string[];
  readonly xattrNames: string[];
  readonly orphaned: boolean;
}

/** Part of the removal of one inode, for one commit. */
export interface Deletion {
  readonly inode: Inode;
  readonly changes: readonly TreeChange[];
  /** The inode's own record is among them, so nothing is left to do. */
  readonly isLast: boolean;
  /** To go on from when the commit fails. */
  readonly before: Doomed;
}

export class Reaper {
  readonly #doomed = new Map<number, Doomed>();

  get isEmpty(): boolean {
    return this.#doomed.size === 0;
  }

  /** Inodes that are being removed. */
  get size(): number {
    return this.#doomed.size;
  }

  has(inode: Inode): boolean {
    return this.#doomed.has(inode.ino);
  }

  add(doomed: Doomed): void {
    this.#doomed.set(doomed.inode.ino, doomed);
  }

  /** The tree may have more records of a deleted inode: a commit that was to remove them failed. */
  addRecords(inode: Inode, kind: 'entryNames' | 'xattrNames', name: string): void {
    this.#doomed.get(inode.ino)?.[kind].push(name);
  }

  /** The removals for the next commit. */
  take(): Deletion[] {
    const deletions: Deletion[] = [];
    let room = RECORDS_PER_COMMIT_MAX;
    for (const doomed of [...this.#doomed.values()]) {
      const { changes, rest } = removeSome(doomed, Math.max(0, room));
      room -= changes.length;
      if (rest === null) this.#doomed.delete(doomed.inode.ino);
      else this.add(rest);
      if (changes.length === 0) continue;
      deletions.push({ inode: doomed.inode, changes, isLast: rest === null, before: doomed });
    }
    return deletions;
  }

  /** The commit that carried them failed. */
  putBack(deletions: readonly Deletion[]): void {
    for (const { before } of deletions) this.add(before);
  }
}

/** Removes about `room` records of an inode; `rest` is what is left then. */
function removeSome(doomed: Doomed, room: number): { changes: TreeChange[]; rest: Doomed | null } {
  const { inode, segments, xattrNames, orphaned } = doomed;
  const { ino } = inode;
  const changes: TreeChange[] = [];
  const remove = (key: Buffer): void => {
    changes.push({ key, value: null });
  };
  // Never later: what they lead to may be gone with this commit.
  for (const name of doomed.entryNames) remove(entryKey(ino, name));
  const segmentsEnd = Math.max(0, doomed.segmentsEnd - room);
  for (let i = doomed.segmentsEnd - 1; i >= segmentsEnd; i--) {
    remove(segmentKey(ino, segments === null ? i : (segments[i] as number)));
  }
  if (segmentsEnd > 0 || room === 0) {
    if (!orphaned) changes.push({ key: orphanKey(ino), value: Buffer.alloc(0) });
    return { changes, rest: { ...doomed, segmentsEnd, entryNames: [], orphaned: true } };
  }
  for (const name of xattrNames) remove(xattrKey(ino, name));
  remove(inodeKey(ino));
  if (orphaned) remove(orphanKey(ino));
  return { changes, rest: null };
}
