import { Worker } from 'node:worker_threads';
import { limits } from '../limits.js';
import { blockPaddingBytes, type SealingKeys, sealWith } from '../log/encryption.js';
import { setLeafHash } from '../log/leaf-hashes.js';
import { hashBytes, type SealRequest, type SealThreadData } from './seal-messages.js';

/** Memory in which the blocks of one batch are gathered and sealed. Used again for a later one. */
export class SealSpace {
  readonly memory: SharedArrayBuffer;
  readonly hashes: SharedArrayBuffer;
  readonly #bytes: Buffer;
  readonly #ends: number[] = [];
  #blocks: Buffer[] = [];

  /** @param bytes For the blocks of a batch with their paddings. */
  constructor(bytes: number) {
    this.memory = new SharedArrayBuffer(bytes);
    this.hashes = new SharedArrayBuffer(limits.append_batch_blocks_max * hashBytes);
    this.#bytes = Buffer.from(this.memory);
  }

  get ends(): readonly number[] {
    return this.#ends;
  }

  /** Those of the last {@link SealSpace.fill}; plaintext behind the room for their padding, until they are sealed. */
  get blocks(): readonly Buffer[] {
    return this.#blocks;
  }

  get usedBytes(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /** Puts the plaintexts in place of what was there. */
  fill(plaintexts: readonly Plaintext[]): void {
    this.#blocks = [];
    this.#ends.length = 0;
    for (const plaintext of plaintexts) {
      const start = this.usedBytes;
      const end = start + blockPaddingBytes + plaintext.bytes;
      plaintext.copyTo(this.#bytes.subarray(start + blockPaddingBytes, end));
      this.#ends.push(end);
      this.#blocks.push(this.#bytes.subarray(start, end));
    }
  }
}

/** The plaintext of a block, wherever it lies. */
export interface Plaintext {
  bytes: number;
  copyTo(target: Buffer): void;
}

interface Waiter {
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * Encrypts batches of blocks and hashes them for the log's Merkle tree; large ones in a thread of its own, since both
 * together take as long as everything else that the main thread does for a block.
 */
export class BlockSealer {
  readonly #keys: SealingKeys;
  readonly #program: URL;
  #thread: Worker | null = null;
  #threadFailed = false;
  /** Those who wait for the thread, in order. */
  #waiting: Waiter[] = [];

  /** @param program What the thread runs. */
  constructor(keys: SealingKeys, program = new URL('./seal-thread.js', import.meta.url)) {
    this.#keys = keys;
    this.#program = program;
  }

  /** Gathers the blocks in `space` and seals them there; answers them, in order. */
  async seal(space: SealSpace, plaintexts: readonly Plaintext[]): Promise<Buffer[]> {
    space.fill(plaintexts);
    if (space.usedBytes >= limits.seal_thread_batch_bytes_min && !this.#threadFailed) {
      try {
        await this.#sealInThread(space);
        return [...space.blocks];
      } catch {
        // Without a thread it takes longer, that is all. Some blocks may be encrypted by now, so all are gathered anew.
        this.#threadFailed = true;
        space.fill(plaintexts);
      }
    }
    for (const block of space.blocks) {
      sealWith(this.#keys, block.subarray(blockPaddingBytes), block);
    }
    return [...space.blocks];
  }

  /** Lets the thread go, unless it is at work; the next large batch starts another. */
  release(): void {
    if (this.#waiting.length === 0) this.close();
  }

  /** To be called when nothing is being sealed. */
  close(): void {
    void this.#thread?.terminate();
    this.#thread = null;
  }

  async #sealInThread(space: SealSpace): Promise<void> {
    const { memory, hashes, ends } = space;
    const request: SealRequest = { memory, hashes, ends: [...ends] };
    const thread = this.#startedThread();
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      // While somebody waits for it, the process must not end.
      thread.ref();
      thread.postMessage(request);
    });
    for (const [index, block] of space.blocks.entries()) {
      setLeafHash(block, Buffer.from(Buffer.from(hashes, index * hashBytes, hashBytes)));
    }
  }

  #startedThread(): Worker {
    if (this.#thread !== null) return this.#thread;
    const workerData: SealThreadData = this.#keys;
    const thread = new Worker(this.#program, { workerData });
    thread.on('message', () => {
      this.#waiting.shift()?.resolve();
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
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
  }
}
