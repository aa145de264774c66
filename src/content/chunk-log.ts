import type Hypercore from 'hypercore';
import { DamagedError, ReadOnlyError, StoreError } from '../errors.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { ownMemory } from '../log/copy-bytes.js';
import { isLogEncryption, type LogEncryption } from '../log/encryption.js';
import type { BlockLayout } from '../log/sectors.js';
import type { SpaceGuard } from '../log/space-guard.js';
import { asShoalError } from '../log/store-errors.js';
import { Appender } from './appender.js';
import { BlockCache } from './block-cache.js';
import {
  blockHeaderBytes,
  checkRead,
  decompressChunk,
  packedChunkBytesMax,
  sliceChunk,
} from './block-format.js';
import { BlockReader } from './block-reader.js';
import type { BlockRescuer } from './block-rescuer.js';
import { chunkHash } from './chunk-hash.js';
import { ChunkIndex } from './chunk-index.js';
import type { Chunker } from './chunker.js';
import { compressSmall, looksCompressible } from './compressible.js';
import type {
  ChunkHolders,
  ChunkPut,
  ChunkReference,
  ContentStatistics,
  ContentStore,
  ReadOptions,
} from './content-store.js';
import type { DiskCache } from './disk-cache.js';
import { blocksRead } from './neighbours.js';
import { PeersWithAll } from './peers-with-all.js';
import { Readahead } from './readahead.js';
import { decompress, hasZstd } from './zstd.js';

export interface ChunkLogOptions {
  /**
   * The log of `coreWriter`, with an encryption of `createEncryptionProvider`. Nothing else may append to it. Stays
   * the caller's to close, after this.
   */
  core: Hypercore;
  /** This process's index in the table of writers; -1 to read only. */
  writer: number;
  /** Whose log `core` is. Default: `writer`, or 0 to read only. */
  coreWriter?: number;
  chunker: Chunker;
  /** How new blocks are sealed. Default: in sectors. */
  layout?: BlockLayout;
  /** Key of the chunks' hashes, 32 bytes. */
  hashKey: Buffer;
  /** Whether new chunks are compressed where that is worth it. Default: they are not. */
  compress?: boolean;
  /** Default deadline of a wait for peers; 0 to ask nobody. */
  deadlineMs?: number;
  /** Other writers' logs by their index. */
  foreign?: ReadonlyMap<number, Hypercore>;
  /** Refuses appends to a disk that is nearly full. */
  spaceGuard?: SpaceGuard;
  /** Bounds what is kept of `core` on this machine: of a log that somebody else writes. The caller's to close. */
  diskCache?: DiskCache | null;
  /** Brings back blocks of `core` that no connected peer has. */
  rescuer?: BlockRescuer | null;
  /** Default: the limits of `src/limits.ts`. */
  pendingBytesMax?: number;
  cacheBytesMax?: number;
  readaheadBytesMax?: number;
  dedupEntriesMax?: number;
}

/** File data as chunks in append-only logs: one that this process appends to, and any that it reads. */
export class ChunkLog implements ContentStore {
  readonly writer: number;
  /** Whose log `core` is. */
  readonly #coreWriter: number;
  readonly #chunker: Chunker;
  readonly #hashKey: Buffer;
  readonly #cache: BlockCache;
  readonly #index: ChunkIndex;
  readonly #readers: ReadonlyMap<number, BlockReader>;
  readonly #readahead: Readahead;
  readonly #core: Hypercore;
  readonly #appender: Appender | null;
  readonly #compress: boolean;
  #storedBytes = 0;
  #deduplicatedBytes = 0;
  /** How much was stored when readers last got ready. */
  #preparedAtBytes = 0;
  #preparing: NodeJS.Timeout | undefined;
  #closing: Promise<void> | null = null;

  private constructor(
    options: ChunkLogOptions,
    cache: BlockCache,
    readers: ReadonlyMap<number, BlockReader>,
    appender: Appender | null,
  ) {
    this.writer = options.writer;
    this.#coreWriter = coreWriterOf(options);
    this.#core = options.core;
    this.#chunker = options.chunker;
    this.#hashKey = options.hashKey;
    this.#cache = cache;
    this.#index = new ChunkIndex(appender === null ? 0 : options.dedupEntriesMax);
    this.#readers = readers;
    this.#readahead = new Readahead(options.readaheadBytesMax);
    this.#appender = appender;
    this.#compress = (options.compress ?? false) && hasZstd();
  }

