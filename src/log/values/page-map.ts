/** Pages of a file that hold something that is in use. */

/** What a file system gives back at least. */
const PAGE_BYTES = 4096;
const FIRST_PAGES = 1024;

export class PageMap {
  #bits = new Uint8Array(FIRST_PAGES / 8);
  #isEmpty = true;

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  add(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    this.#reserve(last);
    this.#isEmpty = false;
    for (let page = Math.floor(offset / PAGE_BYTES); page <= last; page++) {
      const at = page >>> 3;
      this.#bits[at] = (this.#bits[at] as number) | (1 << (page & 7));
    }
  }

  /** Stretches of a file of `size` bytes in which nothing is in use. */
  *free(size: number): Generator<{ offset: number; length: number }> {
    const pages = Math.ceil(size / PAGE_BYTES);
    for (let page = 0; page < pages; page++) {
      if (this.#has(page)) continue;
      const first = page;
      while (page < pages && !this.#has(page)) page++;
      yield { offset: first * PAGE_BYTES, length: (page - first) * PAGE_BYTES };
    }
  }

  #has(page: number): boolean {
    return (((this.#bits[page >>> 3] ?? 0) >>> (page & 7)) & 1) === 1;
  }

  #reserve(page: number): void {
    if (page >>> 3 < this.#bits.length) return;
    const bits = new Uint8Array(2 ** Math.ceil(Math.log2((page >>> 3) + 1)));
    bits.set(this.#bits);
    this.#bits = bits;
  }
}
