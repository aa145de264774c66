/**
 * Where neighbouring blocks of a log lie, kept in memory. A look into the database costs two changes of threads, which is more
 * than a small read of the disk takes.
 */
import { limits } from '../../limits.js';
import { blockKey, blockOfKey, dataOfKey } from './record-key.js';
import type { RawDatabase } from './value-database.js';
import { decodePointer, isPointer, type ValuePointer } from './value-pointer.js';

/** Blocks of one look into the database. */
const PAGE_BLOCKS = 64;

/** Neighbouring blocks. */
interface Page {
  /** By block; none for what is not in a value file. Empty until it is loaded. */
  pointers: Map<number, ValuePointer>;
  /** Until then. Never rejects. */
  loading: Promise<void> | null;
}

export class PointerPages {
  readonly #database: Pick<RawDatabase, 'iterator' | 'read'>;
  /** By the number of a log's data in the store and that of the page; used longest ago first. */
  readonly #pages = new Map<string, Page>();
  #loading = 0;

  constructor(database: Pick<RawDatabase, 'iterator' | 'read'>) {
    this.#database = database;
  }

  /**
   * Where a block lies, if that is known now: else it begins to find out. @param data Number of the log's data in the store.
   * What it answers was true a moment ago: the place may have been given back since.
   */
  peek(data: number, block: number): ValuePointer | null {
    return this.#page(data, block)?.pointers.get(block) ?? null;
  }

  /** The same, once it is known. Never rejects. */
  async find(data: number, block: number): Promise<ValuePointer | null> {
    const page = this.#page(data, block);
    if (page?.loading == null) return page?.pointers.get(block) ?? null;
    await page.loading;
    // It may have been forgotten meanwhile.
    const isKnown = this.#pages.get(nameOf(data, block)) === page;
    return isKnown ? (page.pointers.get(block) ?? null) : null;
  }

  /** The page with a block, which is being loaded if it was not known; null when that is too much at once. */
  #page(data: number, block: number): Page | null {
    const name = nameOf(data, block);
    let page = this.#pages.get(name);
    if (page === undefined) {
      if (this.#loading >= limits.pointer_pages_loading_max) return null;
      page = { pointers: new Map(), loading: null };
      page.loading = this.#load(name, page, data, block);
    } else this.#pages.delete(name);
    this.#pages.set(name, page);
    return page;
  }

  /** To be called before and after the record of a block is changed: what was read meanwhile may be from before. */
  forget(key: Buffer): void {
    this.#pages.delete(nameOf(dataOfKey(key), blockOfKey(key)));
  }

  /** The same for all blocks. */
  forgetAll(): void {
    this.#pages.clear();
  }

  async #recordOf(key: Buffer): Promise<Buffer | null> {
    const batch = this.#database.read({ autoDestroy: true });
    const found = batch.get(key);
    batch.tryFlush();
    return await found;
  }

  /** Never rejects: who reads a block is told what is wrong. */
  async #load(name: string, page: Page, data: number, block: number): Promise<void> {
    const first = block - (block % PAGE_BLOCKS);
    const range = {
      gte: blockKey(data, first),
      lt: blockKey(data, first + PAGE_BLOCKS),
      capacity: PAGE_BLOCKS,
    };
    const found: Page['pointers'] = new Map();
    this.#loading++;
    try {
      // In an older store the blocks themselves would come with it, 64 at once.
      if (isLargeBlock(await this.#recordOf(blockKey(data, block)))) return;
      for await (const { key, value } of this.#database.iterator(range)) {
        if (isLargeBlock(value)) break;
        const pointer = value === null ? null : decodePointer(value);
        if (pointer !== null) found.set(blockOfKey(key), pointer);
      }
      page.pointers = found;
    } catch {
      if (this.#pages.get(name) === page) this.#pages.delete(name);
    } finally {
      this.#loading--;
      page.loading = null;
      this.#dropOldest();
    }
  }

  #dropOldest(): void {
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= limits.pointer_pages_max) return;
      this.#pages.delete(oldest);
    }
  }
}

/** Of a store that keeps it in the database. */
function isLargeBlock(record: Buffer | null): boolean {
  return record !== null && record.length >= limits.value_bytes_min && !isPointer(record);
}

function nameOf(data: number, block: number): string {
  return `${data} ${Math.floor(block / PAGE_BLOCKS)}`;
}
