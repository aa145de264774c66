/**
 * Group commit: gathers what is dirty and writes it as one batch. First the chunks go to their log, then the records
 * to the tree, then both are synced to disk; so a record never refers to content that is not there.
 */
import type { ChunkReference, ContentStore } from '../content/content-store.js';
import { NoSpaceError } from '../errors.js';
import { limits } from '../limits.js';
import type { SpaceGuard } from '../log/space-guard.js';
import { type CommitRecord, encodeCommit, skipsAfter } from '../tree/commit-record.js';
import { commitKey } from '../tree/keys.js';
import type { Superblock } from '../tree/superblock.js';
import type { Tree, TreeChange } from '../tree/tree.js';
import { CommitBatch } from './commit-batch.js';
import { CommitFailure } from './commit-failure.js';
import { CommitTimer } from './commit-timer.js';
import { DataRoom } from './data-room.js';
import { type Decision, decideNow, type PendingDecision } from './decision.js';
import { DriveRecords } from './drive-records.js';
import type { Inode } from './inode.js';
import { type Journal, JournalWriter } from './journal-writer.js';
import { NotInMemory } from './not-in-memory.js';
import { type DoomedRecords, Reaper } from './reaper.js';
import type { Sealer } from './sealer.js';
import { syncBaseOf } from './sync-entry.js';
import { isNotedAsWritten, noteWrites, type WriteNotes } from './write-notes.js';

/** After a failed commit the next try waits this long, unless somebody asks for it. */
const RETRY_MS = 2000;

export interface CommitterOptions {
  tree: Tree;
  content: ContentStore;
  sealer: Sealer;
  /** Syncs the store to stable storage. */
  sync: () => Promise<void>;
  /** Null: fsync commits. */
  journal: Journal | null;
  /** Whether there is room on the disk of the store. */
  space: Pick<SpaceGuard, 'claim' | 'fits' | 'require'>;
  last: CommitRecord;
  superblock: Superblock;
  /** Called before data of a file is noted as it is. */
  onNoted: (inode: Inode) => void;
  /** Called after each commit: what is not dirty any more may be forgotten. */
  onCommitted: () => void;
  /** Whether so much is in memory that writers must wait for a commit. */
  isCrowded: () => boolean;
  /** What files in memory refer to. */
  chunksInMemory: () => Iterable<ChunkReference>;
  log: (line: string) => void;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #reaper = new Reaper();
  readonly #driveRecords: DriveRecords;
  readonly #dirtyInodes = new Set<Inode>();
  readonly #dirtyDirectories = new Set<Inode>();
  /** For written data. */
  readonly room: DataRoom;
  #decision: PendingDecision | null = null;
  #last: CommitRecord;
  /** A failed commit is reported by itself, and tried again. */
  readonly #timer = new CommitTimer(() => this.commit().catch(() => undefined));
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  readonly #failure: CommitFailure;
  #closed = false;
  /** Why nothing may be changed any more. */
  #stopped: Error | null = null;
  /** Nothing is committed any more. */
  #isOver = false;
  #syncOwed = false;
  #isNoting = false;
  /** Something changed that is neither being committed nor in the journal. */
  #isChanged = false;
  readonly #journal: JournalWriter;
  /** Resolves to whether the entry is durable. */
  #journaling: Promise<boolean> | null = null;
  #nextJournaling: Promise<void> | null = null;

