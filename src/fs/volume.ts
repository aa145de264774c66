/** What all operations share: the inodes, the ways to change them, and the form of an answer. */
import type {
  Caller,
  Entry,
  KernelNotifier,
  NegativeEntry,
  TimedAttributes,
} from '../../mount/file-system.js';
import type { ContentStore } from '../content/content-store.js';
import { LimitError, ReadOnlyError } from '../errors.js';
import { limits } from '../limits.js';
import type { Clock, Timestamp } from './clock.js';
import type { Committer } from './committer.js';
import type { FileContents } from './file-contents.js';
import type { HealthTeller } from './file-health.js';
import {
  attributesOf,
  Directory,
  Inode,
  type OwnerOverride,
  S_IFDIR,
  S_IFMT,
  S_ISGID,
  TOLD_NOTHING,
  TOLD_ONE_OF_SEVERAL,
} from './inode.js';
import type { InodeTable } from './inode-table.js';
import { withMemory } from './not-in-memory.js';
import type { DoomedRecords } from './reaper.js';
import type { Sealer } from './sealer.js';
import { ToldNames } from './told-names.js';

/**
 * How long the kernel may remember. Nobody else changes a drive that is open for writing, and a follower tells the
 * kernel what changed, so it is long.
 */
const REMEMBER_SEC = 3600;

/** How long it may remember a name that a follower could not take back. */
const REMEMBER_BRIEFLY_SEC = 1;

/** Inode numbers carry the writer in the bits above these. */
const INO_COUNTER_BITS = 40;

/** A file whose range has more segments is deleted by those that it has. */
const LISTED_SEGMENTS_MIN = 1024;

export interface VolumeOptions {
  table: InodeTable;
  contents: FileContents;
  content: ContentStore;
  sealer: Sealer;
  /** null when the drive is open for reading. */
  committer: Committer | null;
  /** It never changes. */
  isFixed?: boolean;
  clock: Clock;
  owner: OwnerOverride | null;
  log: (line: string) => void;
}

export class Volume {
  readonly table: InodeTable;
  readonly contents: FileContents;
  readonly content: ContentStore;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly owner: OwnerOverride | null;
  readonly log: (line: string) => void;
  readonly #committer: Committer | null;
  /** Names that a follower may have to take back; null on a drive that nobody else changes. */
  readonly toldNames: ToldNames | null;
  /** Set when the mount is up. */
  kernel: KernelNotifier | null = null;
  writebackCache = false;
  /** The version that is shown. */
  version: () => number = () => 0;
  /** Who knows how safe a file is; null for a drive that nobody else keeps. */
  health: HealthTeller | null = null;
  /** The kernel goes by access lists. */
  posixAcl = false;
  /** What the kernel is being told of the attributes of inodes. */
  readonly #telling = new Map<number, Promise<void>>();

  constructor(options: VolumeOptions) {
    this.table = options.table;
    this.contents = options.contents;
    this.content = options.content;
    this.sealer = options.sealer;
    this.clock = options.clock;
    this.owner = options.owner;
    this.log = options.log;
    this.#committer = options.committer;
    this.toldNames =
      options.committer === null && options.isFixed !== true ? new ToldNames() : null;
  }

  get readOnly(): boolean {
    return this.#committer === null;
  }

  /** Throws ReadOnlyError. */
  get committer(): Committer {
    if (this.#committer === null) {
      throw new ReadOnlyError('Cannot change the drive: it is open for reading');
    }
    return this.#committer;
  }

  /** Throws ReadOnlyError. */
  requireWritable(): void {
    this.committer.requireRunning();
  }

  // Answers

  /** What the kernel gets to know of an inode; with it, it may ask for the inode until it forgets it. */
  entryOf(inode: Inode): Entry {
    this.table.remember(inode.ino, inode.isDirectory);
    const { attributes, attributesTimeoutSec } = this.timedAttributes(inode);
    return { attributes, attributesTimeoutSec, entryTimeoutSec: REMEMBER_SEC };
  }

  /** `isRead` is false where the kernel may pass over the answer. */
  timedAttributes(inode: Inode, isRead = true): TimedAttributes {
    const attributes = attributesOf(inode, this.owner);
    const { blocks } = attributes;
    const remembers = inode.toldBlocks;
    if (isRead) inode.surelyToldBlocks = blocks;
    if (isRead || remembers === TOLD_NOTHING || remembers === blocks) inode.toldBlocks = blocks;
    else inode.toldBlocks = TOLD_ONE_OF_SEVERAL;
    return { attributes, attributesTimeoutSec: REMEMBER_SEC };
  }

