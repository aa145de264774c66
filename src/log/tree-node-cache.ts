/**
 * Nodes of the hash trees of a store's logs, kept in memory. For each block that it asks a peer for, Hypercore looks how
 * far up the tree nodes are missing, and once the block came it looks at the first one that is not: five to nine reads
 * of the database, one after the other, each with a change of threads. They took most of a reader's main thread.
 *
 * The cache of hypercore-storage is of no use for that (it serves peers): it does not know what is *not* there, which is
 * what is asked, nor what is written and deleted. Applies to hypercore 11 and hypercore-storage 3.
 */
import type Corestore from 'corestore';
import type { CoreContext, CoreReadBatch, CoreWriteBatch, TreeNode } from 'hypercore';
import { limits } from '../limits.js';

/** Nodes with consecutive numbers are those of neighbouring blocks, and of the levels above them. */
const PAGE_NODES = 128;
const HASH_BYTES = 32;
const ABSENT = -1;

/** Keeps tree nodes of all logs of a store in memory, as long as the log is open. */
export function cacheTreeNodes(store: Corestore): void {
  store.watch((core) => void install(core));
}

async function install(core: CoreContext): Promise<void> {
  try {
    await core.ready();
  } catch {
    // Who opens it is told.
    return;
  }
  if (core.closing !== null) return;
  const { storage } = core.state;
  const read = storage.read.bind(storage);
  const write = storage.write.bind(storage);
  const cache = new TreeNodeCache(read);
  storage.read = (fork) => new CachedReadBatch(cache, () => read(fork));
  storage.write = () => cache.follow(write());
}

/** PAGE_NODES nodes: which are there, and what they are. */
class Page {
  /** Bytes below each node; ABSENT for a node that is not there. */
  readonly sizes = new Float64Array(PAGE_NODES).fill(ABSENT);
  readonly hashes = Buffer.alloc(PAGE_NODES * HASH_BYTES);
  /** Null once all nodes that are in the store are here. */
  loading: Promise<void> | null = null;

  put({ index, size, hash }: TreeNode): void {
    const place = index % PAGE_NODES;
    this.sizes[place] = size;
    // The hash may be a view of a whole message.
    hash.copy(this.hashes, place * HASH_BYTES);
  }

  has(index: number): boolean {
    return this.sizes[index % PAGE_NODES] !== ABSENT;
  }

  get(index: number): TreeNode | null {
    const place = index % PAGE_NODES;
    const size = this.sizes[place] ?? ABSENT;
    if (size === ABSENT) return null;
    const at = place * HASH_BYTES;
    return { index, size, hash: Buffer.from(this.hashes.subarray(at, at + HASH_BYTES)) };
  }
}

/** Of one log. */
export class TreeNodeCache {
  readonly #read: () => CoreReadBatch;
  /** By the number of the first node, divided by PAGE_NODES; the one that was not used for the longest time first. */
  readonly #pages = new Map<number, Page>();
  /** Batches of writes: so many so far, and so many under way. */
  #flushes = 0;
  #flushing = 0;

  /** @param read Begins a batch of reads of the store. */
  constructor(read: () => CoreReadBatch) {
    this.#read = read;
  }

