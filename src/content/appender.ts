import type Hypercore from 'hypercore';
import { InterruptedError, type ShoalError, StoreError } from '../errors.js';
import { limits } from '../limits.js';
import { blockPaddingBytes } from '../log/aead.js';
import type { BlockSet } from '../log/block-set.js';
import type { LogEncryption } from '../log/encryption.js';
import { type BlockLayout, plainBytesOf } from '../log/sectors.js';
import type { SpaceGuard } from '../log/space-guard.js';
import { asShoalError } from '../log/store-errors.js';
import { writeAhead } from '../log/values/value-database.js';
import type { ValuesAhead } from '../log/values/values-ahead.js';
import { blockHeaderBytes, packBytesMax, packedChunkBytesMax } from './block-format.js';
import { BlockSealer, blockRoomBytes, SealSpace } from './block-sealer.js';
import {
  copyOfStretch,
  emptyBlock,
  newPack,
  type PendingBlock,
  type PendingPack,
  plaintextOf,
  reserve,
  trim,
} from './pending-blocks.js';
import { PutNotes } from './put-notes.js';

/** A batch of blocks is ended by this many bytes, too. */
const batch_bytes_max = 2 << 20;

/**
 * What one who waited for room is taken to bring: a write request of the kernel. Were all let in at once that wait, they
 * would keep the main thread from going on with the appends, and then wait all together again.
 */
const room_bytes = 1 << 20;

/**
 * While one batch is appended, one is sealed and the next waits for that: the thread that seals would else wait, too, until the
 * main thread has cut and hashed what came meanwhile, and both would work by turns.
 */
const batches_max = 3;
const batches_without_thread_max = 2;

/** A batch, with the block that ended it and what they take besides. */
const space_bytes =
  batch_bytes_max + limits.block_bytes_max + limits.append_batch_blocks_max * blockRoomBytes;

/** An open pack is sealed when this much waits behind it. */
const behind_pack_bytes_max = 1 << 20;

/** Blocks that are appended together. */
interface Batch {
  blocks: readonly PendingBlock[];
  /** What is appended. */
  sealed: Promise<Buffer[]>;
  /** On their way to the disk, for which room is claimed; resolves with null when they are not. Rejects with NoSpaceError. */
  ahead: Promise<ValuesAhead | null>;
}

interface Waiter {
  /** Resolved once the log has so many blocks; for those who wait for room, null. */
  target: number | null;
  resolve: () => void;
  reject: (error: ShoalError) => void;
}

export interface AppenderOptions {
  /** Ready. Nothing but this object may append to it. Stays the caller's to close. */
  core: Hypercore;
  encryption: LogEncryption;
  /** How blocks are sealed. */
  layout: BlockLayout;
  spaceGuard?: SpaceGuard | undefined;
  pendingBytesMax?: number | undefined;
  /** Takes the plaintext of each block of small chunks over once it is in the log. */
  onPackAppended: (block: number, data: Buffer) => void;
}

/**
 * Chunks on their way into the log. A block has its number from the start, as the log grows by nothing else, and is
 * readable under it at once. Blocks that could not be appended stay, in order, until a later attempt succeeds.
 */
export class Appender {
  readonly #core: Hypercore;
  /** The same log without encryption: blocks are sealed here, in one pass and without Hypercore's copy. */
  readonly #sealedCore: Hypercore;
  /** Memory of sealed blocks. Hypercore keeps none of it. */
  readonly #spaces = Array.from({ length: batches_max }, () => new SealSpace(space_bytes));
  #spacesUsed = 0;
  readonly #sealer: BlockSealer;
  readonly #layout: BlockLayout;
  readonly #spaceGuard: SpaceGuard | undefined;
  readonly #pendingBytesMax: number;
  readonly #onPackAppended: (block: number, data: Buffer) => void;
  /** Block number of `#queue[0]`: the log's length, but for the moment in which an append returns. */
  #first: number;
  readonly #queue: PendingBlock[] = [];
  #pendingBytes = 0;
  /** Blocks in front of it are durable elsewhere: their room is not to be refused any more. */
  #journaledEnd = 0;
  #savedBytes = 0;
  /** The one pack that may be open; it is in `#queue`, under this number. */
  #pack: number | null = null;
  #waiters: Waiter[] = [];
  #running: Promise<void> | null = null;
  /** Set when the log is not as it must be; nothing is ever appended again. */
  #broken: StoreError | null = null;
  #closed = false;
  /** What was put lately. */
  readonly notes = new PutNotes();

