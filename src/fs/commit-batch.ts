/** What one commit carries: made in one go from what is dirty in memory, so that it is one moment's state. */
import { limits } from '../limits.js';
import type { CommitChanges } from '../tree/commit-record.js';
import { encodeEntry } from '../tree/entry-record.js';
import { encodeInode } from '../tree/inode-record.js';
import { entryKey, inodeKey, orphanKey, segmentKey, xattrKey } from '../tree/keys.js';
import { encodeSegment } from '../tree/segment-record.js';
import type { TreeChange } from '../tree/tree.js';
import { isMemory, recordOf } from './extents.js';
import type { Inode, Segment } from './inode.js';
import type { Deletion, Reaper } from './reaper.js';

/** Bytes of names a commit record lists before it says "everything" instead. */
const LISTED_NAME_BYTES_MAX = 128 << 10;

export class CommitBatch {
  readonly changes: TreeChange[] = [];
  /** With what the inode had before, to restore it, and what its record then says. */
  readonly #inodes: { inode: Inode; orphaned: boolean; fileBytes: number }[] = [];
  readonly #directories: Inode[] = [];
  readonly #segments: Segment[] = [];
  readonly #names: { inode: Inode; name: string }[] = [];
  readonly #xattrs: { inode: Inode; name: string }[] = [];
  readonly deletions: Deletion[] = [];
  /** By how many the number of inode records in the tree grows. */
  inodeCountChange = 0;
  /** By how much the sum of the sizes in the records of regular files grows. */
  fileBytesChange = 0;
  #nameBytes = 0;
  readonly #touchedInodes = new Set<number>();

  get isEmpty(): boolean {
    return this.changes.length === 0;
  }

  /**
   * Takes up an inode's record, segments and extended attributes. Its data must be sealed, unless what is in memory is to be
   * left out.
   */
  addInode(inode: Inode, leavesMemoryOut = false): void {
    inode.committing++;
    const { fileBytes } = inode;
    this.#inodes.push({ inode, orphaned: inode.orphaned, fileBytes });
    if (!inode.persisted) this.inodeCountChange++;
    this.fileBytesChange += fileBytes - inode.persistedFileBytes;
    this.#touchedInodes.add(inode.ino);
    inode.dirty = false;
    this.changes.push({ key: inodeKey(inode.ino), value: encodeInode(inode) });
    if (inode.nlink === 0 && !inode.orphaned) {
      this.changes.push({ key: orphanKey(inode.ino), value: Buffer.alloc(0) });
      inode.orphaned = true;
    } else if (inode.nlink > 0 && inode.orphaned) {
      this.changes.push({ key: orphanKey(inode.ino), value: null });
      inode.orphaned = false;
    }
    this.#addSegments(inode, leavesMemoryOut);
    this.#addXattrs(inode);
  }

  #addSegments(inode: Inode, leavesMemoryOut: boolean): void {
    for (const [index, segment] of inode.data?.segments ?? []) {
      if (!segment.dirty) continue;
      segment.dirty = false;
      this.#segments.push(segment);
      const key = segmentKey(inode.ino, index);
      const extents = leavesMemoryOut
        ? segment.extents.filter((extent) => !isMemory(extent))
        : segment.extents;
      if (extents.length > 0)
        this.changes.push({ key, value: encodeSegment(extents.map(recordOf)) });
      else if (index < inode.persistedSegmentsEnd) this.changes.push({ key, value: null });
    }
    inode.persistedSegmentsEnd = Math.max(inode.persistedSegmentsEnd, inode.segmentsEnd);
  }

  #addXattrs(inode: Inode): void {
    if (inode.xattrs === null) return;
    for (const name of inode.xattrs.dirtyNames) {
      const value = inode.xattrs.values.get(name) ?? null;
      this.changes.push({ key: xattrKey(inode.ino, name), value });
      this.#xattrs.push({ inode, name });
    }
    inode.xattrs.dirtyNames.clear();
  }

  /** Takes up the changed names of a directory. */
  addNames(inode: Inode): void {
    const { directory } = inode;
    if (directory === null) return;
    inode.committing++;
    this.#directories.push(inode);
    for (const name of directory.dirtyNames) {
      const entry = directory.entries.get(name) ?? null;
      const value = entry === null ? null : encodeEntry(entry);
      this.changes.push({ key: entryKey(inode.ino, name), value });
      this.#names.push({ inode, name });
      this.#nameBytes += name.length;
    }
    directory.dirtyNames.clear();
  }

  /** Takes up the removal of records of a deleted inode. */
  addDeletion(deletion: Deletion): void {
    const { inode } = deletion;
    this.deletions.push(deletion);
    this.#touchedInodes.add(inode.ino);
    for (const change of deletion.changes) this.changes.push(change);
    if (!deletion.isLast || !inode.persisted) return;
    this.inodeCountChange--;
    this.fileBytesChange -= inode.persistedFileBytes;
  }

  /** For followers; null when there is too much to list. */
  listChanges(): CommitChanges | null {
    if (
      this.#touchedInodes.size > limits.commit_changes_max ||
      this.#names.length > limits.commit_changes_max ||
      this.#nameBytes > LISTED_NAME_BYTES_MAX
    ) {
      return null;
    }
    const entries = this.#names.map(({ inode, name }) => ({ parent: inode.ino, name }));
    return { inodes: [...this.#touchedInodes], entries };
  }

  /** The tree has it. */
  succeeded(): void {
    for (const { inode, fileBytes } of this.#inodes) {
      inode.committing--;
      inode.commits++;
      inode.persisted = true;
      inode.persistedFileBytes = fileBytes;
    }
    for (const inode of this.#directories) inode.committing--;
  }

  /**
   * Nothing of it is in the tree: all of it is dirty again. `mark` puts an inode back on the list. What was deleted
   * meanwhile leaves the rest to the reaper.
   */
  failed(reaper: Reaper, mark: (inode: Inode) => void): void {
    reaper.putBack(this.deletions);
    for (const { inode, name } of this.#names) {
      inode.directory?.dirtyNames.add(name);
      reaper.addRecords(inode, 'entryNames', name);
    }
    for (const { inode, name } of this.#xattrs) {
      inode.xattrs?.dirtyNames.add(name);
      reaper.addRecords(inode, 'xattrNames', name);
    }
    for (const segment of this.#segments) segment.dirty = true;
    for (const { inode, orphaned } of this.#inodes) {
      inode.committing--;
      inode.orphaned = orphaned;
      if (!reaper.has(inode)) mark(inode);
    }
    for (const inode of this.#directories) {
      inode.committing--;
      if (!reaper.has(inode)) mark(inode);
    }
  }
}
