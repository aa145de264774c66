/**
 * Inodes in memory, and the way from the tree into memory. Look-ups named `need…` answer from memory or throw
 * {@link NotInMemory}; see there for the rule.
 */
import type { ChunkReference } from '../content/content-store.js';
import { DamagedError } from '../errors.js';
import { decodeEntry, type EntryRecord, entryNameOfKey } from '../tree/entry-record.js';
import { decodeInode, type InodeRecord } from '../tree/inode-record.js';
import {
  entryKey,
  inodeKey,
  nameOfKey,
  RecordKind,
  rangeOfInode,
  segmentKey,
  segmentOfKey,
} from '../tree/keys.js';
import type { TreeView } from '../tree/tree.js';
import { type CacheLimits, FULL_CACHE } from './cache-limits.js';
import { DamageReports, damagedEntry } from './damage-reports.js';
import { DirectoryCache } from './directory-cache.js';
import {
  Directory,
  FileData,
  Inode,
  NO_SEGMENT,
  newSegment,
  S_IFMT,
  type Segment,
  Xattrs,
} from './inode.js';
import { InodesInUse, type OlderHead } from './inodes-in-use.js';
import { keptDirectory, keptFile } from './kept-inodes.js';
import { loadedSegment, nextSegment, SEGMENTS_PER_SCAN_MAX } from './load-segments.js';
import { loadXattrs } from './load-xattrs.js';
import { Moves } from './moves.js';
import { NamesBudget } from './names-budget.js';
import { NotInMemory } from './not-in-memory.js';
import { NumberCounts } from './number-counts.js';
import { PosixError } from './posix-error.js';
import { SegmentQueue } from './segment-queue.js';

const ROOT_INO = 1;

/** Segments looked at before others are loaded; after a commit all are. */
const EVICTION_STEPS_PER_LOAD_MAX = 256;

/** Entries looked at per added one when the table is full, so that no single look-up pays for all. */
const EVICTION_STEPS_MAX = 8;

export interface InodeTableOptions {
  view: TreeView;
  /** What a missing inode means: a follower may have been overtaken, the only writer has a damaged tree. */
  readOnly: boolean;
  log: (line: string) => void;
  cacheLimits?: CacheLimits;
  /** Told of the chunks of files as they come into memory. */
  onChunk?: (chunk: ChunkReference) => void;
}

export class InodeTable {
  /** Where records are read. A follower moves it when it takes over a newer head. */
  view: TreeView;
  readonly #readOnly: boolean;
  readonly #log: (line: string) => void;
  readonly #max: CacheLimits;
  readonly #onChunk: (chunk: ChunkReference) => void;
  readonly #inodes = new Map<number, Inode>();
  /** Goes round all inodes: starting at the first one each time would step over all that were removed before it. */
  #evictionCursor = this.#inodes.values();
  /** Lookups the kernel was answered and has not forgotten. */
  readonly #lookups = new NumberCounts();
  /** What is in use on a reading mount; nobody else changes a drive that is written here. */
  readonly inUse = new InodesInUse();
  /** Loads under way, so that callers share them. */
  #loading = new Map<string, Promise<void>>();
  readonly #moves = new Moves();
  readonly #segmentQueue: SegmentQueue;
  readonly #directories: DirectoryCache;
  /** Lines about damage that were written, by inode. */
  readonly #reports = new DamageReports();

  constructor(options: InodeTableOptions) {
    this.view = options.view;
    this.#readOnly = options.readOnly;
    this.#log = options.log;
    this.#max = options.cacheLimits ?? FULL_CACHE;
    this.#onChunk = options.onChunk ?? (() => {});
    this.#segmentQueue = new SegmentQueue(this.#max.segments);
    this.#directories = new DirectoryCache(this.#max.directoryEntries);
  }

  get size(): number {
    return this.#inodes.size;
  }

  /** Names of directories in memory, missing ones too. */
  get cachedEntries(): number {
    return this.#directories.names;
  }

  // Inodes

  /** Throws NotInMemory. */
  need(ino: number): Inode {
    const inode = this.#inodes.get(ino);
    if (inode !== undefined) {
      inode.touched = true;
      return inode;
    }
    throw new NotInMemory(this.load(ino));
  }

  /**
   * What a name leads to. Throws NotInMemory, and DamagedError where that is none of what the name says: a directory
   * has one place in the tree, so nobody can be led in circles.
   */
  needNamed(directory: Inode, name: string, entry: EntryRecord): Inode {
    const { ino, type } = entry;
    const inode = this.#inodes.get(ino);
    if (inode === undefined) throw new NotInMemory(this.loadNamed(directory, name, ino));
    inode.touched = true;
    if ((inode.mode & S_IFMT) !== type) {
      throw damagedEntry(directory, name, `leads to inode ${ino}, which is of another type`);
    }
    if (inode.isDirectory && (ino === ROOT_INO || inode.parent !== directory.ino)) {
      throw damagedEntry(directory, name, `leads to directory ${ino}, which is in another place`);
    }
    return inode;
  }

