/** Entries of the sync journal, each of which continues the last commit. */
import type { ContentStore } from '../content/content-store.js';
import { limits } from '../limits.js';
import type { TreeChange } from '../tree/tree.js';
import { encodeSyncEntry, type SyncBase } from './sync-entry.js';
import type { WriteNotes } from './write-notes.js';

/** Where entries are made durable; see `log/sync-journal.ts`. */
export interface Journal {
  /** Whether entries can be written now. */
  readonly isReady: boolean;
  /** Bytes of the largest entry that there is room for. */
  readonly room: number;
  /** Resolves once the entry survives a loss of power. */
  append(entry: Buffer): Promise<void>;
  /** The next entry is the first again. */
  restart(): void;
}

export class JournalWriter {
  readonly #journal: Journal | null;
  readonly #content: ContentStore;
  /** The commit that entries continue; null until there is one that is on stable storage. */
  #base: SyncBase | null = null;
  #sequence = 0;
  /** The commits that were continued so far. */
  #series = 0;
  /** Blocks of the chunk log in front of it may be in an entry. */
  #blocksEnd = 0;
  #hasWrites = false;

  constructor(journal: Journal | null, content: ContentStore) {
    this.#journal = journal;
    this.#content = content;
  }

  /** Whether there is a commit to continue, and a place to write to. */
  get isOpen(): boolean {
    return this.#base !== null && this.#journal?.isReady === true;
  }

  /** Names the entries behind one commit. */
  get series(): number {
    return this.#series;
  }

  /** The next mount may need all blocks in front of it as they were put: until a commit is on stable storage. */
  get blocksEnd(): number {
    return this.#blocksEnd;
  }

  /** The next mount may need data that was in no block yet. */
  get hasWrites(): boolean {
    return this.#hasWrites;
  }

  /** A commit has taken up what is dirty: until it is on stable storage no entry can continue it. */
  stop(): void {
    this.#base = null;
    if (this.#journal !== null) this.#content.notePuts(limits.sync_journal_data_bytes_max);
  }

  /** The last commit, `base`, is on stable storage, and has all that was noted. */
  restart(base: SyncBase): void {
    this.#journal?.restart();
    this.#sequence = 0;
    this.#series++;
    this.#blocksEnd = 0;
    this.#hasWrites = false;
    this.#base = base;
  }

  /** The next entry, to be written; null when it is too large, or when more was stored than was noted. */
  encode(changes: readonly TreeChange[], notes: WriteNotes): Buffer | null {
    const puts = this.#content.takePuts();
    const base = this.#base;
    if (base === null || this.#journal === null || puts === null) return null;
    const entry = encodeSyncEntry({ base, sequence: this.#sequence, changes, puts, ...notes });
    if (entry.length <= this.#journal.room) {
      for (const { block } of puts) this.#blocksEnd = Math.max(this.#blocksEnd, block + 1);
      if (notes.writes.length > 0) this.#hasWrites = true;
      return entry;
    }
    // What it has is noted nowhere now.
    this.giveUp();
    return null;
  }

  /** Something that is taken to be noted is not: there are no more entries until the next commit. */
  giveUp(): void {
    this.#base = null;
  }

  /** Rejects with StoreError, NoSpaceError; then there are no more entries until the next commit. */
  async append(entry: Buffer): Promise<void> {
    this.#sequence++;
    try {
      await this.#journal?.append(entry);
    } catch (error) {
      this.giveUp();
      throw error;
    }
  }
}
