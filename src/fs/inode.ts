/** An inode in memory: its record, and what hangs on it while it is in use. */
import type { Attributes } from '../../mount/file-system.js';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import type { EntryRecord } from '../tree/entry-record.js';
import type { InodeRecord } from '../tree/inode-record.js';
import type { Timestamp } from './clock.js';
import type { Extent } from './extents.js';
import type { OlderHead } from './inodes-in-use.js';
import { NotedWrites } from './noted-writes.js';

export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFSOCK = 0o140000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_IXGRP = 0o0010;
export const S_IRWXUGO = 0o0777;

/** Extents of one stretch of a file. */
export interface Segment {
  extents: Extent[];
  /** Differs from the tree's record. */
  dirty: boolean;
  /** Counts changes, so that background work can tell whether it was overtaken. */
  changes: number;
  /** In how few extents the content could be when it was last tried. */
  joinedExtents: number;
}

/** Content of a regular file, as far as it is in memory. */
export class FileData {
  readonly segments = new Map<number, Segment>();
  /** Numbers of segments that hold written data which is in no chunk yet. */
  readonly memorySegments = new Set<number>();
  /** Bytes of such data. */
  memoryBytes = 0;
  /** What of it is durable. */
  readonly noted = new NotedWrites();
  /** Answer to `needStoredSegments`, for one use. */
  stored: { from: number; commits: number; indexes: number[] } | null = null;
  /** Streaming looks for complete chunks when `memoryBytes` reaches this. */
  sealAtBytes = 0;
}

/** Names of a directory, as far as they are in memory. */
export class Directory {
  /** null: known to be absent. */
  readonly entries = new Map<string, EntryRecord | null>();
  /** All names are in `entries`; any other is absent. */
  complete: boolean;
  /** Names that differ from the tree. */
  readonly dirtyNames = new Set<string>();
  /** Names that are being loaded, and whether all are: what is found is as old as the beginning. */
  readonly loading = new Set<string>();
  isLoadingAll = false;
  /** In what order the last listing was, which goes on at positions in it. */
  listed: readonly string[] | null = null;
  #missing = 0;
  #missingMax: number = limits.missing_names_max;

  constructor(complete: boolean) {
    this.complete = complete;
  }

  /** Says what a name leads to. */
  set(name: string, entry: EntryRecord | null): void {
    if (this.entries.get(name) === null) this.#missing--;
    if (entry === null && this.complete) {
      this.entries.delete(name);
      return;
    }
    this.entries.set(name, entry);
    if (entry === null) this.#missing++;
  }

  /** All names that are not in `entries` are absent. */
  setComplete(): void {
    this.complete = true;
    for (const [name, entry] of this.entries) if (entry === null) this.entries.delete(name);
    this.#missing = 0;
  }

  /**
   * Forgets absent names that the tree does not have, once there are many: a program may look for ever new ones. Not to be called
   * while a commit carries changes of them.
   */
  dropMissing(): void {
    if (this.#missing <= this.#missingMax || this.isLoadingAll) return;
    for (const [name, entry] of this.entries) {
      if (entry !== null || this.dirtyNames.has(name) || this.loading.has(name)) continue;
      this.entries.delete(name);
      this.#missing--;
    }
    this.#missingMax = Math.max(limits.missing_names_max, 2 * this.#missing);
  }
}

/** All extended attributes of an inode. */
export class Xattrs {
  readonly values = new Map<string, Buffer>();
  readonly dirtyNames = new Set<string>();
}

export function newSegment(): Segment {
  return { extents: [], dirty: false, changes: 0, joinedExtents: 0 };
}

/** What is in a segment that nobody wrote to. */
export const NO_SEGMENT: Segment = Object.freeze({
  ...newSegment(),
  extents: Object.freeze([]) as unknown as Extent[],
});

/** The kernel remembers no number of blocks. */
export const TOLD_NOTHING = -1;
/** It remembers one that it was told, but not surely the last one. */
export const TOLD_ONE_OF_SEVERAL = -2;

export class Inode implements InodeRecord {
  readonly ino: number;
  mode = 0;
  uid = 0;
  gid = 0;
  nlink = 0;
  size = 0;
  allocatedBytes = 0;
  atimeSec = 0;
  atimeNsec = 0;
  mtimeSec = 0;
  mtimeNsec = 0;
  ctimeSec = 0;
  ctimeNsec = 0;
  btimeSec = 0;
  btimeNsec = 0;
  rdev = 0;
  segmentsEnd = 0;
  xattrCount = 0;
  parent = 0;
  inline: Buffer | null = null;

