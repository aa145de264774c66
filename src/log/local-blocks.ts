import type Hypercore from 'hypercore';

interface Wanted {
  block: number;
  resolve: (stored: Promise<Buffer | null> | null) => void;
}

/**
 * Blocks that are in the store, as stored. Those asked for in one turn are read as one: each read of the store wakes a
 * thread, which costs as much as decrypting a block.
 */
export class LocalBlocks {
  readonly #core: Hypercore;
  readonly #blocksMax: number;
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

  #read(): void {
    const wanted = this.#wanted;
    if (wanted.length === 0) return;
    this.#wanted = [];
    const storage = this.#core.closing === null ? this.#core.state?.storage : null;
    if (storage === null || storage === undefined) {
      for (const { resolve } of wanted) resolve(null);
      return;
    }
    const batch = storage.read();
    for (const { block, resolve } of wanted) resolve(batch.getBlock(block));
    batch.tryFlush();
  }
}
