import { Worker } from 'node:worker_threads';
import { limits } from '../limits.js';
import { blockPaddingBytes, type SealingKeys } from '../log/encryption.js';
import { setLeafHash } from '../log/leaf-hashes.js';
import { sealBlock } from './seal-block.js';
import {
  hashBytes,
  type SealRequest,
  type SealRoom,
  type SealThreadData,
} from './seal-messages.js';
import { frameBytesMax } from './zstd.js';

const noMemory = new SharedArrayBuffer(0);

/** What a block may take besides its plaintext while it is sealed. */
export const blockRoomBytes = blockPaddingBytes + frameBytesMax;

/** Memory in which the blocks of one batch are gathered and sealed. Used again for a later one. */
export class SealSpace {
  readonly memory: SharedArrayBuffer;
  readonly hashes: SharedArrayBuffer;
  readonly #bytes: Buffer;
  #rooms: SealRoom[] = [];
  #blocks: Buffer[] = [];
  #usedBytes = 0;

  /** @param bytes For the blocks of a batch, each with {@link blockRoomBytes}. */
  constructor(bytes: number) {
    this.memory = new SharedArrayBuffer(bytes);
    this.hashes = new SharedArrayBuffer(limits.append_batch_blocks_max * hashBytes);
    this.#bytes = Buffer.from(this.memory);
  }

  get rooms(): readonly SealRoom[] {
    return this.#rooms;
  }

  /** The rooms' memory. */
  get blocks(): readonly Buffer[] {
    return this.#blocks;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Puts the plaintexts in place of what was there. */
  fill(plaintexts: readonly Plaintext[]): void {
    this.#blocks = [];
    this.#rooms = [];
    this.#usedBytes = 0;
    for (const { bytes: plainBytes, compress, copyTo } of plaintexts) {
      const bytes = blockPaddingBytes + plainBytes + (compress ? frameBytesMax : 0);
      const room = this.#bytes.subarray(this.#usedBytes, this.#usedBytes + bytes);
      copyTo(room.subarray(blockPaddingBytes, blockPaddingBytes + plainBytes));
      this.#rooms.push({ bytes, plainBytes, compress });
      this.#blocks.push(room);
      this.#usedBytes += bytes;
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
  resolve: (lengths: number[]) => void;
  reject: (error: Error) => void;
}

/**
 * Compresses and encrypts batches of blocks and hashes them for the log's Merkle tree; large ones in a thread of its own,
 * since all that takes as long as everything else that the main thread does for a block. It is started when there is much to do.
 */
export class BlockSealer {
  readonly #keys: SealingKeys;
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

  /**
   * @param program What the thread runs.
   * @param startBytes Of large batches, after which it is started.
   */
  constructor(
    keys: SealingKeys,
    program = new URL('./seal-thread.js', import.meta.url),
    startBytes: number = limits.thread_start_bytes,
  ) {
    this.#keys = keys;
    this.#program = program;
    this.#startBytes = startBytes;
  }

  /** Gathers the blocks in `space` and seals them there; answers them, in order. */
  async seal(space: SealSpace, plaintexts: readonly Plaintext[]): Promise<Buffer[]> {
    space.fill(plaintexts);
    if (space.usedBytes >= limits.seal_thread_batch_bytes_min && !this.#threadFailed) {
      try {
        // Until a new thread works, the main thread can do much.
        if (this.isReady) return await this.#sealInThread(space);
        this.#sealedHere += space.usedBytes;
      } catch {
        // Without a thread it takes longer, that is all. Some blocks may be encrypted by now, so all are gathered anew.
        this.#threadFailed = true;
        space.fill(plaintexts);
      }
    }
    return space.blocks.map((block, index) =>
      block.subarray(0, sealBlock(this.#keys, block, space.rooms[index] as SealRoom)),
    );
  }

  /** Whether a batch that is handed over now is worked on at once; else a thread is started, once that is worth it. */
  get isReady(): boolean {
    const isWorthIt = this.#sealedHere >= this.#startBytes;
    if (isWorthIt && this.#thread === null && !this.#threadFailed) {
      const nothing = { memory: noMemory, hashes: noMemory, rooms: [] };
      this.#ask(nothing).catch(() => {
        this.#threadFailed = true;
      });
    }
    return this.#isReady;
  }

  /** Lets the thread go, unless it is at work; the next large batch starts another. */
  release(): void {
    if (this.#waiting.length === 0) this.close();
  }

  /** To be called when nothing is being sealed. */
  close(): void {
    void this.#thread?.terminate();
    this.#thread = null;
    this.#isReady = false;
    this.#sealedHere = 0;
    this.#waiting = [];
  }

  async #sealInThread(space: SealSpace): Promise<Buffer[]> {
    const { memory, hashes, rooms } = space;
    const request: SealRequest = { memory, hashes, rooms: [...rooms] };
    const lengths = await this.#ask(request);
    return space.blocks.map((room, index) => {
      const block = room.subarray(0, lengths[index]);
      setLeafHash(block, Buffer.from(Buffer.from(hashes, index * hashBytes, hashBytes)));
      return block;
    });
  }

  #ask(request: SealRequest): Promise<number[]> {
    const thread = this.#startedThread();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      // While somebody waits for it, the process must not end.
      thread.ref();
      thread.postMessage(request);
    });
  }

  #startedThread(): Worker {
    if (this.#thread !== null) return this.#thread;
    const workerData: SealThreadData = this.#keys;
    const thread = new Worker(this.#program, { workerData });
    thread.on('message', (lengths: number[]) => {
      this.#isReady = true;
      this.#waiting.shift()?.resolve(lengths);
      if (this.#waiting.length === 0) thread.unref();
    });
    thread.on('error', (error) => this.#failed(thread, error));
    thread.on('exit', () => this.#failed(thread, new Error('the sealing thread ended')));
    this.#thread = thread;
    return thread;
  }

  #failed(thread: Worker, error: Error): void {
    if (this.#thread !== thread) return;
    this.#thread = null;
    this.#isReady = false;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }
}
