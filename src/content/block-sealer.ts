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
import { WorkThread } from './work-thread.js';
import { frameBytesMax } from './zstd.js';

const noMemory = new SharedArrayBuffer(0);
const nothing: SealRequest = {
  memory: noMemory,
  sealed: noMemory,
  hashes: noMemory,
  rooms: [],
  first: 0,
};

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

/**
 * Compresses and encrypts batches of blocks and hashes them for the log's Merkle tree; large ones in a thread of its own,
 * since all that takes as long as everything else that the main thread does for a block. It is started when there is much to do.
 */
export class BlockSealer {
  readonly #keys: SealingKeys;
  readonly #layout: BlockLayout;
  readonly #thread: WorkThread<SealRequest, SealAnswer>;

  /**
   * @param layout How blocks are sealed.
   * @param program What the thread runs.
   * @param startBytes As of {@link WorkThread}, of large batches; `restMs` likewise.
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
    const workerData = (): SealThreadData => ({ ...keys, layout });
    this.#thread = new WorkThread({ program, workerData, nothing, startBytes, restMs });
  }

  /**
   * Gathers the blocks in `space` and seals them there; answers them, in order. @param first Number of the first one in its
   * log.
   */
  async seal(space: SealSpace, plaintexts: readonly Plaintext[], first: number): Promise<Buffer[]> {
    space.fill(plaintexts);
    if (space.usedBytes >= limits.seal_thread_batch_bytes_min) {
      try {
        // Until a new thread works, the main thread can do much.
        if (this.isReady) return await this.#sealInThread(space, first);
        this.#thread.noteDoneHere(space.usedBytes);
      } catch {
        // Without a thread it takes longer, that is all. Some blocks may be compressed by now, so all are gathered anew.
        space.fill(plaintexts);
      }
    }
    return space.blocks.map((block, i) => {
      const [plain, room] = [space.plaintexts[i] as Buffer, space.rooms[i] as SealRoom];
      return block.subarray(0, sealBlock(this.#keys, this.#layout, first + i, plain, room, block));
    });
  }

  /** As of {@link WorkThread}. */
  get isReady(): boolean {
    return this.#thread.isReady;
  }

  /** Nothing is being sealed. */
  noteIdle(): void {
    this.#thread.noteIdle();
  }

  /** To be called when nothing is being sealed. */
  close(): void {
    this.#thread.close();
  }

  async #sealInThread(space: SealSpace, first: number): Promise<Buffer[]> {
    const { memory, sealed, hashes, rooms } = space;
    const request: SealRequest = { memory, sealed, hashes, rooms: [...rooms], first };
    const { lengths, checksums } = await this.#thread.ask(request);
    return space.blocks.map((room, index) => {
      const block = room.subarray(0, lengths[index]);
      setChecksum(block, checksums[index] as number);
      setLeafHash(block, Buffer.from(Buffer.from(hashes, index * hashBytes, hashBytes)));
      return block;
    });
  }
}
