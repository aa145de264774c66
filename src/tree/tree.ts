/** Metadata: an ordered map of binary keys on an append-only log, of which every state that was ever committed is kept. */

import type { ShoalError } from '../errors.js';

/** One state of a tree. */
export interface Head {
  /** Blocks of the tree's log that belong to it. */
  length: number;
  /** Fork of the log. */
  fork: number;
}

/** A record as stored. */
export interface TreeRecord {
  key: Buffer;
  value: Buffer;
}

/** Where a walk past damage found that records are missing: some of those with `after` < key < `before`. */
export interface LostRecords {
  error: ShoalError;
  /** Else it is only not on this machine. */
  isDamaged: boolean;
  /** null: from the first key on. */
  after: Buffer | null;
  /** null: up to the last key. */
  before: Buffer | null;
  /** Set when only the value of this one record is lost. */
  key: Buffer | null;
}

/** One change of a batch; `value` null deletes. */
export interface TreeChange {
  key: Buffer;
  value: Buffer | null;
}

/** A record in two states of a tree; null where it is not there. */
export interface RecordDifference {
  key: Buffer;
  before: Buffer | null;
  after: Buffer | null;
}

/** How a read may wait for peers. */
export interface TreeReadOptions {
  signal?: AbortSignal | undefined;
  deadlineMs?: number;
  /** Answer only from what is on this machine: UnavailableError at once where it is not. */
  localOnly?: boolean;
}

/** A tree at one head. Reads throw DamagedError, UnavailableError, InterruptedError, StoreError. */
export interface TreeView {
  readonly head: Head;
  get(key: Buffer, options?: TreeReadOptions): Promise<Buffer | null>;
  /** The block of the log in which a record was written last; null where there is none. */
  blockOf(key: Buffer, options?: TreeReadOptions): Promise<number | null>;
  /** Records with `from` <= key < `to` in ascending order of key bytes. */
  range(from: Buffer, to: Buffer, options?: TreeReadOptions): AsyncIterable<TreeRecord>;
}

/** The newest state, and the way to change it. */
export interface Tree extends TreeView {
  readonly writable: boolean;
  /**
   * Applies all changes as one atomic batch, which readers see whole or not at all. Not synced to disk yet.
   * Throws ReadOnlyError, NoSpaceError, StoreError; nothing was changed then.
   */
  write(changes: readonly TreeChange[]): Promise<Head>;
  /** An older state. */
  at(head: Head): TreeView;
  /**
   * Records that differ between two states, in ascending order of keys; skips what the states have in common. Throws
   * like reads.
   */
  differences(from: Head, to: Head, options?: TreeReadOptions): AsyncIterable<RecordDifference>;
  /** Called after a peer's newer state has become this tree's head. */
  onAdvance(listener: () => void): void;
  close(): Promise<void>;
}
