import type Hypercore from 'hypercore';
import { limits } from '../limits.js';
import { InPlaceIo } from './in-place-io.js';
import { findValuesOf } from './values/value-database.js';
import type { ValueFiles } from './values/value-files.js';
import type { ValuePointer } from './values/value-pointer.js';

interface Wanted {
  block: number;
  resolve: (stored: Promise<Buffer | null> | null) => void;
}

/** Where a stored block lies: true a moment ago, since it may be removed. */
export interface StoredPlace {
  files: ValueFiles;
  pointer: ValuePointer;
}

/** A stretch of a stored block. */
export interface StoredStretch {
  /** Of its first byte in the block. */
  offset: number;
  length: number;
}

/**
 * Blocks that are in the store, as stored. Those asked for in one turn are read as one: each read of the store wakes a
 * thread, which costs as much as decrypting a block.
 */
export class LocalBlocks {
  readonly #core: Hypercore;
  readonly #blocksMax: number;
  readonly #inPlace = new InPlaceIo(
    limits.in_place_read_bytes_max,
    limits.in_place_read_pause_factor,
  );
  /** Done in this turn of the event loop. */
  #inTurn = 0;
  #wanted: Wanted[] = [];

  /**
   * @param core Ready before the first block is asked for.
   * @param blocksMax Blocks read in one piece of work for a thread.
   */
  constructor(core: Hypercore, blocksMax: number) {
    this.#core = core;
    this.#blocksMax = blocksMax;
  }

  /** Resolves with memory that is the caller's alone; null when the store lacks the block. Rejects as the store does. */
  get(block: number): Promise<Buffer | null> {
    return new Promise((resolve) => {
      this.#wanted.push({ block, resolve });
      if (this.#wanted.length === 1) Promise.resolve().then(() => this.#read());
      else if (this.#wanted.length >= this.#blocksMax) this.#read();
    });
  }

  /**
   * From now on `listener` is told of each large block that the store has got, before the log counts it as there. Answers how to end
   * that. @param listener Must not throw; the memory is its own until it returns.
   */
  onStored(listener: (block: number, stored: Buffer) => void): () => void {
    const storage = this.#storage();
    const fresh = storage && findValuesOf(storage.store)?.fresh;
    const nothing = (): void => undefined;
    return (
      fresh?.listen((data, block, stored) => {
        if (this.#storage()?.core.dataPointer === data) listener(block, stored);
      }) ?? nothing
    );
  }

  /** Where a block lies, if that is known without a wait. */
  place(block: number): StoredPlace | null {
    const storage = this.#storage();
    if (storage === null || storage.core.dependencies.length > 0) return null;
    const values = findValuesOf(storage.store);
    const pointer = values?.pointers.peek(storage.core.dataPointer, block) ?? null;
    return values === null || pointer === null ? null : { files: values.files, pointer };
  }

  /** Where a block lies, once that is known; null for one that is in no file of its own. Never rejects. */
  async find(block: number): Promise<StoredPlace | null> {
    const storage = this.#storage();
    if (storage === null || storage.core.dependencies.length > 0) return null;
    const values = findValuesOf(storage.store);
    const pointer = (await values?.pointers.find(storage.core.dataPointer, block)) ?? null;
    return values === null || pointer === null ? null : { files: values.files, pointer };
  }

  /**
   * A stretch of a block, waiting for the disk in place. It is not checked. Null says nothing: the disk is slow, or has
   * nothing there any more.
   *
   * @param memory Where it goes, if it has room. Default: new memory.
   */
  now({ files, pointer }: StoredPlace, stretch: StoredStretch, memory?: Buffer): Buffer | null {
    if (this.#inTurn >= limits.in_place_reads_per_turn_max) return null;
    if (!this.#inPlace.admits(stretch.length)) return null;
    if (this.#inTurn++ === 0) {
      setImmediate(() => {
        this.#inTurn = 0;
      });
    }
    const bytes =
      memory !== undefined && memory.length >= stretch.length
        ? memory.subarray(0, stretch.length)
        : Buffer.allocUnsafeSlow(stretch.length);
    try {
      const isRead = this.#inPlace.run(() => files.readNow(pointer, stretch.offset, bytes));
      return isRead ? bytes : null;
    } catch {
      // Read again by the pool, it fails again, and says so.
      return null;
    }
  }

  /** Null once the log is closed. */
  #storage(): NonNullable<Hypercore['state']>['storage'] {
    return this.#core.closing === null ? (this.#core.state?.storage ?? null) : null;
  }

  #read(): void {
    const wanted = this.#wanted;
    if (wanted.length === 0) return;
    this.#wanted = [];
    const storage = this.#storage();
    if (storage === null) {
      for (const { resolve } of wanted) resolve(null);
      return;
    }
    const batch = storage.read();
    for (const { block, resolve } of wanted) resolve(batch.getBlock(block));
    batch.tryFlush();
  }
}