  /**
   * A name was added, removed or replaced by somebody else than the kernel: it forgets what the name led to, and the listing of
   * the directory with its attributes, since a name that it never looked up is none that it forgets. Never rejects.
   */
  async forgetName(parent: number, name: string): Promise<void> {
    const { kernel, log } = this;
    if (kernel === null) return;
    try {
      await Promise.all([
        kernel.invalidateEntry(parent, name),
        kernel.invalidateInode(parent, 0, 0),
      ]);
    } catch (error) {
      log(`cannot tell the kernel of '${name}' in inode ${parent}: ${String(error)}`);
    }
  }

  /**
   * The kernel remembers attributes for long, and cannot know how many blocks its own writes take. Where it remembers a
   * wrong number, it is told to ask again. What it asks then costs an append as much as the append itself, so before a
   * commit (`isSoonAgain`) it is told only when the number is far off.
   */
  tellBlocks(inode: Inode, isSoonAgain = false): void {
    if (!this.#remembersWrongBlocks(inode)) return;
    const blocks = Math.ceil(inode.allocatedBytes / 512);
    const told = inode.surelyToldBlocks;
    if (isSoonAgain && blocks < 2 * told && told < 2 * blocks) return;
    inode.toldBlocks = TOLD_NOTHING;
    this.tellAttributes(inode.ino);
  }

  /** The kernel is to ask anew. */
  tellAttributes(ino: number): void {
    if (this.kernel === null) return;
    const told = this.kernel
      .invalidateAttributes(ino)
      .catch((error: unknown) =>
        this.log(`cannot tell the kernel of inode ${ino}: ${String(error)}`),
      )
      .finally(() => {
        if (this.#telling.get(ino) === told) this.#telling.delete(ino);
      });
    this.#telling.set(ino, told);
  }

  /** Resolves when the kernel has taken what {@link Volume.tellAttributes} told it; undefined when it has. Never rejects. */
  beingTold(ino: number): Promise<void> | undefined {
    return this.#telling.get(ino);
  }

  /**
   * A descriptor for writing was closed. A kernel that caches writes has forgotten the number by itself before, if that
   * is not the one its last writes made.
   */
  closed(inode: Inode): void {
    if (!this.writebackCache) this.tellBlocks(inode);
    else if (this.#remembersWrongBlocks(inode)) inode.toldBlocks = TOLD_NOTHING;
  }

  #remembersWrongBlocks(inode: Inode): boolean {
    if (inode.toldBlocks === TOLD_NOTHING || inode.gone) return false;
    return Math.ceil(inode.allocatedBytes / 512) !== inode.toldBlocks;
  }

  /** What a name leads to, or that it leads nowhere. */
  entryAt(parent: number, name: string, inode: Inode): Entry;
  entryAt(parent: number, name: string, inode: Inode | null): Entry | NegativeEntry;
  entryAt(parent: number, name: string, inode: Inode | null): Entry | NegativeEntry {
    const isNoted = this.toldNames?.add(parent, name) ?? true;
    const entryTimeoutSec = isNoted ? REMEMBER_SEC : REMEMBER_BRIEFLY_SEC;
    if (inode === null) return { attributes: null, entryTimeoutSec };
    const entry = this.entryOf(inode);
    entry.entryTimeoutSec = entryTimeoutSec;
    return entry;
  }

  // Changes

  /**
   * A new inode without a name. The set-group-id bit of its directory rules its group.
   * Throws LimitError, NotInMemory, and what `Committer.admit` throws.
   */
  newInode(parent: Inode, mode: number, caller: Caller, now: Timestamp): Inode {
    const { committer } = this;
    const counter = committer.nextIno;
    if (counter >= 2 ** INO_COUNTER_BITS)
      throw new LimitError('Cannot create: out of inode numbers');
    committer.admit(limits.new_file_record_bytes);
    committer.nextIno++;
    const inode = new Inode(this.content.writer * 2 ** INO_COUNTER_BITS + counter);
    const inherits = (parent.mode & S_ISGID) !== 0;
    const isDirectory = (mode & S_IFMT) === S_IFDIR;
    inode.mode = isDirectory && inherits ? mode | S_ISGID : mode;
    inode.uid = caller.uid;
    inode.gid = inherits ? parent.gid : caller.gid;
    inode.setAtime(now);
    inode.modified(now);
    inode.btimeSec = now.sec;
    inode.btimeNsec = now.nsec;
    if (isDirectory) {
      inode.nlink = 2;
      inode.parent = parent.ino;
      inode.directory = new Directory(true);
    }
    this.table.add(inode);
    committer.inodeCount++;
    return inode;
  }

  /** Sets an extended attribute, or removes it (null). The inode's must be in memory, and it must be marked as dirty. */
  putXattr(inode: Inode, name: string, value: Buffer | null): void {
    const xattrs = this.table.needXattrs(inode);
    if (value === null) xattrs.values.delete(name);
    else xattrs.values.set(name, value);
    xattrs.dirtyNames.add(name);
    inode.xattrCount = xattrs.values.size;
  }

  /** Lets a name lead to an inode. The name must be free or about to be replaced by the caller. */
  addName(parent: Inode, name: string, inode: Inode, now: Timestamp): void {
    this.table.setEntry(parent, name, { ino: inode.ino, type: inode.mode & S_IFMT });
    this.#namesChanged(parent, 1, now);
  }

  removeName(parent: Inode, name: string, now: Timestamp): void {
    this.table.setEntry(parent, name, null);
    this.#namesChanged(parent, -1, now);
  }

  /** Lets a name that is there lead elsewhere. */
  replaceName(parent: Inode, name: string, inode: Inode, now: Timestamp): void {
    this.table.setEntry(parent, name, { ino: inode.ino, type: inode.mode & S_IFMT });
    this.#namesChanged(parent, 0, now);
  }

  #namesChanged(parent: Inode, count: number, now: Timestamp): void {
    parent.size = Math.max(0, parent.size + count);
    parent.modified(now);
    this.committer.markNames(parent);
    this.committer.markInode(parent);
  }

  /** A name of the inode is gone. Deletes the inode when it was the last and nobody holds it. */
  dropLink(inode: Inode, now: Timestamp): void {
    inode.nlink = inode.isDirectory ? 0 : Math.max(0, inode.nlink - 1);
    inode.setCtime(now);
    this.committer.markInode(inode);
    this.deleteIfUnused(inode);
  }

  /** The inode has no name, no handle, and the kernel has forgotten it: its records go. */
  deleteIfUnused(inode: Inode): void {
    if (inode.nlink > 0 || inode.opens > 0 || inode.gone || this.readOnly) return;
    if (this.table.isRemembered(inode.ino)) return;
    // It is being emptied in the background.
    if (inode.isDirectory && inode.size > 0) return;
    inode.gone = true;
    const { committer } = this;
    committer.inodeCount--;
    committer.fileBytes -= inode.fileBytes;
    const mayHaveRecords = inode.persisted || inode.committing > 0;
    const mayHaveXattrs = inode.xattrCount > 0 || (inode.xattrs?.dirtyNames.size ?? 0) > 0;
    const isWide = Math.max(inode.segmentsEnd, inode.persistedSegmentsEnd) > LISTED_SEGMENTS_MIN;
    if (mayHaveRecords && (mayHaveXattrs || isWide)) this.#doomWithRecords(inode, isWide);
    else this.#doom(inode, { xattrNames: [], segments: null });
  }

  #doom(inode: Inode, records: DoomedRecords): void {
    this.contents.discard(inode);
    if (inode.persisted || inode.committing > 0) this.committer.doom(inode, records);
    else this.committer.unmark(inode);
    this.table.remove(inode);
  }