  /**
   * Throws StoreError, also when a core has no encryption of `createEncryptionProvider`; ReadOnlyError when `writer`
   * is set and the core is not writable.
   */
  static async open(options: ChunkLogOptions): Promise<ChunkLog> {
    const { core, writer, deadlineMs = limits.network_deadline_ms } = options;
    const coreWriter = coreWriterOf(options);
    const cache = new BlockCache(options.cacheBytesMax);
    const readers = new Map<number, BlockReader>();
    try {
      for (const [index, log] of [...(options.foreign ?? []), [coreWriter, core] as const]) {
        await log.ready();
        const diskCache = log === core ? options.diskCache : null;
        const encryption = encryptionOf(log);
        readers.set(
          index,
          new BlockReader(
            log,
            encryption,
            index,
            cache,
            deadlineMs,
            diskCache ?? null,
            (log === core ? options.rescuer : null) ?? null,
          ),
        );
      }
      const opened = (appender: Appender | null): ChunkLog => {
        const log = new ChunkLog(options, cache, readers, appender);
        const reader = readers.get(coreWriter);
        if (options.diskCache != null && reader !== undefined) {
          options.diskCache.isBusy = (block) =>
            reader.isReading(block) || log.#readahead.holds(reader, block);
        }
        return log;
      };
      if (writer < 0) return opened(null);
      if (!core.writable) {
        throw new ReadOnlyError('Cannot open the chunk log for writing: its key is not here');
      }
      const appender = await Appender.open({
        core,
        encryption: encryptionOf(core),
        layout: options.layout ?? 'sectors',
        spaceGuard: options.spaceGuard,
        pendingBytesMax: options.pendingBytesMax,
        onPackAppended: (block, data) => readers.get(coreWriter)?.remember(block, data),
      });
      return opened(appender);
    } catch (error) {
      for (const reader of readers.values()) reader.close();
      throw asShoalError(error, 'open the chunk log');
    }
  }

  get pendingBytes(): number {
    return this.#appender?.pendingBytes ?? 0;
  }

  boundaries(pieces: readonly Buffer[], final: boolean): number[] {
    return this.#chunker.boundaries(pieces, final);
  }

  put(pieces: readonly Buffer[], release?: () => void): ChunkReference {
    const appender = this.#appender;
    if (appender === null) {
      throw new ReadOnlyError('Cannot store a chunk: the drive is open for reading');
    }
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length === 0 || length > this.#chunker.parameters.maxBytes) {
      throw new RangeError(`Cannot store a chunk of ${length} bytes`);
    }
    const hash = chunkHash(this.#hashKey, pieces);
    const known = this.#index.get(hash);
    if (known !== undefined && known.length === length && this.#exists(known.writer, known.block)) {
      this.#deduplicatedBytes += length;
      release?.();
      return { ...known, hash };
    }
    const stored = this.#compress ? putCompressed(appender, pieces, length, release) : null;
    const place = stored ?? appender.put(pieces, length, release);
    const chunk: ChunkReference = { writer: this.writer, ...place, length, hash };
    this.#index.set(hash, chunk);
    // What the appender compresses it counts itself, once it knows how much that saves.
    this.#storedBytes += chunk.compressedBytes || length;
    return chunk;
  }

