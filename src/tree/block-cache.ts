/**
 * Decoded blocks of the tree's log. The engine reads and decodes a block anew for each key that it looks at in it: to
 * find a name in a drive of 100,000 files it read some 120 times, and a dozen blocks. With those that were used last at
 * hand it reads the dozen. Applies to hyperbee2 2.
 */
import type Hyperbee from 'hyperbee2';
import type { BeeBlock } from 'hyperbee2';
import type Hypercore from 'hypercore';
import { limits } from '../limits.js';

/** About what an entry takes besides its bytes, with the objects that it becomes. */
const ENTRY_BYTES = 300;

interface Cached {
  block: BeeBlock;
  bytes: number;
}

/** Of each session of a log, whatever trees are opened on it. */
const caches = new WeakMap<Hypercore, BlockCache>();

/** Lets all views of a tree share decoded blocks. Call it once for a context. */
export function cacheBlocksOf(context: Hyperbee['context']): void {
  const { core } = context;
  const blocks = caches.get(core) ?? new BlockCache();
  if (!caches.has(core)) {
    caches.set(core, blocks);
    // Blocks of a log never change, except that they may be cut off and others come in their place.
    core.on('truncate', () => blocks.clear());
  }
  const getBlock = context.getBlock.bind(context);
  context.getBlock = (seq, log, config) => {
    // Other logs are refused elsewhere.
    if (log !== 0) return getBlock(seq, log, config);
    return blocks.get(seq, config, () => getBlock(seq, log, config));
  };
}

class BlockCache {
  /** The one used last is the last one. */
  readonly #blocks = new Map<number, Cached>();
  #bytes = 0;
  /** Being read. Who may wait for how long is the caller's `config`: only the same one shares. */
  readonly #reading = new Map<number, { config: unknown; block: Promise<BeeBlock> }>();
  #clears = 0;

  async get(seq: number, config: unknown, read: () => Promise<BeeBlock>): Promise<BeeBlock> {
    const cached = this.#blocks.get(seq);
    if (cached !== undefined) {
      this.#blocks.delete(seq);
      this.#blocks.set(seq, cached);
      return cached.block;
    }
    const underWay = this.#reading.get(seq);
    if (underWay !== undefined && underWay.config === config) return await underWay.block;
    const reading = { config, block: read() };
    this.#reading.set(seq, reading);
    const clears = this.#clears;
    try {
      const block = await reading.block;
      if (clears === this.#clears) this.#add(seq, block);
      return block;
    } finally {
      if (this.#reading.get(seq) === reading) this.#reading.delete(seq);
    }
  }

  clear(): void {
    this.#blocks.clear();
    this.#reading.clear();
    this.#bytes = 0;
    this.#clears++;
  }

  #add(seq: number, block: BeeBlock): void {
    if (this.#blocks.has(seq)) return;
    const bytes = sizeOf(block);
    if (bytes > limits.tree_cache_bytes_max / 4) return;
    this.#blocks.set(seq, { block, bytes });
    this.#bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.#blocks) {
      if (this.#bytes <= limits.tree_cache_bytes_max) return;
      this.#blocks.delete(oldest);
      this.#bytes -= freed;
    }
  }
}

/** About what a block takes in memory. */
function sizeOf({ tree, keys, values, cohorts }: BeeBlock): number {
  let bytes = ENTRY_BYTES;
  for (const { key, value } of keys ?? []) {
    bytes += ENTRY_BYTES + key.length + (value?.length ?? 0);
  }
  for (const value of values ?? []) bytes += ENTRY_BYTES + value.length;
  for (const node of tree ?? [])
    bytes += ENTRY_BYTES * (1 + node.keys.length + node.children.length);
  for (const cohort of cohorts ?? []) bytes += ENTRY_BYTES * cohort.length;
  return bytes;
}
