/** A set of blocks of a log: a bit each, in pages that are made when they are needed. */

/** Blocks of a page: those of one record of the garbage map. */
export const GROUP_BLOCKS = 65_536;
const GROUP_BYTES = GROUP_BLOCKS / 8;

export class BlockSet {
  readonly #pages = new Map<number, Uint8Array>();

  has(block: number): boolean {
    const page = this.#pages.get(Math.floor(block / GROUP_BLOCKS));
    if (page === undefined) return false;
    const bit = block % GROUP_BLOCKS;
    return (((page[bit >>> 3] as number) >>> (bit & 7)) & 1) === 1;
  }

  /** Whether it was not there before. */
  add(block: number): boolean {
    const page = this.#pageFor(Math.floor(block / GROUP_BLOCKS));
    const bit = block % GROUP_BLOCKS;
    const before = page[bit >>> 3] as number;
    page[bit >>> 3] = before | (1 << (bit & 7));
    return page[bit >>> 3] !== before;
  }

  /** Adds [start, end). */
  addRange(start: number, end: number): void {
    let block = start;
    while (block < end) {
      // Whole bytes at once.
      const bytes = Math.min(
        Math.floor((end - block) / 8),
        (GROUP_BLOCKS - (block % GROUP_BLOCKS)) / 8,
      );
      if (block % 8 === 0 && bytes >= 1) {
        const at = (block % GROUP_BLOCKS) / 8;
        this.#pageFor(Math.floor(block / GROUP_BLOCKS)).fill(0xff, at, at + bytes);
        block += 8 * bytes;
      } else this.add(block++);
    }
  }

  clear(): void {
    this.#pages.clear();
  }

  /** Ascending. */
  *[Symbol.iterator](): Generator<number> {
    for (const [start, end] of this.runs())
      for (let block = start; block < end; block++) yield block;
  }

  get count(): number {
    let count = 0;
    for (const page of this.#pages.values()) for (const byte of page) count += BITS[byte] as number;
    return count;
  }

  /** Groups of {@link GROUP_BLOCKS} that have a block in the set, ascending. */
  groups(): number[] {
    return [...this.#pages.keys()].sort((a, b) => a - b);
  }

  /** The bits of a group, the lowest of a byte first; not to be changed. */
  group(group: number): Uint8Array | undefined {
    return this.#pages.get(group);
  }

  /** Adds the blocks of a group whose bits are set. */
  addGroup(group: number, bits: Uint8Array): void {
    const page = this.#pageFor(group);
    for (let i = 0; i < page.length; i++) page[i] = (page[i] as number) | (bits[i] ?? 0);
  }

  /** Stretches [start, end) of blocks in the set, ascending. */
  *runs(): Generator<[number, number]> {
    let start = -1;
    let end = -1;
    for (const [from, to] of this.#pieces()) {
      if (from === end) end = to;
      else {
        if (start >= 0) yield [start, end];
        start = from;
        end = to;
      }
    }
    if (start >= 0) yield [start, end];
  }

  /** The blocks [0, end) that are not in the set. */
  complement(end: number): BlockSet {
    const rest = new BlockSet();
    for (let group = 0; group * GROUP_BLOCKS < end; group++) {
      const page = this.#pages.get(group);
      const blocks = Math.min(GROUP_BLOCKS, end - group * GROUP_BLOCKS);
      const bits = new Uint8Array(GROUP_BYTES);
      for (let i = 0; i < blocks >>> 3; i++) bits[i] = ~(page?.[i] ?? 0);
      const odd = blocks % 8;
      if (odd > 0) bits[blocks >>> 3] = ~(page?.[blocks >>> 3] ?? 0) & ((1 << odd) - 1);
      if (bits.some((byte) => byte !== 0)) rest.#pages.set(group, bits);
    }
    return rest;
  }

  /** A block that is in both; undefined when there is none. */
  common(other: BlockSet): number | undefined {
    for (const [group, page] of this.#pages) {
      const bits = other.#pages.get(group);
      if (bits === undefined) continue;
      for (let i = 0; i < page.length; i++) {
        const both = (page[i] as number) & (bits[i] as number);
        if (both !== 0) return group * GROUP_BLOCKS + 8 * i + (31 - Math.clz32(both & -both));
      }
    }
    return undefined;
  }

  #pageFor(group: number): Uint8Array {
    let page = this.#pages.get(group);
    if (page === undefined) {
      page = new Uint8Array(GROUP_BYTES);
      this.#pages.set(group, page);
    }
    return page;
  }

  /** Runs, of which those that meet at a byte come in pieces. */
  *#pieces(): Generator<[number, number]> {
    for (const group of this.groups()) {
      const page = this.#pages.get(group) as Uint8Array;
      for (let i = 0; i < page.length; i++) {
        const byte = page[i] as number;
        const first = group * GROUP_BLOCKS + 8 * i;
        if (byte === 0) continue;
        if (byte === 0xff) {
          yield [first, first + 8];
          continue;
        }
        for (let bit = 0; bit < 8; bit++) {
          if (((byte >>> bit) & 1) === 1) yield [first + bit, first + bit + 1];
        }
      }
    }
  }
}

/** How many bits of a byte are set. */
const BITS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>>= 1) count += rest & 1;
  return count;
});