  /** Like {@link InodeTable.load} for an inode that must be there, since a name leads to it. */
  async loadNamed(directory: Inode, name: string, ino: number): Promise<void> {
    const { view } = this;
    try {
      await this.load(ino);
    } catch (error) {
      // A follower that has moved on meanwhile may well find that it is gone.
      const isGone = error instanceof PosixError && error.errno === 'ESTALE' && view === this.view;
      throw isGone
        ? damagedEntry(directory, name, `leads to inode ${ino}, which is missing`)
        : error;
    }
  }

  peek(ino: number): Inode | undefined {
    return this.#inodes.get(ino);
  }

  all(): IterableIterator<Inode> {
    return this.#inodes.values();
  }

  /** Brings an inode into memory. Rejects with DamagedError, UnavailableError, or ESTALE for a follower. */
  load(ino: number): Promise<void> {
    return this.#share(`i${ino}`, async () => {
      const { view } = this;
      const bytes = await view.get(inodeKey(ino));
      if (view !== this.view || this.#inodes.has(ino)) return;
      if (bytes === null) {
        if (!this.#readOnly) throw new DamagedError(`Inode ${ino} is missing from the tree`);
        const kept = await keptDirectory(ino, this.inUse.lastHeadOf(ino));
        if (view !== this.view || this.#inodes.has(ino)) return;
        if (kept === null || !this.isRemembered(ino)) throw new PosixError('ESTALE');
        this.add(kept);
        return;
      }
      this.add(new Inode(ino, decodeInode(ino, bytes)));
    });
  }

  /** Takes in a new or loaded inode. */
  add(inode: Inode): void {
    this.#inodes.set(inode.ino, inode);
    if (this.#inodes.size > this.#max.inodes) this.#evictInodes();
  }

  /** Drops an inode that was deleted, or that somebody else changed. */
  remove(inode: Inode): void {
    this.#dropContents(inode);
    if (this.#inodes.get(inode.ino) === inode) this.#inodes.delete(inode.ino);
  }

  /** Drops everything but what is kept; for a follower that lost track. */
  removeAll(): void {
    for (const inode of this.#inodes.values()) if (inode.kept === null) this.remove(inode);
  }

  // What the shown head has no more

  /** To be called before the head is shown that lacks an open file: it goes on with what it was at an older one. */
  keep(ino: number, record: InodeRecord, older: OlderHead): void {
    const known = this.#inodes.get(ino);
    const isShown = older.view === this.view;
    if (known !== undefined && !isShown) this.remove(known);
    this.add(keptFile(isShown ? known : undefined, ino, record, older));
  }

  /** Drops an inode that was kept once it is not in use any more; with `isLost` in any case. */
  dropKept(ino: number, isLost = false): void {
    const inode = this.#inodes.get(ino);
    if (inode === undefined || inode.kept === null) return;
    const isUsed = inode.isDirectory ? this.isRemembered(ino) : this.inUse.isOpen(ino);
    if (isLost || !isUsed) this.remove(inode);
  }

  /** Where the records of an inode are. */
  viewOf(inode: Inode): TreeView {
    return inode.kept?.view ?? this.view;
  }

  // The kernel's references

  remember(ino: number, isDirectory = false): void {
    this.#lookups.add(ino);
    if (isDirectory && this.#readOnly) this.inUse.addDirectory(ino);
  }

  /** Returns whether the kernel has forgotten the inode altogether. */
  forget(ino: number, count: number): boolean {
    if (this.#lookups.remove(ino, count) > 0) return false;
    this.inUse.forgetDirectory(ino);
    this.dropKept(ino);
    return true;
  }

  isRemembered(ino: number): boolean {
    return this.#lookups.has(ino);
  }

  rememberedInodes(): IterableIterator<number> {
    return this.#lookups.keys();
  }

  // Directories

  /** What a name leads to; null when there is no such name. Throws NotInMemory, ENOTDIR. */
  needEntry(inode: Inode, name: string): EntryRecord | null {
    const directory = this.#directoryOf(inode);
    const entry = directory.entries.get(name);
    if (entry !== undefined) return entry;
    if (directory.complete) return null;
    throw new NotInMemory(this.#loadEntry(inode, directory, name));
  }

  /** The directory with all its names. Throws NotInMemory, ENOTDIR. */
  needAllEntries(inode: Inode): Directory {
    const directory = this.#directoryOf(inode);
    if (directory.complete) return directory;
    throw new NotInMemory(this.#loadAllEntries(inode, directory));
  }

  /** Changes what a name leads to in memory. The caller marks it for the commit. */
  setEntry(inode: Inode, name: string, entry: EntryRecord | null): void {
    const directory = this.#directoryOf(inode);
    directory.dirtyNames.add(name);
    this.#put(inode, directory, name, entry);
  }

  #put(inode: Inode, directory: Directory, name: string, entry: EntryRecord | null): void {
    const before = directory.entries.size;
    directory.set(name, entry);
    if (inode.committing === 0) directory.dropMissing();
    if (inode.directory === directory) this.#directories.count(directory.entries.size - before);
  }

  /** Forgets the names of a directory unless the tree lacks some of them. */
  dropNames(inode: Inode): void {
    if (!inode.hasDirtyNames && inode.committing === 0) this.#directories.drop(inode);
  }

  #directoryOf(inode: Inode): Directory {
    if (!inode.isDirectory) throw new PosixError('ENOTDIR');
    if (inode.directory === null) inode.directory = new Directory(!inode.persisted);
    this.#directories.use(inode);
    return inode.directory;
  }

  #loadEntry(inode: Inode, directory: Directory, name: string): Promise<void> {
    return this.#share(`e${inode.ino}/${name}`, async () => {
      directory.loading.add(name);
      const bytes = await this.view
        .get(entryKey(inode.ino, name))
        .finally(() => directory.loading.delete(name));
      // What was changed meanwhile is newer than what was read.
      if (directory.complete || directory.entries.has(name)) return;
      this.#put(inode, directory, name, bytes === null ? null : decodeEntry(bytes));
      this.#evictOthers(inode, directory);
    });
  }

  #loadAllEntries(inode: Inode, directory: Directory): Promise<void> {
    return this.#share(`d${inode.ino}`, async () => {
      directory.isLoadingAll = true;
      await this.#loadInto(inode, directory).finally(() => {
        directory.isLoadingAll = false;
      });
      const before = directory.entries.size;
      directory.setComplete();
      if (inode.directory === directory) this.#directories.count(directory.entries.size - before);
      this.#evictOthers(inode, directory);
    });
  }

  /** Whoever waited for this one is to find it. */
  #evictOthers(inode: Inode, directory: Directory): void {
    if (inode.directory === directory) this.#directories.use(inode);
    this.#directories.evict();
  }

  async #loadInto(inode: Inode, directory: Directory): Promise<void> {
    const { from, to } = rangeOfInode(RecordKind.entry, inode.ino);
    const budget = new NamesBudget(inode.ino, this.#max.directoryBytes);
    for await (const { key, value } of this.view.range(from, to)) {
      try {
        const name = entryNameOfKey(key);
        budget.add(name, () => this.dropNames(inode));
        if (!directory.entries.has(name)) this.#put(inode, directory, name, decodeEntry(value));
      } catch (error) {
        // One bad name must not hide the others.
        if (!(error instanceof DamagedError)) throw error;
        const name = JSON.stringify(nameOfKey(key));
        this.reportDamage(inode.ino, `entry ${name}: ${error.message}`);
      }
    }
  }

  // Segments

  /** For reading: the segment, or an empty one. Throws NotInMemory. */
  needSegment(inode: Inode, index: number): Segment {
    const segment = inode.data?.segments.get(index);
    if (segment !== undefined) return segment;
    if (index >= inode.storedSegmentsEnd) return NO_SEGMENT;
    throw new NotInMemory(this.loadSegments(inode, index, index + 1));
  }

  /** Makes sure that segments [first, end) can be had with `needSegment`. Throws NotInMemory. */
  needSegments(inode: Inode, first: number, end: number): void {
    const last = Math.min(end, inode.storedSegmentsEnd);
    for (let index = first; index < last; index++) {
      if (inode.data?.segments.has(index)) continue;
      const until = Math.min(last, index + SEGMENTS_PER_SCAN_MAX);
      throw new NotInMemory(this.loadSegments(inode, index, until));
    }
  }

  /** For writing: the segment, which becomes part of the file. Call `needSegments` before. */
  segmentForWriting(inode: Inode, index: number): Segment {
    const data = this.dataOf(inode);
    let segment = data.segments.get(index);
    if (segment === undefined) {
      segment = newSegment();
      data.segments.set(index, segment);
      this.#segmentQueue.push(inode, index);
    }
    segment.dirty = true;
    segment.changes++;
    if (index >= inode.segmentsEnd) inode.segmentsEnd = index + 1;
    return segment;
  }

  dataOf(inode: Inode): FileData {
    inode.data ??= new FileData();
    return inode.data;
  }

  /** Loads segments [first, end) with one range scan. */
  loadSegments(inode: Inode, first: number, end: number): Promise<void> {
    return this.#share(`s${inode.ino}/${first}-${end}`, async () => {
      const data = this.dataOf(inode);
      const view = this.viewOf(inode);
      const found = new Map<number, Segment>();
      const loaded = (index: number, bytes: Buffer): Segment =>
        loadedSegment(inode.ino, index, bytes, this.#onChunk);
      if (end === first + 1) {
        const bytes = await view.get(segmentKey(inode.ino, first));
        if (bytes !== null) found.set(first, loaded(first, bytes));
      } else {
        const range = view.range(segmentKey(inode.ino, first), segmentKey(inode.ino, end));
        for await (const { key, value } of range) {
          const index = segmentOfKey(key);
          found.set(index, loaded(index, value));
        }
      }
      // Before, not after: what is loaded now must stay until it was used.
      this.#segmentQueue.evict(EVICTION_STEPS_PER_LOAD_MAX);
      for (let index = first; index < end; index++) {
        if (data.segments.has(index)) continue;
        data.segments.set(index, found.get(index) ?? newSegment());
        this.#segmentQueue.push(inode, index);
      }
    });
  }

  /** The first segment at or behind `index` that may hold data, or -1. */
  nextSegment(inode: Inode, index: number): Promise<number> {
    return nextSegment(this.viewOf(inode), inode, index);
  }

  /**
   * Numbers of the segments from `from` on that the tree has records of. For a cut that would drop so many that each
   * cannot be looked at. Throws NotInMemory; the answer is good for one use.
   */
  needStoredSegments(inode: Inode, from: number): number[] {
    const data = this.dataOf(inode);
    const { stored } = data;
    data.stored = null;
    const { commits } = inode;
    if (stored?.from === from && stored.commits === commits) return stored.indexes;
    if (from >= inode.storedSegmentsEnd) return [];
    throw new NotInMemory(
      this.#share(`n${inode.ino}/${from}`, async () => {
        const indexes: number[] = [];
        const end = inode.storedSegmentsEnd;
        const range = this.view.range(segmentKey(inode.ino, from), segmentKey(inode.ino, end));
        for await (const { key } of range) indexes.push(segmentOfKey(key));
        // A commit that came meanwhile may have made others.
        data.stored = { from, commits, indexes };
      }),
    );
  }

  // Extended attributes

  /** Throws NotInMemory. */
  needXattrs(inode: Inode): Xattrs {
    if (inode.xattrs === null && inode.xattrCount === 0) inode.xattrs = new Xattrs();
    if (inode.xattrs !== null) return inode.xattrs;
    throw new NotInMemory(
      this.#share(`x${inode.ino}`, async () => {
        const report = (line: string) => this.reportDamage(inode.ino, line);
        const xattrs = await loadXattrs(this.viewOf(inode), inode.ino, report);
        inode.xattrs ??= xattrs;
      }),
    );
  }

  // Loading and forgetting

  /** A follower moved to another head: what is being loaded from the old one is of no use. */
  startOver(view: TreeView): void {
    this.view = view;
    this.#loading = new Map();
    this.#moves.move();
  }

  #share(what: string, load: () => Promise<void>): Promise<void> {
    const loading = this.#loading;
    const existing = loading.get(what);
    if (existing !== undefined) return existing;
    const promise = this.#moves.race(load().finally(() => loading.delete(what)));
    loading.set(what, promise);
    return promise;
  }

  /** Writes a line about a damaged record, unless there were many about the same inode. */
  reportDamage(ino: number, line: string): void {
    if (!this.#reports.admits(ino)) return;
    this.#log(`damaged record in directory or inode ${ino}: ${line}`);
  }

  #dropContents(inode: Inode): void {
    this.#directories.drop(inode);
    this.#segmentQueue.drop(inode);
    inode.data = null;
    inode.xattrs = null;
  }

  #evictInodes(): void {
    for (let steps = 0; steps < EVICTION_STEPS_MAX; steps++) {
      if (this.#inodes.size <= this.#max.inodes) return;
      const { value: inode, done } = this.#evictionCursor.next();
      if (done === true) this.#evictionCursor = this.#inodes.values();
      if (inode === undefined) continue;
      // A reader deletes nothing, whatever the number of links.
      const isUsed = inode.opens > 0 || inode.kept !== null;
      const isPinned = this.#readOnly ? isUsed : inode.isPinned;
      if (!isPinned && !inode.touched) this.remove(inode);
      inode.touched = false;
    }
  }

  /** More segments are in memory than should be, most of them dirty: a commit has to make room, and can. */
  get isCrowded(): boolean {
    return this.#segmentQueue.length > 2 * this.#max.segments;
  }

  /** Forgets clean segments beyond the limit, oldest first. Not to be called in the middle of an operation. */
  evictSegments(): void {
    this.#segmentQueue.evictAll();
  }

  /** Segments of files without a name, which stay in memory whatever is committed. */
  get heldSegments(): number {
    return this.#segmentQueue.heldCount;
  }
}
