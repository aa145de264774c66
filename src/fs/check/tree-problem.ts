/** What a check of the tree finds, and what would mend it. */
import type { LostRecords } from '../../tree/tree.js';

/** A change of the tree that takes nothing away that can still be read. */
export type Fix =
  /** The record cannot be read, or belongs to nothing. */
  | { kind: 'drop'; key: Buffer }
  /** A name leads to what is no more. */
  | { kind: 'drop-name'; parent: number; name: string }
  /** The record of the inode is gone, what belongs to it is not. */
  | { kind: 'rebuild'; ino: number }
  /** It has no name: it gets one in `lost+found`. */
  | { kind: 'adopt'; ino: number }
  /** Its record counts wrong. */
  | { kind: 'recount'; ino: number }
  /** The entry says another type than the inode. */
  | { kind: 'retype'; parent: number; name: string; ino: number; type: number }
  /** A directory has too many names, or is in a ring: those in other directories than `keep` go. */
  | { kind: 'unname'; ino: number; keep: number | null }
  | { kind: 'superblock' }
  /** The commit record: every commit writes it anew. */
  | { kind: 'commit' };

/** Something that does not fit. */
export interface TreeProblem {
  /** The inode it is about; null for what belongs to the whole drive. */
  ino: number | null;
  /** An entry of the directory `ino` that it is about. */
  name?: string;
  /** Bytes of the file `ino` that cannot be read. */
  range?: { start: number; end: number };
  message: string;
  /** null: nothing that is on this machine helps. */
  fix: Fix | null;
}

/** What a check found in the tree. */
export interface TreeReport {
  /** The first ones. */
  problems: TreeProblem[];
  problemCount: number;
  /** Files that were deleted while open. Right after a crash there may be some; the next mount deletes them. */
  orphans: number[];
  inodes: number;
  /** Sum of the sizes of all regular files in bytes. */
  fileBytes: number;
  /** Where records are missing that the tree had. */
  lost: LostRecords[];
  /** Commits as the commit record counts them; 0 when it cannot be read. */
  version: number;
}
