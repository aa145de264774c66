import { Worker } from 'node:worker_threads';
import { limits } from '../limits.js';
import type { SealingKeys } from '../log/aead.js';
import { setLeafHash } from '../log/leaf-hashes.js';
import { releasePages } from '../log/release-pages.js';
import { type BlockLayout, sectoredBytes } from '../log/sectors.js';
import { setChecksum } from '../log/values/checksum.js';
import { sealBlock } from './seal-block.js';
import {
  hashBytes,
  type SealAnswer,
  type SealRequest,
  type SealRoom,
  type SealThreadData,
} from './seal-messages.js';
import { ThreadRest } from './thread-rest.js';
import { frameBytesMax } from './zstd.js';

const noMemory = new SharedArrayBuffer(0);

/** What a block may take besides its plaintext while it is compressed. */
export const blockRoomBytes: number = frameBytesMax;

/** Memory in which the blocks of one batch are gathered and sealed. Used again for a later one. */
export class SealSpace {
  readonly memory: SharedArrayBuffer;
  readonly sealed: SharedArrayBuffer;
  readonly hashes: SharedArrayBuffer;
  readonly #bytes: Buffer;
  readonly #sealed: Buffer;
  #rooms: SealRoom[] = [];
  #plaintexts: Buffer[] = [];
  #blocks: Buffer[] = [];
  #usedBytes = 0;

  /** @param bytes For the blocks of a batch, each with {@link blockRoomBytes}. */
  constructor(bytes: number) {
    this.memory = new SharedArrayBuffer(bytes);
    // In sectors a block takes no less than in one piece, and each may end with a short one.
    const shortSectors = limits.append_batch_blocks_max * sectoredBytes(1);
    this.sealed = new SharedArrayBuffer(sectoredBytes(bytes) + shortSectors);
    this.#sealed = Buffer.from(this.sealed);
    this.hashes = new SharedArrayBuffer(limits.append_batch_blocks_max * hashBytes);
    this.#bytes = Buffer.from(this.memory);
  }

  get rooms(): readonly SealRoom[] {
    return this.#rooms;
  }

  /** The rooms of the plaintexts. */
  get plaintexts(): readonly Buffer[] {
    return this.#plaintexts;
  }