  referToAll({ writer, block, offset }: ChunkReference, data: Buffer): ChunkReference {
    const hash = chunkHash(this.#hashKey, [data]);
    const chunk = { writer, block, offset, length: data.length, hash };
    this.learn(chunk);
    return chunk;
  }

  notePuts(bytesMax: number): void {
    this.#appender?.notes.restart(bytesMax);
  }

  takePuts(): ChunkPut[] | null {
    return this.#appender?.notes.take() ?? null;
  }

  async room(): Promise<void> {
    await this.#appender?.room();
  }

  async drain(): Promise<void> {
    await this.#appender?.drain();
    this.#prepareOnceQuiet();
  }

  /** Who wrote much is likely to read it, and while nothing is written starting a thread delays nobody. */
  #prepareOnceQuiet(): void {
    const storedBytes = this.#storedBytes;
    if (storedBytes - this.#preparedAtBytes < limits.thread_start_bytes) return;
    if (this.#closing !== null) return;
    clearTimeout(this.#preparing);
    this.#preparing = setTimeout(() => {
      // What came since is to be drained, too, and this is tried again then.
      if (this.#storedBytes !== storedBytes) return;
      this.#preparedAtBytes = storedBytes;
      this.#readers.get(this.writer)?.prepare();
    }, limits.thread_prepare_quiet_ms).unref();
  }

  /** As the interface says. What it answers at once shares memory with the cache: it must not be changed. */
  read(
    chunk: ChunkReference,
    offset: number,
    length: number,
    options?: ReadOptions,
  ): Buffer | Promise<Buffer> {
    checkRead(chunk, offset, length);
    const reader = this.#readerOf(chunk);
    if (chunk.compressedBytes !== undefined) {
      return this.#readCompressed(reader, chunk, offset, length, options);
    }
    if (this.#isPending(chunk)) return this.#readPending(chunk, offset, length);
    const ready = reader.cached(chunk.block);
    if (ready !== undefined) return sliceChunk(ready, chunk, offset, length);
    this.#expectInOwnLog(chunk);
    const now = this.#readNow(reader, chunk, offset, length);
    if (now !== null) return now;
    return reader
      .fetch(chunk.block, options)
      .then((block) => ownMemory(sliceChunk(block, chunk, offset, length)));
  }

  /** From the disk in place; null where that is not the quickest. */
  #readNow(
    reader: BlockReader,
    chunk: ChunkReference,
    offset: number,
    length: number,
  ): Buffer | null {
    // Of small ones that share a block others are most likely wanted next.
    const isAlone = chunk.length >= packedChunkBytesMax && chunk.offset >= blockHeaderBytes;
    if (isAlone && length <= limits.part_bytes_max) {
      const end = chunk.offset + chunk.length;
      const part = reader.readPart(chunk.block, chunk.offset + offset, length, end);
      if (part !== null) return part;
    }
    const block = reader.readNow(chunk.block);
    return block && sliceChunk(block, chunk, offset, length);
  }

  #readCompressed(
    reader: BlockReader,
    chunk: ChunkReference,
    offset: number,
    length: number,
    options?: ReadOptions,
  ): Buffer | Promise<Buffer> {
    const hasOwnBlock = chunk.compressedBytes === 0 && chunk.offset === blockHeaderBytes;
    if (this.#isPending(chunk)) return this.#readPendingCompressed(chunk, offset, length);
    const known = hasOwnBlock ? reader.cachedChunk(chunk.block) : undefined;
    if (known?.length === chunk.length) return known.subarray(offset, offset + length);
    const decompressed = (block: Buffer): Buffer => {
      const data = decompressChunk(block, chunk);
      // A program that reads 4 KiB here and there must not pay for 64 each time; of small chunks, doing it again is cheap.
      if (hasOwnBlock) reader.rememberChunk(chunk.block, data);
      return data.subarray(offset, offset + length);
    };
    const ready = reader.cached(chunk.block);
    if (ready !== undefined) return decompressed(ready);
    this.#expectInOwnLog(chunk);
    const now = reader.readNow(chunk.block);
    if (now !== null) return decompressed(now);
    return reader.fetch(chunk.block, options).then(decompressed);
  }

  #readPendingCompressed(chunk: ChunkReference, offset: number, length: number): Buffer {
    const { compressedBytes = 0 } = chunk;
    // It is compressed on its way to the log.
    if (compressedBytes === 0) return this.#readPending(chunk, offset, length);
    const stored = this.#readPending({ ...chunk, length: compressedBytes }, 0, compressedBytes);
    return decompress(stored, chunk.length).subarray(offset, offset + length);
  }

  prefetch(chunks: readonly ChunkReference[]): void {
    if (this.#closing !== null) return;
    const byReader = new Map<BlockReader, ChunkReference[]>();
    for (const chunk of chunks) {
      const reader = this.#readers.get(chunk.writer);
      // What is wrong with a reference is told to who reads it.
      if (reader === undefined || this.#isBeyondOwnLog(chunk) || this.#isPending(chunk)) continue;
      const list = byReader.get(reader);
      if (list === undefined) byReader.set(reader, [chunk]);
      else list.push(chunk);
    }
    for (const [reader, list] of byReader) this.#readahead.announce(reader, list);
  }

  noteRead(chunks: readonly ChunkReference[], file: number): void {
    if (this.#closing !== null) return;
    for (const { writer, ...read } of blocksRead(chunks, file)) {
      const reader = this.#readers.get(writer);
      // What is wrong with a reference is told to who reads it. What is still in memory is not waited for.
      if (reader === undefined || read.end > reader.core.length) continue;
      this.#readahead.announceNeighbours(reader, read);
    }
  }

  isLocal(chunk: ChunkReference): boolean {
    if (this.#isPending(chunk)) return true;
    return this.#readers.get(chunk.writer)?.isLocal(chunk.block) ?? false;
  }

  holders(): ChunkHolders {
    return new PeersWithAll(this.#readers);
  }

  learn(chunk: ChunkReference): void {
    if (this.#appender === null) return;
    // The tree that is being read may be older than what was collected since.
    const isOwn = chunk.writer === this.writer;
    if (isOwn && this.#readers.get(chunk.writer)?.garbage?.has(chunk.block) === true) return;
    this.#index.set(chunk.hash, chunk);
  }

  /** All blocks of the log that were collected: no kept version refers to them. */
  noteGarbage(garbage: BlockSet): void {
    const reader = this.#readers.get(this.#coreWriter);
    if (reader !== undefined) reader.garbage = garbage;
  }

  /**
   * As {@link ChunkLog.noteGarbage}, and no new data may come to refer to chunks in these blocks of this process's log. To be called in
   * the tick in which it is decided that nothing refers to them.
   */
  forget(garbage: BlockSet): void {
    this.noteGarbage(garbage);
    this.#index.forget(this.writer, garbage);
  }

  async dropUnused(journaledEnd: number, used: () => Iterable<ChunkReference>): Promise<boolean> {
    const appender = this.#appender;
    if (appender === null) return false;
    return await appender.dropPending(journaledEnd, (first, end) => {
      const needed = new BlockSet();
      for (const { writer, block } of used()) if (writer === this.writer) needed.add(block);
      const unused = new BlockSet();
      for (let block = first; block < end; block++) if (!needed.has(block)) unused.add(block);
      if (unused.count > 0) this.#index.forget(this.writer, unused);
      return unused;
    });
  }

  expectFork(fork: number): void {
    for (const reader of this.#readers.values()) reader.expectFork(fork);
  }

  statistics(): ContentStatistics {
    const readers = [...this.#readers.values()];
    return {
      blocks: this.#appender?.length ?? this.#core.length,
      storedBytes: this.#storedBytes - (this.#appender?.savedBytes ?? 0),
      deduplicatedBytes: this.#deduplicatedBytes,
      pendingBytes: this.pendingBytes,
      downloadedBlocks: readers.reduce((sum, reader) => sum + reader.downloadedBlocks, 0),
      downloadedBytes: readers.reduce((sum, reader) => sum + reader.downloadedBytes, 0),
      cachedBytes: this.#cache.bytes,
    };
  }

  releaseMemory(): void {
    this.#cache.releaseMemory();
    for (const reader of this.#readers.values()) reader.noteIdle();
    this.#appender?.noteIdle();
  }

  /** As the interface says; rejects like `drain` when what is pending cannot be appended. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#readahead.close();
    clearTimeout(this.#preparing);
    for (const reader of this.#readers.values()) reader.close();
    // Their threads may still write to it for a moment.
    this.#cache.clear();
    try {
      await this.#appender?.close();
    } finally {
      this.#cache.clear();
    }
  }

  #readerOf(chunk: ChunkReference): BlockReader {
    const reader = this.#readers.get(chunk.writer);
    if (reader !== undefined) return reader;
    throw new DamagedError(`Cannot read a chunk: no log of a writer ${chunk.writer} is known`);
  }

  #isPending(chunk: ChunkReference): boolean {
    return chunk.writer === this.writer && this.#appender?.isPending(chunk.block) === true;
  }

  #readPending(chunk: ChunkReference, offset: number, length: number): Buffer {
    const bytes = this.#appender?.read(chunk.block, chunk.offset + offset, length);
    if (bytes !== undefined) return bytes;
    throw new DamagedError(`Cannot read a chunk: block ${chunk.block} is too short for it`);
  }

  /** Nobody else can have a block of this process's log that it has not appended, so nobody is asked. */
  #isBeyondOwnLog(chunk: ChunkReference): boolean {
    return chunk.writer === this.writer && !this.#exists(chunk.writer, chunk.block);
  }

  #expectInOwnLog(chunk: ChunkReference): void {
    if (!this.#isBeyondOwnLog(chunk)) return;
    throw new DamagedError(`Cannot read a chunk: the log has no block ${chunk.block}`);
  }

  /** Whether a known writer's log has such a block; its own may be pending. */
  #exists(writer: number, block: number): boolean {
    if (writer === this.writer && this.#appender !== null) return block < this.#appender.length;
    return this.#readers.has(writer);
  }
}

/** Null when it is not worth compressing. */
function putCompressed(
  appender: Appender,
  pieces: readonly Buffer[],
  length: number,
  release: (() => void) | undefined,
): Omit<ChunkReference, 'writer' | 'length' | 'hash'> | null {
  if (length >= packedChunkBytesMax) {
    if (!looksCompressible(pieces)) return null;
    return { ...appender.put(pieces, length, release, true), compressedBytes: 0 };
  }
  const frame = compressSmall(pieces, length);
  if (frame === null) return null;
  const { length: compressedBytes } = frame;
  return { ...appender.put([frame], compressedBytes, release), compressedBytes };
}

function encryptionOf(core: Hypercore): LogEncryption {
  if (isLogEncryption(core.encryption)) return core.encryption;
  throw new StoreError('Cannot open the chunk log: it was opened without its encryption');
}

function coreWriterOf({ coreWriter, writer }: ChunkLogOptions): number {
  return coreWriter ?? Math.max(writer, 0);
}