  /**
   * What is to go must be known before; until then an orphan record keeps hold of the inode. The range of a file may be
   * a million times as large as what it holds, so the segments of a wide one are looked for.
   */
  #doomWithRecords(inode: Inode, isWide: boolean): void {
    let listedAt = -1;
    const doomed = withMemory(() => {
      const { values, dirtyNames } = this.table.needXattrs(inode);
      // What a commit adds while the tree is looked through may be in neither place.
      if (listedAt !== this.committer.version) this.table.dataOf(inode).stored = null;
      listedAt = this.committer.version;
      const segments = isWide ? this.table.needStoredSegments(inode, 0) : null;
      const inMemory = inode.data?.segments.keys() ?? [];
      // Names removed in memory only may still be in the tree.
      this.#doom(inode, {
        xattrNames: [...values.keys(), ...dirtyNames],
        segments: segments === null ? null : [...new Set([...segments, ...inMemory])],
      });
    }, null);
    if (!(doomed instanceof Promise)) return;
    doomed.catch((error: unknown) => {
      this.log(`inode ${inode.ino} stays an orphan until the next mount: ${String(error)}`);
    });
  }

  /** Sets the size of a regular file and keeps the drive's total. */
  resized(before: number, inode: Inode): void {
    if (inode.size !== before) this.committer.fileBytes += inode.size - before;
  }
}
