/** File data: what the file system layer asks of the chunk log. */

/** Where a chunk lies: a stretch of the plaintext of one block of one writer's chunk log. */
export interface ChunkReference {
  /** Index into the superblock's table of writers. */
  writer: number;
  /** Block of that writer's chunk log. */
  block: number;
  /** First byte in the block's plaintext. */
  offset: number;
  /** Bytes of the chunk itself. */
  length: number;
  /** Of a compressed chunk: bytes it takes in the block; 0 for all that are behind `offset`. */
  compressedBytes?: number;
  /** First 16 bytes of the chunk's keyed hash. */
  hash: Buffer;
}

/** A chunk that was put, as it was given its place. */
export interface ChunkPut {
  block: number;
  offset: number;
  /** It has the block to itself, and is compressed on its way to the log. */
  compress: boolean;
  /** As it lies in the block, but not compressed where it is to be. */
  data: Buffer;
}

/** How a read may wait. */
export interface ReadOptions {
  /** Ends the wait with InterruptedError. */
  signal?: AbortSignal | undefined;
  /** Ends the wait with UnavailableError. Default: the store's own deadline. */
  deadlineMs?: number;
}

/** Counters for `shoal status` and metrics. */
export interface ContentStatistics {
  /** Blocks in the log, appended or about to be. */
  blocks: number;
  /** Bytes of chunks stored by this process, compressed where they are, before encryption. */
  storedBytes: number;
  /** Bytes of chunks that were there already. */
  deduplicatedBytes: number;
  /** Bytes sealed and not yet appended. */
  pendingBytes: number;
  /** Blocks and bytes fetched from peers by this process. */
  downloadedBlocks: number;
  downloadedBytes: number;
  cachedBytes: number;
}

/** Finds out how many connected peers have all of some chunks, as far as they have told. */
export interface ChunkHolders {
  add(chunk: ChunkReference): void;
  /** Peers that have every chunk added so far. */
  readonly count: number;
}

/**
 * Chunks in an append-only log. `put` answers at once, because a block's number is known before it is appended: this
 * process is the only one that appends to its log, and in order.
 *
 * A reference may be used as soon as `put` returned it. It may be written to a tree only once `drain` has resolved.
 */
export interface ContentStore {
  /** This writer's index; -1 when the drive is open for reading. */
  readonly writer: number;

  /**
   * Finds where content-defined boundaries fall in a text that begins at a boundary, and is handed in as the pieces it
   * lies in: the end offsets of all complete chunks in it, ascending. With `final`, the rest is the last chunk, so the
   * last one is the text's length.
   */
  boundaries(pieces: readonly Buffer[], final: boolean): number[];

  /**
   * Stores one chunk (1 byte up to the chunk maximum, in pieces), or finds it. Small chunks are packed into a common
   * block. The pieces are not copied: they must not change until `release` is called, which may be before this
   * returns. Throws ReadOnlyError, InterruptedError once closed, StoreError; then it keeps nothing.
   */
  put(pieces: readonly Buffer[], release?: () => void): ChunkReference;

  /** From now on copies of what is put are kept for `takePuts`, up to `bytesMax`. What was kept before is forgotten. */
  notePuts(bytesMax: number): void;
  /** What was put since the last call; null when it was more than is kept, until `notePuts` is called again. */
  takePuts(): ChunkPut[] | null;

  /**
   * Refers to chunks as one that lie one behind the other in a block, not compressed.
   * @param first The reference to the first.
   * @param data The bytes of all of them.
   */
  referToAll(first: ChunkReference, data: Buffer): ChunkReference;

  /** Bytes waiting to be appended, to hold back writers. */
  readonly pendingBytes: number;
  /** Resolves once fewer than `pending_append_bytes_max` are pending. Rejects like `drain`. */
  room(): Promise<void>;
  /**
   * Resolves once every block put before the call is in the log (appended; not yet synced to disk).
   * Rejects with NoSpaceError or StoreError when an append fails; the blocks stay pending and readable under their
   * numbers, and the next `drain` or `put` tries again.
   */
  drain(): Promise<void>;

  /**
   * After `drain` was rejected for want of space: pending blocks that no chunk of `used` is in are stored empty. `used` is called
   * in the tick in which that is done. Blocks in front of `journaledEnd` are kept, and stored even if that takes the reserve.
   * Resolves to whether `drain` may succeed now. Never rejects.
   */
  dropUnused(journaledEnd: number, used: () => Iterable<ChunkReference>): Promise<boolean>;

  /**
   * Up to the whole chunk: the bytes [offset, offset + length) of it. Answers at once from memory, with bytes that must
   * be used before anything is waited for; else with a promise, whose bytes are the caller's.
   * Throws DamagedError, UnavailableError, InterruptedError, StoreError.
   */
  read(
    chunk: ChunkReference,
    offset: number,
    length: number,
    options?: ReadOptions,
  ): Buffer | Promise<Buffer>;

  /**
   * These chunks will be wanted soon, in this order: fetch and decrypt what is missing, in the background, in ranges.
   * Never throws and never waits.
   */
  prefetch(chunks: readonly ChunkReference[]): void;

  /**
   * These chunks of a file are read, which is read in order, from its beginning on; of a small file all of them at once. Who reads several
   * files that lie near each other is given what lies behind them sooner. Never throws and never waits.
   *
   * @param file Its number.
   */
  noteRead(chunks: readonly ChunkReference[], file: number): void;

  /** Whether the chunk is on this machine. Never waits. */
  isLocal(chunk: ChunkReference): boolean;

  /** Counts connected peers that have chunks. */
  holders(): ChunkHolders;

  /** Tells the deduplication index of a chunk that the tree refers to (rebuild after a start). */
  learn(chunk: ChunkReference): void;

  /**
   * The tree is at this fork of its log. Logs are forked together, so content of an earlier fork is not what the tree
   * refers to: reads wait until the chunk log has followed.
   */
  expectFork(fork: number): void;

  statistics(): ContentStatistics;
  /** Nothing is being read or written: gives memory back that is only held to be faster. */
  releaseMemory(): void;
  /** Ends all waits with InterruptedError, appends what is pending. Idempotent. */
  close(): Promise<void>;
}
