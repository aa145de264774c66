/** Checks that chunks are in the local store, can be decrypted, and have their hash. */
import type Hypercore from 'hypercore';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { readStoredBlock, type StoredBlock } from '../log/stored-block.js';
import { checkBlock, checkRead, decompressChunk, sliceChunk } from './block-format.js';
import { chunkHash } from './chunk-hash.js';
import type { ChunkReference } from './content-store.js';

export interface ChunkCheckOptions<Owner> {
  /** The chunk logs by their writer's index: ready, with their encryption. */
  logs: ReadonlyMap<number, Hypercore>;
  /** Key of the chunks' hashes, 32 bytes. */
  hashKey: Buffer;
  /** Every block should be here. */
  isWhole: boolean;
  onDamaged: (owner: Owner, reason: string) => void;
  /** After each block. */
  onBlock?: (bytes: number) => void;
  signal?: AbortSignal | undefined;
}

/** What was looked at. */
export interface ChunkCounts {
  /** Blocks that are here and sound. */
  blocks: number;
  /** Bytes in them. */
  bytes: number;
  /** Blocks that files need and that were never fetched. */
  absentBlocks: number;
}

/** Damaged blocks of one log, for fetching them again. */
export interface DamagedBlock {
  writer: number;
  block: number;
  reason: string;
  /** A file refers to it. */
  isNeeded: boolean;
}

interface Use<Owner> {
  chunk: ChunkReference;
  owner: Owner;
}

/**
 * References come in the order of files. They are gathered, sorted, and each block is read once for all of them; so
 * memory is bounded, and the log is read nearly in its order.
 */
export class ChunkCheck<Owner> {
  readonly #options: ChunkCheckOptions<Owner>;
  #uses: Use<Owner>[] = [];
  /** One bit a block: seen, by writer. */
  readonly #seen = new Map<number, Uint8Array>();
  readonly damaged: DamagedBlock[] = [];
  readonly counts: ChunkCounts = { blocks: 0, bytes: 0, absentBlocks: 0 };

  constructor(options: ChunkCheckOptions<Owner>) {
    this.#options = options;
    for (const [writer, core] of options.logs) {
      this.#seen.set(writer, new Uint8Array(Math.ceil(core.length / 8)));
    }
  }

  /** Whether `flush` should be called before more is added. */
  get isFull(): boolean {
    return this.#uses.length >= limits.check_references_max;
  }

  /** References to logs or blocks that do not exist are the tree's fault: they are left out. */
  add(chunk: ChunkReference, owner: Owner): void {
    const core = this.#options.logs.get(chunk.writer);
    if (core !== undefined && chunk.block < core.length) this.#uses.push({ chunk, owner });
  }

  /** Checks what was added since the last call. */
  async flush(): Promise<void> {
    const uses = this.#uses.sort(
      (a, b) => a.chunk.writer - b.chunk.writer || a.chunk.block - b.chunk.block,
    );
    this.#uses = [];
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < uses.length) {
        this.#options.signal?.throwIfAborted();
        const start = next;
        const { writer, block } = (uses[start] as Use<Owner>).chunk;
        while (next < uses.length && isIn(uses[next] as Use<Owner>, writer, block)) next++;
        await this.#checkUses(writer, block, uses.slice(start, next));
      }
    };
    await Promise.all(Array.from({ length: limits.check_reads_max }, work));
  }

  /** Checks the blocks that are here and that nothing referred to: peers may ask for them. */
  async finish(): Promise<void> {
    await this.flush();
    for (const [writer, core] of this.#options.logs) {
      const seen = this.#seen.get(writer) as Uint8Array;
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < seen.length * 8 && next < core.length) {
          const block = next++;
          if (isSet(seen, block)) continue;
          this.#options.signal?.throwIfAborted();
          // One that is not here is not missed.
          this.#count(writer, block, await readStoredBlock(core, block, false), false);
        }
      };
      await Promise.all(Array.from({ length: limits.check_reads_max }, work));
    }
  }

  async #checkUses(writer: number, block: number, uses: Use<Owner>[]): Promise<void> {
    const { logs, isWhole, onDamaged } = this.#options;
    const stored = await readStoredBlock(logs.get(writer) as Hypercore, block, isWhole);
    const isNew = !isSet(this.#seen.get(writer), block);
    set(this.#seen.get(writer), block);
    if (isNew) {
      this.#count(writer, block, stored, true);
      if (stored.state === 'absent') this.counts.absentBlocks++;
    }
    if (stored.state === 'absent') return;
    const checked = new Map<string, string | null>();
    for (const { chunk, owner } of uses) {
      const key = `${chunk.offset}/${chunk.length}/${chunk.compressedBytes}/${chunk.hash.toString('latin1')}`;
      let fault = checked.get(key);
      if (fault === undefined) {
        fault = stored.state === 'damaged' ? stored.reason : this.#faultOf(stored.plain, chunk);
        checked.set(key, fault);
      }
      if (fault !== null) onDamaged(owner, fault);
    }
  }

  /** What is wrong with a chunk in a block that was decrypted; null when nothing is. */
  #faultOf(plain: Buffer, chunk: ChunkReference): string | null {
    try {
      checkBlock(plain, chunk.block);
      checkRead(chunk, 0, chunk.length);
      const data =
        chunk.compressedBytes === undefined
          ? sliceChunk(plain, chunk, 0, chunk.length)
          : decompressChunk(plain, chunk);
      if (chunkHash(this.#options.hashKey, [data]).equals(chunk.hash)) return null;
      return `A chunk in block ${chunk.block} does not have its hash`;
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      return error.message;
    }
  }

  #count(writer: number, block: number, stored: StoredBlock, isNeeded: boolean): void {
    if (stored.state === 'sound') {
      this.counts.blocks++;
      this.counts.bytes += stored.plain.length;
      this.#options.onBlock?.(stored.plain.length);
    } else if (stored.state === 'damaged') {
      if (this.damaged.length >= limits.check_blocks_fetched_max) return;
      this.damaged.push({ writer, block, reason: stored.reason, isNeeded });
    }
  }
}

function isIn({ chunk }: Use<unknown>, writer: number, block: number): boolean {
  return chunk.writer === writer && chunk.block === block;
}

function isSet(bits: Uint8Array | undefined, index: number): boolean {
  return (((bits?.[index >>> 3] ?? 0) >>> (index & 7)) & 1) === 1;
}

function set(bits: Uint8Array | undefined, index: number): void {
  if (bits !== undefined) bits[index >>> 3] = (bits[index >>> 3] ?? 0) | (1 << (index & 7));
}