  static async open(options: AppenderOptions): Promise<Appender> {
    const sealedCore = options.core.session();
    await sealedCore.ready();
    await sealedCore.setEncryption(null);
    if (options.core.core === null) throw new StoreError('Cannot open the chunk log: it is closed');
    const keys = options.encryption.sealingKeys(options.core.core);
    const sealer = new BlockSealer(keys, options.layout);
    return new Appender(options, sealedCore, sealer);
  }

  private constructor(options: AppenderOptions, sealedCore: Hypercore, sealer: BlockSealer) {
    this.#core = options.core;
    this.#sealer = sealer;
    this.#layout = options.layout;
    this.#sealedCore = sealedCore;
    this.#spaceGuard = options.spaceGuard;
    this.#pendingBytesMax = options.pendingBytesMax ?? limits.pending_append_bytes_max;
    this.#onPackAppended = options.onPackAppended;
    this.#first = options.core.length;
  }

  /** Blocks in the log and on their way. */
  get length(): number {
    return this.#first + this.#queue.length;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Bytes that compressing blocks has saved, of those in the log. */
  get savedBytes(): number {
    return this.#savedBytes;
  }

  /** Whether the block is not in the log yet. */
  isPending(block: number): boolean {
    return block >= this.#first && block < this.length;
  }

  /**
   * Plaintext of a pending block, [offset, offset + length) of it with its header, not compressed yet; undefined when it
   * has less.
   */
  read(block: number, offset: number, length: number): Buffer | undefined {
    const pending = this.isPending(block) ? this.#queue[block - this.#first] : undefined;
    if (pending === undefined || offset + length > pending.used) return undefined;
    if ('data' in pending) return pending.data.subarray(offset, offset + length);
    // A copy: the memory is used for something else once the block is in the log.
    return copyOfStretch(pending.pieces, offset - blockHeaderBytes, length);
  }

  /**
   * Takes a chunk of `length` bytes; answers where it will lie. Its pieces are not copied, and must not change until
   * `release` is called. With `compress` it gets a block of its own and is compressed as that is sealed.
   * Throws InterruptedError once closed, StoreError.
   */
  put(
    pieces: readonly Buffer[],
    length: number,
    release?: () => void,
    compress = false,
  ): { block: number; offset: number } {
    if (this.#closed) throw new InterruptedError('Cannot store a chunk: the drive is closed');
    if (this.#broken !== null) throw this.#broken;
    const packed = length < packedChunkBytesMax && !compress;
    const place = packed
      ? this.#putPacked(pieces, length)
      : this.#putAlone(pieces, length, release, compress);
    this.notes.add(place, compress, pieces, length);
    if (packed) release?.();
    this.#pendingBytes += length;
    this.#kick();
    return place;
  }

  /** As `ContentStore.room`. */
  async room(): Promise<void> {
    if (this.#pendingBytes < this.#pendingBytesMax) return;
    await this.#wait(null);
  }

  /** As `ContentStore.drain`. */
  async drain(): Promise<void> {
    if (this.#queue.length === 0 && this.#broken === null) return;
    await this.#wait(this.length);
  }

  /**
   * For want of space: pending blocks that nobody needs are appended empty instead, under their numbers.
   * @param journaledEnd What is pending in front of it is in the sync journal: it stays, and may take what is left free for that.
   * @param choose Says which of the blocks [first, end) nobody needs. From then on nobody may come to refer to them.
   * @returns Whether appending may succeed now.
   */
  async dropPending(
    journaledEnd: number,
    choose: (first: number, end: number) => BlockSet,
  ): Promise<boolean> {
    while (this.#running !== null) await this.#running;
    const isJournaled = journaledEnd > Math.max(this.#journaledEnd, this.#first);
    this.#journaledEnd = journaledEnd;
    const first = Math.max(this.#first, journaledEnd);
    let isAny = false;
    for (const block of choose(first, this.length)) {
      const pending = this.#queue[block - this.#first];
      if (pending === undefined || pending === emptyBlock) continue;
      if (this.#pack === block) this.#pack = null;
      if ('release' in pending) pending.release?.();
      this.#queue[block - this.#first] = emptyBlock;
      this.#pendingBytes -= pending.used - emptyBlock.used;
      isAny = true;
    }
    return isAny || isJournaled;
  }

  /** Nothing is being written. */
  noteIdle(): void {
    this.#sealer.noteIdle();
    if (this.#running !== null) return;
    for (const space of this.#spaces) space.releaseMemory();
  }

  /** Appends what is pending; rejects like `drain` when that fails. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) {
      await this.#running;
      return;
    }
    this.#closed = true;
    try {
      if (this.#queue.length > 0) await this.#wait(this.length);
    } finally {
      await this.#running;
      this.#sealer.close();
      await this.#sealedCore.close();
    }
  }

  #wait(target: number | null): Promise<void> {
    if (this.#broken !== null) return Promise.reject(this.#broken);
    // Who waits needs the open pack in the log (or, waiting for room, out of the way) and cannot fill it meanwhile.
    this.#closePack();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ target, resolve, reject });
      this.#kick();
    });
  }

  #putAlone(
    pieces: readonly Buffer[],
    length: number,
    release: (() => void) | undefined,
    compress: boolean,
  ): { block: number; offset: number } {
    this.#queue.push({ pieces, used: blockHeaderBytes + length, open: false, compress, release });
    return { block: this.length - 1, offset: blockHeaderBytes };
  }

  #putPacked(pieces: readonly Buffer[], length: number): { block: number; offset: number } {
    let pack = this.#openPack();
    if (pack !== undefined && pack.used + length > packBytesMax) {
      this.#closePack();
      pack = undefined;
    }
    if (pack === undefined) {
      pack = newPack();
      this.#pack = this.length;
      this.#queue.push(pack);
    }
    const offset = pack.used;
    reserve(pack, offset + length);
    for (const piece of pieces) pack.used += piece.copy(pack.data, pack.used);
    return { block: this.#pack as number, offset };
  }

  #openPack(): PendingPack | undefined {
    return this.#pack === null
      ? undefined
      : (this.#queue[this.#pack - this.#first] as PendingPack | undefined);
  }

  #closePack(): void {
    const pack = this.#openPack();
    this.#pack = null;
    if (pack !== undefined) pack.open = false;
  }

  #kick(): void {
    // After the caller's own turn, so that the chunks of one write make one batch.
    this.#running ??= Promise.resolve().then(() => this.#run());
  }

  async #run(): Promise<void> {
    /** From the front of the queue on. */
    const batches: Batch[] = [];
    try {
      for (;;) {
        this.#startBatches(batches);
        const batch = batches[0];
        if (batch === undefined) break;
        const sealed = await batch.sealed;
        this.#startBatches(batches);
        await batch.ahead;
        await this.#append(batch.blocks, sealed);
        await discard(batch);
        batches.shift();
        this.#tell();
      }
    } catch (error) {
      await Promise.all(batches.map(discard));
      const failure = asShoalError(error, 'append to the chunk log');
      const waiters = this.#waiters;
      this.#waiters = [];
      // With nobody waiting the failure goes unreported here: whoever needs these blocks calls drain(), which tries
      // again and fails likewise.
      for (const waiter of waiters) waiter.reject(failure);
    } finally {
      this.#running = null;
    }
  }

  /**
   * Whether somebody waits for what is pending, or it makes a whole batch. An append takes as long for one block as for several:
   * what is synced a few kilobytes at a time, by the journal, lets each commit append it in one go.
   */
  get #isWorthAnAppend(): boolean {
    return this.#waiters.length > 0 || this.#pendingBytes >= batch_bytes_max;
  }

  /** Begins to seal what comes behind these batches, which are in order, as far as there is space. */
  #startBatches(batches: Batch[]): void {
    // Without a thread they are sealed here and now, while everything else waits.
    const most = this.#sealer.isReady ? batches_max : batches_without_thread_max;
    let start = batches.reduce((sum, { blocks }) => sum + blocks.length, 0);
    while (batches.length < most) {
      if (start === 0 && !this.#isWorthAnAppend) return;
      const batch = start === 0 ? this.#startBatch(0) : this.#startBatchAhead(start);
      if (batch === null) return;
      batches.push(batch);
      start += batch.blocks.length;
    }
  }

  /** Begins to seal the blocks for the next append, from `#queue[start]` on; null when there are none. */
  #startBatch(start: number): Batch | null {
    const count = this.#batchLength(start);
    if (count === 0) return null;
    const blocks = this.#queue.slice(start, start + count);
    const space = this.#spaces[this.#spacesUsed++ % batches_max] as SealSpace;
    const sealed = this.#sealer.seal(space, blocks.map(plaintextOf), this.#first + start);
    const roomNeeded = blocks.map(
      (block, index) => block !== emptyBlock && this.#first + start + index >= this.#journaledEnd,
    );
    const ahead = sealed.then((values) => {
      this.#claimRoom(values.filter((_, index) => roomNeeded[index]));
      return this.#writeAhead(values);
    });
    // It is told when it is their turn.
    ahead.catch(() => undefined);
    return { blocks, sealed, ahead };
  }

  /** Throws NoSpaceError. */
  #claimRoom(sealed: readonly Buffer[]): void {
    this.#spaceGuard?.claim(sealed.reduce((bytes, { length }) => bytes + length, 0));
  }

  /** Has the disk begin with what the log is told of later: both take as long. */
  #writeAhead(sealed: readonly Buffer[]): ValuesAhead | null {
    const storage = this.#core.state?.storage ?? null;
    return storage && writeAhead(storage.store, sealed);
  }

  /** The same for blocks behind those that are being appended, if they make a whole batch. */
  #startBatchAhead(start: number): Batch | null {
    let bytes = 0;
    for (let i = start; i < this.#queue.length && bytes < batch_bytes_max; i++) {
      const block = this.#queue[i] as PendingBlock;
      if (block.open || i - start === limits.append_batch_blocks_max) break;
      bytes += block.used;
    }
    return bytes < batch_bytes_max ? null : this.#startBatch(start);
  }

  /** How many blocks from `#queue[start]` on go into one batch. */
  #batchLength(start: number): number {
    const queue = this.#queue;
    let count = 0;
    let bytes = 0;
    while (
      start + count < queue.length &&
      count < limits.append_batch_blocks_max &&
      bytes < batch_bytes_max
    ) {
      const block = queue[start + count] as PendingBlock;
      if (block.open) {
        const behind = this.#pendingBytes - bytes - block.used;
        if (count > 0 || behind < behind_pack_bytes_max) break;
        this.#closePack();
      }
      bytes += block.used;
      count++;
    }
    return count;
  }

  /** Appends the blocks at the front of the queue. */
  async #append(blocks: readonly PendingBlock[], sealed: Buffer[]): Promise<void> {
    const first = this.#first;
    const count = blocks.length;
    this.#expectLength(first);
    const lengths = sealed.map((block) => block.length);
    try {
      await this.#sealedCore.append(sealed);
    } catch (error) {
      // Hypercore writes hints of its own after the blocks. When that fails the append rejects although it was done,
      // and doing it again would store the blocks twice, under wrong numbers.
      if (this.#core.length !== first + count) {
        this.#expectLength(first);
        throw error;
      }
    }
    this.#expectLength(first + count);
    this.#first += count;
    this.#queue.splice(0, count);
    for (const [index, block] of blocks.entries()) {
      this.#pendingBytes -= block.used - blockHeaderBytes;
      this.#savedBytes += block.used - this.#plainBytes(lengths[index] as number);
      // The kernel has what was written; only small files are soon read again from here.
      if ('data' in block) this.#onPackAppended(first + index, trim(block));
      else block.release?.();
    }
  }

  /** Of the plaintext, compressed or not. */
  #plainBytes(sealedBytes: number): number {
    const inSectors = this.#layout === 'sectors' ? plainBytesOf(sealedBytes) : null;
    return inSectors ?? sealedBytes - blockPaddingBytes;
  }

  /** References to pending blocks hold numbers already, so at any other length they would name others' data. */
  #expectLength(length: number): void {
    if (this.#core.length === length) return;
    this.#broken = new StoreError(
      `Cannot append to the chunk log: it has ${this.#core.length} blocks, expected ${length}; mount the drive again`,
    );
    throw this.#broken;
  }

  /** Tells those whose blocks are appended, and those who waited for room, as many as there is room for now. */
  #tell(): void {
    const waiting: Waiter[] = [];
    let room =
      this.#queue.length === 0
        ? Number.POSITIVE_INFINITY
        : Math.ceil((this.#pendingBytesMax - this.#pendingBytes) / room_bytes);
    for (const waiter of this.#waiters) {
      const done = waiter.target === null ? room-- > 0 : waiter.target <= this.#first;
      if (done) waiter.resolve();
      else waiting.push(waiter);
    }
    this.#waiters = waiting;
  }
}

/** Its space is used again: nobody is to read it any more. Gives back what was written of it and is in no log. Never rejects. */
async function discard({ ahead }: Batch): Promise<void> {
  const values = await ahead.catch(() => null);
  await values?.discard();
  await values?.settled();
}
