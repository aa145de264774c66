/**
 * Blocks of the tree's log: those used last are in memory, and those that are wanted at the same time are read from the
 * store as one, since each read of it wakes a thread.
 */
import type Hypercore from 'hypercore';
import { InterruptedError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { isLogEncryption } from '../log/encryption.js';
import { LocalBlocks } from '../log/local-blocks.js';
import { asShoalError } from '../log/store-errors.js';
import { untilAborted } from '../log/until-aborted.js';
import { GenerationCache } from './generation-cache.js';
import { PackedBlock } from './packed-block.js';

/** How a read waits for peers. */
export interface Waiting {
  /** Whether it does at all. */
  wait: boolean;
  /** As `Date.now` has it. */
  giveUpAtMs: number;
  signal?: AbortSignal | undefined;
}

const WHAT = 'read the tree';

export class TreeBlocks {
  readonly #core: Hypercore;
  readonly #local: LocalBlocks;
  readonly #cache = new GenerationCache<PackedBlock>(
    limits.tree_cache_bytes_max,
    (block) => block.memoryBytes,
  );
  /** Being read from the store, for all who want them. */
  readonly #reading = new Map<number, Promise<PackedBlock | null>>();
  #clears = 0;

  /** @param core A session of the tree's log. */
  constructor(core: Hypercore) {
    this.#core = core;
    this.#local = new LocalBlocks(core, limits.tree_read_blocks_max);
  }

  /** From memory. */
  get(seq: number): PackedBlock | undefined {
    return this.#cache.get(seq);
  }

  /** Adds blocks to `held`. Throws DamagedError, UnavailableError, InterruptedError, StoreError. */
  async load(
    seqs: Iterable<number>,
    held: Map<number, PackedBlock>,
    waiting: Waiting,
  ): Promise<void> {
    const loads: Promise<void>[] = [];
    for (const seq of seqs) {
      loads.push(
        this.#load(seq, waiting).then((block) => {
          held.set(seq, block);
        }),
      );
    }
    const all = loads.length === 1 ? (loads[0] as Promise<void>) : Promise.all(loads);
    // The others must not become unhandled rejections.
    for (const load of loads) load.catch(() => undefined);
    await untilAborted<unknown>(all, waiting.signal, ' while waiting for the tree');
  }

  /** Gives memory back that is only held to be faster. */
  releaseMemory(): void {
    this.#cache.clear();
  }

  /** Blocks were replaced by others. */
  clear(): void {
    this.#cache.clear();
    this.#reading.clear();
    this.#clears++;
  }

  async #load(seq: number, waiting: Waiting): Promise<PackedBlock> {
    const local = this.#cache.get(seq) ?? (await this.#readLocal(seq));
    return local ?? (await this.#fetch(seq, waiting));
  }

  #readLocal(seq: number): Promise<PackedBlock | null> {
    const underWay = this.#reading.get(seq);
    if (underWay !== undefined) return underWay;
    const reading = this.#read(seq).finally(() => {
      if (this.#reading.get(seq) === reading) this.#reading.delete(seq);
    });
    this.#reading.set(seq, reading);
    return reading;
  }

  async #read(seq: number): Promise<PackedBlock | null> {
    const clears = this.#clears;
    let stored: Buffer | null;
    try {
      stored = await this.#local.get(seq);
    } catch (error) {
      throw asShoalError(error, WHAT);
    }
    // What the store gives is ours alone.
    return stored === null ? null : this.#opened(seq, stored, true, clears);
  }

  async #fetch(seq: number, { wait, giveUpAtMs, signal }: Waiting): Promise<PackedBlock> {
    if (signal?.aborted === true) throw new InterruptedError('Interrupted');
    const timeout = Math.max(1, giveUpAtMs - Date.now());
    const clears = this.#clears;
    let stored: Buffer | null;
    try {
      stored = await this.#core.get(seq, { wait, timeout, raw: true });
    } catch (error) {
      throw asShoalError(error, WHAT);
    }
    if (stored === null) {
      throw new UnavailableError(`Cannot read block ${seq} of the tree: it is not on this machine`);
    }
    return this.#opened(seq, stored, false, clears);
  }

  #opened(seq: number, stored: Buffer, inPlace: boolean, clears: number): PackedBlock {
    const { encryption, core } = this.#core;
    if (core === null) throw new InterruptedError('Cannot read the tree: it is closed');
    const isSealed = isLogEncryption(encryption);
    const block = new PackedBlock(
      seq,
      isSealed ? encryption.open(seq, stored, core, inPlace) : stored,
    );
    if (clears === this.#clears) this.#cache.set(seq, block);
    return block;
  }
}