  /** The rooms of the sealed blocks. */
  get blocks(): readonly Buffer[] {
    return this.#blocks;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Gives its memory back to the system until it is used again. To be called when nobody uses it. */
  releaseMemory(): void {
    releasePages(this.#bytes);
    releasePages(this.#sealed);
  }

  /** Puts the plaintexts in place of what was there. */
  fill(plaintexts: readonly Plaintext[]): void {
    this.#plaintexts = [];
    this.#blocks = [];
    this.#rooms = [];
    this.#usedBytes = 0;
    let sealedStart = 0;
    for (const { bytes: plainBytes, compress, copyTo } of plaintexts) {
      const bytes = plainBytes + (compress ? frameBytesMax : 0);
      const sealedBytes = sectoredBytes(bytes);
      const room = this.#bytes.subarray(this.#usedBytes, this.#usedBytes + bytes);
      copyTo(room.subarray(0, plainBytes));
      this.#rooms.push({ bytes, plainBytes, sealedBytes, compress });
      this.#plaintexts.push(room);
      this.#blocks.push(this.#sealed.subarray(sealedStart, sealedStart + sealedBytes));
      this.#usedBytes += bytes;
      sealedStart += sealedBytes;
    }
  }
}

/** The plaintext of a block, wherever it lies. */
export interface Plaintext {
  bytes: number;
  /** Whether all behind its header is a chunk to be compressed. */
  compress: boolean;
  copyTo: (target: Buffer) => void;
}

interface Waiter {
  resolve: (answer: SealAnswer) => void;
  reject: (error: Error) => void;
}

/**
 * Compresses and encrypts batches of blocks and hashes them for the log's Merkle tree; large ones in a thread of its own,
 * since all that takes as long as everything else that the main thread does for a block. It is started when there is much to do.
 */
export class BlockSealer {
  readonly #keys: SealingKeys;
  readonly #layout: BlockLayout;
  readonly #program: URL;
  readonly #startBytes: number;
  /** Of large batches, sealed without a thread since there was one. */
  #sealedHere = 0;
  #thread: Worker | null = null;
  #threadFailed = false;
  /** The thread has answered. */
  #isReady = false;
  /** Those who wait for the thread, in order. */
  #waiting: Waiter[] = [];
  readonly #rest: ThreadRest;

  /**
   * @param layout How blocks are sealed.
   * @param program What the thread runs.
   * @param startBytes Of large batches, after which it is started.
   * @param restMs The thread ends once nothing was asked of it for so long.
   */
  constructor(
    keys: SealingKeys,
    layout: BlockLayout,
    program = new URL('./seal-thread.js', import.meta.url),
    startBytes: number = limits.thread_start_bytes,
    restMs: number = limits.thread_rest_ms_max,
  ) {
    this.#keys = keys;
    this.#layout = layout;
    this.#program = program;
    this.#startBytes = startBytes;
    this.#rest = new ThreadRest(() => this.#endIdle(), restMs);
  }

  /**
   * Gathers the blocks in `space` and seals them there; answers them, in order. @param first Number of the first one in its
   * log.
   */
  async seal(space: SealSpace, plaintexts: readonly Plaintext[], first: number): Promise<Buffer[]> {
    space.fill(plaintexts);
    if (space.usedBytes >= limits.seal_thread_batch_bytes_min && !this.#threadFailed) {
      try {
        // Until a new thread works, the main thread can do much.
        if (this.isReady) return await this.#sealInThread(space, first);
        this.#sealedHere += space.usedBytes;
      } catch {
        // Without a thread it takes longer, that is all. Some blocks may be compressed by now, so all are gathered anew.
        this.#threadFailed = true;
        space.fill(plaintexts);
      }
    }
    return space.blocks.map((block, i) => {
      const [plain, room] = [space.plaintexts[i] as Buffer, space.rooms[i] as SealRoom];
      return block.subarray(0, sealBlock(this.#keys, this.#layout, first + i, plain, room, block));
    });
  }

  /** Whether a batch that is handed over now is worked on at once; else a thread is started, once that is worth it. */
  get isReady(): boolean {
    const isWorthIt = this.#sealedHere >= this.#startBytes;
    if (isWorthIt && this.#thread === null && !this.#threadFailed) {
      const nothing = { memory: noMemory, sealed: noMemory, hashes: noMemory, rooms: [], first: 0 };
      this.#ask(nothing).catch(() => {
        this.#threadFailed = true;
      });
    }
    return this.#isReady;
  }

  /** Nothing is being sealed. What was so far does not count: little by little no thread is needed. */
  noteIdle(): void {
    this.#sealedHere = 0;
  }

  /** Much that is sealed then starts another. */
  #endIdle(): void {
    if (this.#waiting.length === 0) this.close();
  }

  /** To be called when nothing is being sealed. */
  close(): void {
    this.#rest.stop();
    void this.#thread?.terminate();
    this.#thread = null;
    this.#isReady = false;
    this.#sealedHere = 0;
    this.#waiting = [];
  }

  async #sealInThread(space: SealSpace, first: number): Promise<Buffer[]> {
    const { memory, sealed, hashes, rooms } = space;
    const request: SealRequest = { memory, sealed, hashes, rooms: [...rooms], first };
    const { lengths, checksums } = await this.#ask(request);
    return space.blocks.map((room, index) => {
      const block = room.subarray(0, lengths[index]);
      setChecksum(block, checksums[index] as number);
      setLeafHash(block, Buffer.from(Buffer.from(hashes, index * hashBytes, hashBytes)));
      return block;
    });
  }

  #ask(request: SealRequest): Promise<SealAnswer> {
    const thread = this.#startedThread();
    this.#rest.used();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      // While somebody waits for it, the process must not end.
      thread.ref();
      thread.postMessage(request);
    });
  }

  #startedThread(): Worker {
    if (this.#thread !== null) return this.#thread;
    const workerData: SealThreadData = { ...this.#keys, layout: this.#layout };
    const thread = new Worker(this.#program, { workerData });
    thread.on('message', (answer: SealAnswer) => {
      if (this.#thread !== thread) return;
      this.#isReady = true;
      this.#rest.used();
      this.#waiting.shift()?.resolve(answer);
      if (this.#waiting.length === 0) thread.unref();
    });
    thread.on('error', (error) => this.#failed(thread, error));
    thread.on('exit', () => this.#failed(thread, new Error('the sealing thread ended')));
    this.#thread = thread;
    return thread;
  }

  #failed(thread: Worker, error: Error): void {
    if (this.#thread !== thread) return;
    this.#rest.stop();
    this.#thread = null;
    this.#isReady = false;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }
}
