/** 32-bit words of a slot: the block's number plus one (0: empty), then its size in units and its epoch. */
const SLOT_WORDS = 2;
const FIRST_SLOTS = 1024;
const LOAD_MAX = 0.7;

/** Sizes are kept in units of this many bytes, 16 bits wide: blocks are at most 1 MiB and a little. */
const SIZE_UNIT_BYTES = 32;
const SIZE_UNITS_MAX = 0xffff;
const EPOCH_MAX = 0xffff;

/** What is known of a block on this machine. */
export interface LocalBlock {
  block: number;
  /** Bytes, rounded up to 32. */
  bytes: number;
  /** When it was last used: larger is later. */
  epoch: number;
}

/**
 * The blocks of a log that are on this machine, with their sizes and when they were last used. An open-addressing hash
 * table in one typed array: 8 bytes a slot, some 16 bytes a block, however large the log is.
 */
export class LocalTable {
  #words = new Uint32Array(FIRST_SLOTS * SLOT_WORDS);
  #slots = FIRST_SLOTS;
  #count = 0;

  get size(): number {
    return this.#count;
  }

  has(block: number): boolean {
    return this.#words[this.#find(block)] !== 0;
  }

  /** Bytes of a block; 0 when it is not there. */
  bytesOf(block: number): number {
    const at = this.#find(block);
    return this.#words[at] === 0 ? 0 : bytesIn(this.#words[at + 1] as number);
  }

  /** 0 when it is not there. */
  epochOf(block: number): number {
    return (this.#words[this.#find(block) + 1] as number) & 0xffff;
  }

  set(block: number, bytes: number, epoch: number): void {
    let at = this.#find(block);
    if (this.#words[at] === 0) {
      if (this.#count >= this.#slots * LOAD_MAX) {
        this.#grow();
        at = this.#find(block);
      }
      this.#count++;
      this.#words[at] = block + 1;
    }
    const units = Math.min(SIZE_UNITS_MAX, Math.ceil(bytes / SIZE_UNIT_BYTES));
    this.#words[at + 1] = ((units << 16) | Math.min(epoch, EPOCH_MAX)) >>> 0;
  }

  /** Notes that a block was used. Nothing happens when it is not there. */
  touch(block: number, epoch: number): void {
    const at = this.#find(block);
    if (this.#words[at] === 0) return;
    const value = this.#words[at + 1] as number;
    this.#words[at + 1] = ((value & 0xffff0000) | Math.min(epoch, EPOCH_MAX)) >>> 0;
  }

  delete(block: number): void {
    let hole = this.#find(block);
    const words = this.#words;
    if (words[hole] === 0) return;
    this.#count--;
    // What lies behind it may have been put there because this place was taken.
    for (let at = this.#next(hole); words[at] !== 0; at = this.#next(at)) {
      const home = this.#home((words[at] as number) - 1);
      const reaches = hole <= at ? home <= hole || home > at : home <= hole && home > at;
      if (!reaches) continue;
      words[hole] = words[at] as number;
      words[hole + 1] = words[at + 1] as number;
      hole = at;
    }
    words[hole] = 0;
    words[hole + 1] = 0;
  }

  clear(): void {
    this.#words = new Uint32Array(FIRST_SLOTS * SLOT_WORDS);
    this.#slots = FIRST_SLOTS;
    this.#count = 0;
  }

  /** All blocks, in no order. The table must not change meanwhile, but for `touch`. */
  *entries(): Generator<LocalBlock> {
    const words = this.#words;
    for (let at = 0; at < words.length; at += SLOT_WORDS) {
      if (words[at] === 0) continue;
      const value = words[at + 1] as number;
      yield { block: (words[at] as number) - 1, bytes: bytesIn(value), epoch: value & 0xffff };
    }
  }

  /** Half of all epochs is taken off each, so that counting can go on. */
  halveEpochs(): void {
    const words = this.#words;
    for (let at = 0; at < words.length; at += SLOT_WORDS) {
      if (words[at] === 0) continue;
      const value = words[at + 1] as number;
      const epoch = Math.max(0, (value & 0xffff) - (EPOCH_MAX >>> 1));
      words[at + 1] = ((value & 0xffff0000) | epoch) >>> 0;
    }
  }

  #find(block: number): number {
    let at = this.#home(block);
    while (this.#words[at] !== 0 && this.#words[at] !== block + 1) at = this.#next(at);
    return at;
  }

  #home(block: number): number {
    // Fibonacci hashing: numbers that follow one another are spread over the table.
    return ((Math.imul(block, 0x9e3779b1) >>> 0) % this.#slots) * SLOT_WORDS;
  }

  #next(at: number): number {
    const next = at + SLOT_WORDS;
    return next === this.#words.length ? 0 : next;
  }

  #grow(): void {
    const old = this.#words;
    this.#slots *= 2;
    this.#words = new Uint32Array(this.#slots * SLOT_WORDS);
    for (let from = 0; from < old.length; from += SLOT_WORDS) {
      if (old[from] === 0) continue;
      const at = this.#find((old[from] as number) - 1);
      this.#words[at] = old[from] as number;
      this.#words[at + 1] = old[from + 1] as number;
    }
  }
}

function bytesIn(value: number): number {
  return (value >>> 16) * SIZE_UNIT_BYTES;
}