  /** The tree has records of it. */
  persisted = false;
  /** The tree has an orphan record of it. */
  orphaned = false;
  /** One above the highest segment the tree may have. */
  persistedSegmentsEnd = 0;
  /** Size of a regular file in the tree's record; 0 for anything else, and without a record. */
  persistedFileBytes = 0;
  /** Its record differs from the tree. */
  dirty = false;
  /** Commits under way that carry records of it. */
  committing = 0;
  /** Commits that had records of it. */
  commits = 0;
  /** Open handles. */
  opens = 0;
  /** Open handles that may write. */
  writers = 0;
  /** Some handle could write since the inode came into memory, so the kernel may hold data we have not seen. */
  everWritable = false;
  /** `blocks` that the kernel remembers, or one of the TOLD values. */
  toldBlocks = TOLD_NOTHING;
  /** `blocks` in the last answer that the kernel did not pass over. */
  surelyToldBlocks = 0;
  /** Used since the last look for what to forget. */
  touched = true;
  /** Deleted for good. */
  gone = false;
  /** The drive has it no more, a program on a reading mount does: the head at which its other records are. */
  kept: OlderHead | null = null;

  data: FileData | null = null;
  directory: Directory | null = null;
  xattrs: Xattrs | null = null;

  constructor(ino: number, record?: InodeRecord) {
    this.ino = ino;
    if (record === undefined) return;
    Object.assign(this, record);
    this.persisted = true;
    this.persistedSegmentsEnd = record.segmentsEnd;
    this.persistedFileBytes = this.fileBytes;
  }

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }

  get isFile(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }

  /** What it adds to the drive's sum of the sizes of all files. */
  get fileBytes(): number {
    return this.isFile ? this.size : 0;
  }

  get isSymlink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK;
  }

  /** A directory has one less in it. One that was detached from the tree counts none any more. */
  dropSubdirectory(): void {
    if (this.nlink > 0) this.nlink--;
  }

  /** Whether its names differ from the tree. */
  get hasDirtyNames(): boolean {
    return this.directory !== null && this.directory.dirtyNames.size > 0;
  }

  /** The tree has no record of a segment from here on that is not in memory, too. */
  get storedSegmentsEnd(): number {
    return this.persisted ? Math.min(this.segmentsEnd, this.persistedSegmentsEnd) : 0;
  }

  /** It never had a name in the tree and has none now: a commit passes over it. */
  get isMemoryOnly(): boolean {
    return this.nlink === 0 && !this.persisted && this.committing === 0;
  }

  /** Whether memory is the only place that knows something of it. */
  get isPinned(): boolean {
    // An inode without a name is deleted when the kernel forgets it, which only memory knows.
    return (
      this.nlink === 0 ||
      this.dirty ||
      !this.persisted ||
      this.committing > 0 ||
      this.opens > 0 ||
      this.hasDirtyNames
    );
  }

  setAtime(time: Timestamp): void {
    this.atimeSec = time.sec;
    this.atimeNsec = time.nsec;
  }

  setMtime(time: Timestamp): void {
    this.mtimeSec = time.sec;
    this.mtimeNsec = time.nsec;
  }

  setCtime(time: Timestamp): void {
    this.ctimeSec = time.sec;
    this.ctimeNsec = time.nsec;
  }

  /** Content or names changed. */
  modified(time: Timestamp): void {
    this.setMtime(time);
    this.setCtime(time);
  }

  /** The content of a symbolic link. Throws DamagedError. */
  get target(): Buffer {
    if (this.inline === null || this.inline.length === 0) {
      throw new DamagedError(`Symbolic link ${this.ino} has no target`);
    }
    if (this.inline.includes(0)) {
      throw new DamagedError(`Symbolic link ${this.ino} has a target with a zero byte`);
    }
    return this.inline;
  }
}

const STAT_BLOCK_BYTES = 512;
const DIRECTORY_BYTES = 4096;
const IO_BLOCK_BYTES = 4096;

/** Whose files a mount shows: null keeps the stored owners. */
export interface OwnerOverride {
  uid: number;
  gid: number;
}

/** What `stat` shows. */
export function attributesOf(inode: Inode, owner: OwnerOverride | null): Attributes {
  return {
    ino: inode.ino,
    size: inode.isDirectory ? DIRECTORY_BYTES : inode.size,
    blocks: Math.ceil(inode.allocatedBytes / STAT_BLOCK_BYTES),
    atimeSec: inode.atimeSec,
    atimeNsec: inode.atimeNsec,
    mtimeSec: inode.mtimeSec,
    mtimeNsec: inode.mtimeNsec,
    ctimeSec: inode.ctimeSec,
    ctimeNsec: inode.ctimeNsec,
    btimeSec: inode.btimeSec,
    btimeNsec: inode.btimeNsec,
    mode: inode.mode,
    nlink: inode.nlink,
    uid: owner === null ? inode.uid : owner.uid,
    gid: owner === null ? inode.gid : owner.gid,
    rdev: inode.rdev,
    blockSize: IO_BLOCK_BYTES,
  };
}

/** Number of the segment that holds the byte at `offset`. */
export function segmentOf(offset: number): number {
  return Math.floor(offset / limits.segment_bytes);
}
