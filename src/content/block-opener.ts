import { Worker } from 'node:worker_threads';
import { limits } from '../limits.js';
import type { SealingKeys } from '../log/aead.js';
import { alignedMemory } from '../log/direct-io.js';
import type { BlockLayout } from '../log/sectors.js';
import type { BlockSource, OpenReply, OpenRequest, OpenThreadData } from './open-messages.js';
import { ThreadRest } from './thread-rest.js';

const noMemory = new SharedArrayBuffer(0);

/** Which block of a log. */
export interface BlockOfLog {
  /** Its number. */
  index: number;
  layout: BlockLayout;
}

interface Wanted extends BlockOfLog {
  block: Buffer;
  source: BlockSource | null;
  resolve: (isOpen: boolean) => void;
}

/**
 * Reads and decrypts blocks in a thread of its own: most of the work that the main thread and the pool would have with a block that
 * is read ahead. Those asked for in one turn are handed over together.
 */
export class BlockOpener {
  readonly #keys: SealingKeys;
  readonly #program: URL;
  #thread: Worker | null = null;
  readonly #startBytes: number;
  /** Decrypted without a thread since there was one. */
  #openedHere = 0;
  #hasFailed = false;
  /** The thread has answered. */
  #isReady = false;
  /** Not handed over yet. */
  #wanted: Wanted[] = [];
  /** Handed over, by the number of the request. */
  readonly #underWay = new Map<number, Wanted[]>();
  #nextId = 0;
  #isClosed = false;
  readonly #rest: ThreadRest;

  /**
   * @param program What the thread runs.
   * @param startBytes Of blocks, after which it is started.
   * @param restMs The thread ends once nothing was asked of it for so long.
   */
  constructor(
    keys: SealingKeys,
    program = new URL('./open-thread.js', import.meta.url),
    startBytes: number = limits.thread_start_bytes,
    restMs: number = limits.thread_rest_ms_max,
  ) {
    this.#keys = keys;
    this.#program = program;
    this.#startBytes = startBytes;
    this.#rest = new ThreadRest(() => this.#endIdle(), restMs);
  }

  /** False once a thread has failed: what is wrong with it would be wrong with the next. */
  get isUsable(): boolean {
    return !this.#hasFailed;
  }

  /**
   * Whether a block that is handed over now is worked on at once; else a thread is started, once that is worth it: it takes as
   * long as decrypting a thousand blocks.
   */
  get isReady(): boolean {
    if (this.#openedHere >= this.#startBytes) this.prepare();
    return this.#isReady;
  }

  /** Starts the thread, unless there is one: much will be read soon. */
  prepare(): void {
    if (this.#thread === null && this.#canStart) this.#ask([]);
  }

  /** So many bytes are decrypted elsewhere, since it is not ready. */
  noteOpenedHere(bytes: number): void {
    this.#openedHere += bytes;
  }

  /**
   * Decrypts a stored block in place. Resolves with false when the block is not authentic, or the thread failed: its memory
   * may hold anything then. Never rejects.
   *
   * @param block In a SharedArrayBuffer; nobody else may use its memory meanwhile. Sectors have been gathered.
   */
  open(block: Buffer, which: BlockOfLog): Promise<boolean> {
    return this.#want(block, null, which);
  }

  /**
   * Reads a stored block, and decrypts it into other memory. Resolves with false also when it could not be read; else as
   * {@link BlockOpener.open}.
   *
   * @param plain For the plaintext, and as long.
   */
  read(source: BlockSource, plain: Buffer, which: BlockOfLog): Promise<boolean> {
    return this.#want(plain, source, which);
  }

  #want(block: Buffer, source: BlockSource | null, which: BlockOfLog): Promise<boolean> {
    if (!this.#canStart) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#wanted.push({ block, source, ...which, resolve });
      if (this.#wanted.length === 1) queueMicrotask(() => this.#handOver());
    });
  }

  /** Nothing is being read. What was decrypted so far does not count: little by little no thread is needed. */
  noteIdle(): void {
    this.#openedHere = 0;
  }

  /** What is under way resolves with false, as all that is asked for later. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#end();
  }

  get #canStart(): boolean {
    return !this.#isClosed && !this.#hasFailed;
  }

  /** Much that is read then starts another. */
  #endIdle(): void {
    if (this.#wanted.length === 0 && this.#underWay.size === 0) this.#end();
  }

  #end(): void {
    this.#rest.stop();
    const thread = this.#thread;
    this.#thread = null;
    this.#isReady = false;
    this.#openedHere = 0;
    void thread?.terminate();
    this.#giveUp();
  }

  #handOver(): void {
    const wanted = this.#wanted;
    this.#wanted = [];
    // Who waits for the first is not to wait for the last.
    let list: Wanted[] = [];
    let bytes = 0;
    for (const one of wanted) {
      const isOther = list[0] !== undefined && memoryOf(list[0]) !== memoryOf(one);
      if (isOther || (list.length > 0 && bytes + one.block.length > limits.value_read_bytes_max)) {
        this.#ask(list);
        list = [];
        bytes = 0;
      }
      list.push(one);
      bytes += one.block.length;
    }
    if (list.length > 0) this.#ask(list);
  }

  #ask(list: Wanted[]): void {
    if (!this.#canStart) {
      for (const { resolve } of list) resolve(false);
      return;
    }
    const blocks = list.map(({ block, source, index, layout }) => {
      return { start: block.byteOffset, length: block.length, index, layout, source };
    });
    const memory = list[0] === undefined ? noMemory : memoryOf(list[0]);
    const id = this.#nextId++;
    const request: OpenRequest = { id, memory, blocks };
    this.#underWay.set(id, list);
    try {
      const thread = this.#startedThread();
      this.#rest.used();
      // While somebody waits for it, the process must not end.
      thread.ref();
      thread.postMessage(request);
    } catch {
      // There is no memory for a thread, or there are too many.
      void this.#thread?.terminate();
      this.#failed(this.#thread);
    }
  }

  #startedThread(): Worker {
    if (this.#thread !== null) return this.#thread;
    const reading = Array.from({ length: limits.thread_reads_max }, () =>
      alignedMemory(limits.thread_read_bytes_max),
    );
    const workerData: OpenThreadData = { ...this.#keys, reading };
    const thread = new Worker(this.#program, { workerData });
    thread.on('message', (reply: OpenReply) => {
      if (this.#thread !== thread) return;
      this.#isReady = true;
      this.#rest.used();
      const done = this.#underWay.get(reply.id) ?? [];
      this.#underWay.delete(reply.id);
      if (this.#underWay.size === 0) thread.unref();
      for (const [index, { resolve }] of done.entries()) resolve(reply.areOpen[index] === true);
    });
    thread.on('error', () => this.#failed(thread));
    thread.on('exit', () => this.#failed(thread));
    this.#thread = thread;
    return thread;
  }

  #failed(thread: Worker | null): void {
    if (this.#thread !== thread || !this.#canStart) return;
    this.#rest.stop();
    this.#thread = null;
    this.#isReady = false;
    this.#hasFailed = true;
    this.#giveUp();
  }

  #giveUp(): void {
    const lists = [...this.#underWay.values(), this.#wanted];
    this.#underWay.clear();
    this.#wanted = [];
    for (const list of lists) for (const { resolve } of list) resolve(false);
  }
}

function memoryOf({ block }: Wanted): SharedArrayBuffer {
  return block.buffer as unknown as SharedArrayBuffer;
}
