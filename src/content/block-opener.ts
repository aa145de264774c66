import { limits } from '../limits.js';
import type { SealingKeys } from '../log/aead.js';
import { alignedMemory } from '../log/direct-io.js';
import type { BlockLayout } from '../log/sectors.js';
import type { BlockSource, OpenReply, OpenRequest, OpenThreadData } from './open-messages.js';
import { WorkThread } from './work-thread.js';

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
  readonly #thread: WorkThread<OpenRequest, OpenReply>;
  /** Not handed over yet. */
  #wanted: Wanted[] = [];

  /** @param program What the thread runs. The rest is as of {@link WorkThread}. */
  constructor(
    keys: SealingKeys,
    program = new URL('./open-thread.js', import.meta.url),
    startBytes: number = limits.thread_start_bytes,
    restMs: number = limits.thread_rest_ms_max,
  ) {
    const workerData = (): OpenThreadData => {
      const reading = Array.from({ length: limits.thread_reads_max }, () =>
        alignedMemory(limits.thread_read_bytes_max),
      );
      return { ...keys, reading };
    };
    const nothing: OpenRequest = { memory: noMemory, blocks: [] };
    this.#thread = new WorkThread({ program, workerData, nothing, startBytes, restMs });
  }

  /** As of {@link WorkThread}. */
  get isUsable(): boolean {
    return this.#thread.isUsable;
  }

  /** As of {@link WorkThread}. */
  get isReady(): boolean {
    return this.#thread.isReady;
  }

  /** Much will be read soon. */
  prepare(): void {
    this.#thread.prepare();
  }

  /** So many bytes are decrypted elsewhere, since it is not ready. */
  noteOpenedHere(bytes: number): void {
    this.#thread.noteDoneHere(bytes);
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
    return new Promise((resolve) => {
      this.#wanted.push({ block, source, ...which, resolve });
      if (this.#wanted.length === 1) queueMicrotask(() => this.#handOver());
    });
  }

  /** Nothing is being read. */
  noteIdle(): void {
    this.#thread.noteIdle();
  }

  /** What is under way resolves with false, as all that is asked for later. Idempotent. */
  close(): void {
    this.#thread.close();
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
        void this.#ask(list);
        list = [];
        bytes = 0;
      }
      list.push(one);
      bytes += one.block.length;
    }
    if (list.length > 0) void this.#ask(list);
  }

  async #ask(list: Wanted[]): Promise<void> {
    const blocks = list.map(({ block, source, index, layout }) => {
      return { start: block.byteOffset, length: block.length, index, layout, source };
    });
    const memory = list[0] === undefined ? noMemory : memoryOf(list[0]);
    const areOpen = await this.#thread.ask({ memory, blocks }).catch((): OpenReply => []);
    for (const [index, { resolve }] of list.entries()) resolve(areOpen[index] === true);
  }
}

function memoryOf({ block }: Wanted): SharedArrayBuffer {
  return block.buffer as unknown as SharedArrayBuffer;
}
