const PAGE_BLOCKS = 32_768;

/** A set of block numbers of one log, one bit each; stretches of the log without any take no memory. */
export class BlockSet {
  readonly #pages = new Map<number, Uint8Array>();
  #count = 0;

  get size(): number {
    return this.#count;
  }

  has(block: number): boolean {
    const page = this.#pages.get(Math.floor(block / PAGE_BLOCKS));
    if (page === undefined) return false;
    const bit = block % PAGE_BLOCKS;
    return (((page[bit >>> 3] as number) >>> (bit & 7)) & 1) === 1;
  }

  /** Returns whether it was not there before. */
  add(block: number): boolean {
    const index = Math.floor(block / PAGE_BLOCKS);
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Uint8Array(PAGE_BLOCKS / 8);
      this.#pages.set(index, page);
    }
    const bit = block % PAGE_BLOCKS;
    const before = page[bit >>> 3] as number;
    const after = before | (1 << (bit & 7));
    if (before === after) return false;
    page[bit >>> 3] = after;
    this.#count++;
    return true;
  }

  clear(): void {
    this.#pages.clear();
    this.#count = 0;
  }

  /** Ascending within pages of 32,768 blocks; pages in the order in which they came. */
  *[Symbol.iterator](): Generator<number> {
    for (const [index, page] of this.#pages) {
      for (let byte = 0; byte < page.length; byte++) {
        const bits = page[byte] as number;
        for (let bit = 0; bits >>> bit > 0; bit++) {
          if (((bits >>> bit) & 1) === 1) yield index * PAGE_BLOCKS + byte * 8 + bit;
        }
      }
    }
  }
}
