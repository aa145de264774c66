/** Chunks that were come upon, and where; in columns, some 40 bytes for each. */

const FIRST_SLOTS = 1 << 12;
const LOAD_MAX = 0.7;
const COLUMNS = ['block', 'offset', 'length', 'seenAt', 'home'] as const;
type Column = (typeof COLUMNS)[number];

/** A slot whose `length` is 0 is empty. */
export class ChunkTable {
  #columns = emptyColumns(FIRST_SLOTS);
  #slots = FIRST_SLOTS;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The slot of a chunk; a new one has `seenAt` and `home` 0. `length` is above 0. */
  slotOf(block: number, offset: number, length: number): number {
    let slot = this.#find(block, offset, length);
    if (this.get(slot, 'length') > 0) return slot;
    if (this.#size >= this.#slots * LOAD_MAX) {
      this.#grow();
      slot = this.#find(block, offset, length);
    }
    this.#size++;
    this.set(slot, 'block', block);
    this.set(slot, 'offset', offset);
    this.set(slot, 'length', length);
    return slot;
  }

  get(slot: number, column: Column): number {
    return this.#columns[column][slot] as number;
  }

  set(slot: number, column: Column, value: number): void {
    this.#columns[column][slot] = value;
  }

  /** Slots in use. */
  *slots(): Generator<number> {
    for (let slot = 0; slot < this.#slots; slot++) if (this.get(slot, 'length') > 0) yield slot;
  }

  /** Where the chunk is, or is to go. One that consists of several others is another one. */
  #find(block: number, offset: number, length: number): number {
    const mask = this.#slots - 1;
    let slot = (Math.imul(block, 0x9e3779b1) ^ Math.imul(offset, 0x85ebca6b)) >>> 0;
    for (slot = (slot ^ (slot >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const found = this.get(slot, 'length');
      if (found === 0) return slot;
      const isSame = this.get(slot, 'block') === block && this.get(slot, 'offset') === offset;
      if (isSame && found === length) return slot;
    }
  }

  #grow(): void {
    const old = this.#columns;
    const oldSlots = this.#slots;
    this.#slots *= 2;
    this.#columns = emptyColumns(this.#slots);
    for (let from = 0; from < oldSlots; from++) {
      const length = old.length[from] as number;
      if (length === 0) continue;
      const slot = this.#find(old.block[from] as number, old.offset[from] as number, length);
      for (const column of COLUMNS) this.set(slot, column, old[column][from] as number);
    }
  }
}

function emptyColumns(slots: number): Record<Column, Uint32Array> {
  const column = (): Uint32Array => new Uint32Array(slots);
  return { block: column(), offset: column(), length: column(), seenAt: column(), home: column() };
}