  /** The next commit records it. */
  nextIno: number;
  /** As they are in memory, where files that have no name yet or any more count while they are open. */
  inodeCount: number;
  fileBytes: number;
  /** Written data that is in no chunk yet, in bytes. */
  dirtyBytes = 0;
  /** Data that was ever written, in bytes, and changes of inodes and directories. They only grow. */
  writtenBytes = 0;
  changes = 0;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#last = options.last;
    this.#failure = new CommitFailure(options.log);
    this.room = new DataRoom({
      ...options,
      dirtyBytes: () => this.dirtyBytes,
      commit: async () => {
        this.#failure.throwIfRecent();
        await this.commit();
      },
    });
    this.#journal = new JournalWriter(options.journal, options.content);
    this.#driveRecords = new DriveRecords(options.superblock);
    this.nextIno = options.last.nextIno;
    this.inodeCount = options.last.inodeCount;
    this.fileBytes = options.last.fileBytes;
  }

  get version(): number {
    return this.#last.version;
  }

  get dirtyRecords(): number {
    const undecided = this.#decision === null ? 0 : 1;
    const dirty = this.#dirtyInodes.size + this.#dirtyDirectories.size;
    return dirty + this.#driveRecords.pending + undecided;
  }

  /** Whether what is dirty is taken up for the journal, and so again for the next commit. */
  get isNoting(): boolean {
    return this.#isNoting;
  }

  get isClean(): boolean {
    return this.dirtyRecords === 0 && this.#reaper.isEmpty && !this.#syncOwed;
  }

  // What is dirty

  /** DirtyBytesAccount: data came in or was sealed. */
  add(bytes: number): void {
    this.dirtyBytes += bytes;
    if (bytes > 0) this.writtenBytes += bytes;
    if (this.dirtyBytes > limits.dirty_bytes_max / 2) this.#soon();
  }

  markInode(inode: Inode): void {
    inode.dirty = true;
    this.#dirtyInodes.add(inode);
    this.#changed();
  }

  markNames(directory: Inode): void {
    this.#dirtyDirectories.add(directory);
    this.#changed();
  }

  #changed(): void {
    this.#isChanged = true;
    this.changes++;
    this.#schedule();
  }

  /** The format version of the drive, once what is dirty is committed. */
  get formatVersion(): number {
    return this.#driveRecords.formatVersion;
  }

  /** What is in memory, or is being sealed, needs so new a format: its commit writes the superblock anew. */
  needFormat(version: number): void {
    this.#driveRecords.needFormat(version);
  }

  /** A record that belongs to no inode goes with the next commit; one with `value` null is removed. */
  putDriveRecord(change: TreeChange, formatVersion: number): void {
    this.#driveRecords.put(change, formatVersion);
    this.#changed();
  }

  /** The records of a deleted inode are to go. */
  doom(inode: Inode, { xattrNames, segments }: DoomedRecords): void {
    this.unmark(inode);
    this.#reaper.add({
      inode,
      segments,
      segmentsEnd: segments?.length ?? Math.max(inode.persistedSegmentsEnd, inode.segmentsEnd),
      // A directory was emptied before it was removed, maybe since the last commit.
      entryNames: [...(inode.directory?.dirtyNames ?? [])],
      xattrNames,
      orphaned: inode.orphaned,
    });
    this.#changed();
  }

  /** A deleted inode is not to be written any more. */
  unmark(inode: Inode): void {
    inode.dirty = false;
    this.#dirtyInodes.delete(inode);
    this.#dirtyDirectories.delete(inode);
  }

  /**
   * To be called before a name or an attribute is added, which `bytes` of records will say. While commits fail nothing
   * is taken in that needs one, or memory would fill with it; deleting goes on.
   * Throws NoSpaceError, NotInMemory (a commit is tried), and what the last commit failed with.
   */
  admit(bytes: number): void {
    this.requireRunning();
    if (this.#failure.isSet && !this.isClean) {
      this.#failure.throwIfRecent();
      throw new NotInMemory(this.commit());
    }
    this.#options.space.claim(bytes);
  }

  // Commits

  /** Commits what is dirty, for the last time: from now on nothing can be changed. Never rejects. */
  async stop(reason: Error): Promise<void> {
    if (this.#stopped !== null) return;
    this.#stopped = reason;
    // Reported by the commit itself.
    await this.commit().catch(() => undefined);
    this.#isOver = true;
  }

  /** Throws once it was stopped. */
  requireRunning(): void {
    if (this.#stopped !== null) throw this.#stopped;
  }

  /**
   * Resolves once all that was changed before the call is committed and on stable storage.
   * Rejects with NoSpaceError, StoreError; what was dirty stays dirty.
   */
  commit(): Promise<void> {
    if (this.#running === null) {
      if (this.isClean) return Promise.resolve();
      if (this.#isOver) {
        // What is left of deletions waits for nobody.
        return this.dirtyRecords === 0 ? Promise.resolve() : Promise.reject(this.#stopped);
      }
      this.#running = this.#run().finally(() => {
        this.#running = null;
        this.#goOn();
      });
      return this.#running;
    }
    // The running one has taken up everything if nothing is dirty since.
    if (this.dirtyRecords === 0) return this.#running;
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = null;
        return this.commit();
      });
    return this.#next;
  }

  /**
   * Resolves once all that was changed before the call is on stable storage: by a commit, or, when it is little, by an
   * entry of the journal, which the next mount commits if nothing does before. Rejects like `commit`.
   */
  sync(): Promise<void> {
    if (this.#running !== null) {
      if (this.dirtyRecords === 0) return this.#running;
      return this.#running.catch(() => undefined).then(() => this.sync());
    }
    if (this.#journaling !== null) {
      if (!this.#isChanged) return this.#onceNoted(this.#journaling);
      this.#nextJournaling ??= this.#journaling.then(() => {
        this.#nextJournaling = null;
        return this.sync();
      });
      return this.#nextJournaling;
    }
    const entry = this.#journalEntry();
    if (entry === null) return this.commit();
    if (entry.length === 0) return Promise.resolve();
    this.#journaling = this.#appendToJournal(entry).finally(() => {
      this.#journaling = null;
    });
    return this.#onceNoted(this.#journaling);
  }

  async #onceNoted(journaling: Promise<boolean>): Promise<void> {
    if (!(await journaling)) await this.commit();
  }

  /** What is to be noted; empty when all is, null when it is to be committed. */
  #journalEntry(): Buffer | null {
    if (!this.#journal.isOpen || !this.#isSmall) return null;
    if (!this.#isChanged) return Buffer.alloc(0);
    const batch = new CommitBatch();
    const notes: WriteNotes = { forgotten: [], writes: [] };
    this.#isNoting = true;
    try {
      this.#freeze(batch, null, notes);
      if (batch.isEmpty) return Buffer.alloc(0);
      batch.changes.push({ key: commitKey, value: encodeCommit(this.#recordFor(batch)) });
      return this.#journal.encode(batch.changes, notes);
    } catch {
      // The commit, which meets the same, says so.
      this.#journal.giveUp();
      return null;
    } finally {
      // In the same tick: the next entry, and the commit, are to have all of it again.
      this.#undo(batch);
      this.#isNoting = false;
    }
  }

  /** Whether so little is dirty that it is worth writing more than once. */
  get #isSmall(): boolean {
    const dirty = this.#dirtyInodes.size + this.#dirtyDirectories.size + this.#reaper.size;
    return (
      dirty <= limits.sync_journal_records_max &&
      this.dirtyBytes <= limits.sync_journal_data_bytes_max &&
      this.#decision === null &&
      !this.#failure.isSet &&
      this.#stopped === null &&
      !this.#syncOwed &&
      !this.#closed
    );
  }

  async #appendToJournal(entry: Buffer): Promise<boolean> {
    this.#isChanged = false;
    try {
      await this.#journal.append(entry);
      return true;
    } catch (error) {
      this.#isChanged = true;
      this.#options.log(`fsync commits, as its journal cannot be written: ${String(error)}`);
      return false;
    }
  }

  /**
   * Commits, and decides something in the tick that gathers what is dirty. Resolves once the commit is on stable
   * storage. Rejects with what `prepare` or `decide` threw, which the commit does not notice, and like `commit`.
   * One at a time.
   */
  async commitWith(decision: Decision): Promise<void> {
    if (this.#decision !== null) throw new Error('Another decision is being made');
    const pending: PendingDecision = { ...decision };
    this.#decision = pending;
    try {
      await this.commit();
    } finally {
      this.#decision = null;
    }
    if (pending.error !== undefined) throw pending.error;
  }

  /** Commits what is dirty and stops. Rejects like `commit`; then a later call tries again. */
  async close(): Promise<void> {
    this.#timer.clear();
    while (!this.isClean || this.#running !== null) {
      await this.commit();
      // What the reaper has left has orphan records by now; the next mount goes on with it.
      if (this.dirtyRecords === 0 && !this.#syncOwed && this.#running === null) break;
    }
    this.#closed = true;
    this.#timer.clear();
  }

  async #run(): Promise<void> {
    this.#timer.clear();
    try {
      await this.#attempt().catch(async (error: unknown) => {
        if (!(error instanceof NoSpaceError) || !(await this.#dropUnused())) throw error;
        await this.#attempt();
      });
    } catch (error) {
      this.#failure.set(error);
      if (!this.#closed && this.#stopped === null) this.#timer.start(RETRY_MS);
      throw error;
    }
    this.#failure.clear();
    this.#journal.restart(syncBaseOf(this.#last, this.#options.tree.head));
    this.#options.onCommitted();
  }

  /** The data of files that were deleted since is not what a commit should fail for. */
  async #dropUnused(): Promise<boolean> {
    const { content, chunksInMemory } = this.#options;
    const isAny = await content.dropUnused(this.#journal.blocksEnd, chunksInMemory);
    // What is noted as it was written got its blocks just now, beside what else is dirty.
    if (!this.#journal.hasWrites || content.pendingBytes > limits.sync_reserve_bytes_max)
      return isAny;
    return (await content.dropUnused(content.statistics().blocks, chunksInMemory)) || isAny;
  }

  /** Rejects with what kept it; all is dirty then, or still to be synced. */
  async #attempt(): Promise<void> {
    const { tree, content, sync } = this.#options;
    // An entry belongs to the commit before, one that is still being made by whoever called this, too.
    await null;
    await this.#journaling;
    const batch = new CommitBatch();
    const decision = this.#decision;
    if (decision !== null) {
      await decision.prepare().catch((error: unknown) => {
        decision.error = error;
      });
    }
    try {
      this.#freeze(batch, decision, null);
      this.#isChanged = false;
      // What was sealed of files without a name goes with the next entry, or the next commit that has something.
      if (!batch.isEmpty) {
        this.#journal.stop();
        const record = this.#recordFor(batch);
        batch.changes.push({ key: commitKey, value: encodeCommit(record) });
        await content.drain();
        await tree.write(batch.changes);
        this.#last = record;
        this.#syncOwed = true;
        batch.succeeded();
        this.#driveRecords.settle(true);
      }
    } catch (error) {
      this.#undo(batch);
      this.#isChanged = true;
      throw error;
    }
    await sync();
    this.#syncOwed = false;
  }

  /** All that a batch took up is dirty again. */
  #undo(batch: CommitBatch): void {
    this.#driveRecords.settle(false);
    batch.failed(this.#reaper, (inode) => {
      inode.dirty = true;
      this.#dirtyInodes.add(inode);
      if (inode.hasDirtyNames) this.#dirtyDirectories.add(inode);
    });
  }

  /** What became dirty while a commit ran has no timer yet. A failed commit has set its own. */
  #goOn(): void {
    if (this.#failure.isSet || this.#isOver) return;
    if (!this.#reaper.isEmpty) this.#soon();
    else if (!this.isClean) this.#schedule();
  }

  /** All in one tick: nothing may change between the first and the last record. With `notes` they take up written data. */
  #freeze(batch: CommitBatch, decision: PendingDecision | null, notes: WriteNotes | null): void {
    const isNoted = (inode: Inode): boolean => notes !== null && isNotedAsWritten(inode);
    // Sealing first: it is the part that may fail, and nothing is taken off the lists yet.
    const { sealer, onNoted } = this.#options;
    const seal = (inode: Inode): void => sealer.sealAll(inode);
    for (const inode of this.#dirtyInodes) (isNoted(inode) ? onNoted : seal)(inode);
    for (const inode of this.#dirtyInodes) {
      // A file that never had a name in the tree and has none now lives in memory only.
      if (inode.nlink === 0 && !inode.persisted) inode.dirty = false;
      else batch.addInode(inode, isNoted(inode));
      if (notes !== null) noteWrites(inode, this.#journal.series, notes);
    }
    for (const inode of this.#dirtyDirectories) {
      if (inode.nlink === 0 && !inode.persisted) inode.directory?.dirtyNames.clear();
      else batch.addNames(inode);
    }
    for (const deletion of this.#reaper.take()) batch.addDeletion(deletion);
    this.#dirtyInodes.clear();
    this.#dirtyDirectories.clear();
    if (decision !== null) {
      this.#decision = null;
      if (decision.error === undefined) decideNow(decision);
    }
    // Last: what was sealed and encoded may need a newer format. A format alone is no reason for a commit.
    if (!batch.isEmpty || this.#driveRecords.pending > 0) {
      for (const change of this.#driveRecords.take()) batch.changes.push(change);
    }
  }

  #recordFor(batch: CommitBatch): CommitRecord {
    const { head } = this.#options.tree;
    return {
      version: this.#last.version + 1,
      timeMs: Date.now(),
      previous: head,
      nextIno: this.nextIno,
      inodeCount: Math.max(0, this.#last.inodeCount + batch.inodeCountChange),
      fileBytes: Math.max(0, this.#last.fileBytes + batch.fileBytesChange),
      changes: batch.listChanges(),
      // Programs that know format 1 only know no other commit record.
      skips: this.formatVersion > 1 ? skipsAfter(this.#last, head) : null,
    };
  }

  #schedule(): void {
    if (this.dirtyRecords > limits.dirty_records_max) this.#soon();
    else if (!this.#timer.isSet && this.#running === null && !this.#closed) {
      this.#timer.start(limits.commit_interval_ms);
    }
  }

  /** Starts a commit in the background unless one runs or the last one failed. */
  #soon(): void {
    if (this.#running !== null || this.#failure.isSet || this.#closed) return;
    this.#timer.start(0);
  }
}