  /** Whether the node is in the store. Reads its neighbours, too: they are asked for next. */
  async has(index: number): Promise<boolean> {
    const number = Math.floor(index / PAGE_NODES);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Page();
      page.loading = this.#load(page, number);
    } else {
      this.#pages.delete(number);
    }
    this.#pages.set(number, page);
    this.#dropOldest();
    if (page.loading !== null) await page.loading;
    return page.has(index);
  }

  /** The node, when it is known to be there without a look into the store. */
  peek(index: number): TreeNode | null {
    return this.#pages.get(Math.floor(index / PAGE_NODES))?.get(index) ?? null;
  }

  /** Takes over what a batch of writes changes. */
  follow(batch: CoreWriteBatch): CoreWriteBatch {
    const put = batch.putTreeNode.bind(batch);
    const remove = batch.deleteTreeNode.bind(batch);
    const removeRange = batch.deleteTreeNodeRange.bind(batch);
    const flush = batch.flush.bind(batch);
    const nodes: TreeNode[] = [];
    const removed: [start: number, end: number][] = [];
    batch.putTreeNode = (node) => {
      nodes.push(node);
      put(node);
    };
    batch.deleteTreeNode = (index) => {
      removed.push([index, index + 1]);
      remove(index);
    };
    batch.deleteTreeNodeRange = (start, end) => {
      removed.push([start, end === -1 ? Number.POSITIVE_INFINITY : end]);
      removeRange(start, end);
    };
    batch.flush = async () => {
      const forget = () => {
        for (const [start, end] of removed) this.#forget(start, end);
      };
      forget();
      const number = ++this.#flushes;
      const isAlone = this.#flushing++ === 0;
      try {
        const isWritten = await flush();
        // What was read from the store meanwhile may be from before.
        forget();
        // Of two that are written at once it is not known which one was the last.
        const isLast = isAlone && number === this.#flushes;
        for (const node of nodes) {
          if (isLast) this.#pages.get(Math.floor(node.index / PAGE_NODES))?.put(node);
          else this.#forget(node.index, node.index + 1);
        }
        return isWritten;
      } finally {
        this.#flushing--;
      }
    };
    return batch;
  }

  async #load(page: Page, number: number): Promise<void> {
    try {
      const batch = this.#read();
      const reads: Promise<TreeNode | null>[] = [];
      for (let i = 0; i < PAGE_NODES; i++) reads.push(batch.getTreeNode(number * PAGE_NODES + i));
      batch.tryFlush();
      for (const node of await Promise.all(reads)) {
        // What was written meanwhile is newer.
        if (node !== null && !page.has(node.index)) page.put(node);
      }
      page.loading = null;
    } catch (error) {
      if (this.#pages.get(number) === page) this.#pages.delete(number);
      throw error;
    }
  }

  #forget(start: number, end: number): void {
    for (const number of this.#pages.keys()) {
      const first = number * PAGE_NODES;
      if (first < end && first + PAGE_NODES > start) this.#pages.delete(number);
    }
  }

  #dropOldest(): void {
    if (this.#pages.size <= limits.tree_node_pages_max) return;
    for (const number of this.#pages.keys()) {
      this.#pages.delete(number);
      return;
    }
  }
}

/** A batch of reads that asks the cache first, and the store only when it has to. */
class CachedReadBatch implements CoreReadBatch {
  readonly #cache: TreeNodeCache;
  readonly #read: () => CoreReadBatch;
  #batch: CoreReadBatch | null = null;

  constructor(cache: TreeNodeCache, read: () => CoreReadBatch) {
    this.#cache = cache;
    this.#read = read;
  }

  hasTreeNode(index: number): Promise<boolean> {
    return this.#cache.has(index);
  }

  getTreeNode(index: number): Promise<TreeNode | null> {
    const node = this.#cache.peek(index);
    return node === null ? this.#store().getTreeNode(index) : Promise.resolve(node);
  }

  getBlock(index: number): Promise<Buffer | null> {
    return this.#store().getBlock(index);
  }

  getBitfieldPage(index: number): Promise<Buffer | null> {
    return this.#store().getBitfieldPage(index);
  }

  getHints(): Promise<unknown> {
    return this.#store().getHints();
  }

  getHead(): Promise<unknown> {
    return this.#store().getHead();
  }

  getAuth(): Promise<unknown> {
    return this.#store().getAuth();
  }

  getSessions(): Promise<unknown> {
    return this.#store().getSessions();
  }

  getDependency(): Promise<unknown> {
    return this.#store().getDependency();
  }

  getGroup(): Promise<unknown> {
    return this.#store().getGroup();
  }

  getUserData(key: string): Promise<unknown> {
    return this.#store().getUserData(key);
  }

  getMark(index: number): Promise<unknown> {
    return this.#store().getMark(index);
  }

  getLocal(key: unknown): Promise<unknown> {
    return this.#store().getLocal(key);
  }

  tryFlush(): void {
    this.#batch?.tryFlush();
  }

  destroy(): void {
    this.#batch?.destroy();
  }

  #store(): CoreReadBatch {
    this.#batch ??= this.#read();
    return this.#batch;
  }
}
