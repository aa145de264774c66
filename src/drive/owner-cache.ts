/**
 * Lets blocks leave the disk of the machine that writes a drive, once its hosts have confirmed them: then its store is a
 * cache as that of any other machine, and the drive may be larger than its disk.
 */

import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import type { DiskCache } from '../content/disk-cache.js';
import type { Protector } from '../hosts/protector.js';
import { groupOfBlock, type Layout, stripeOfParity } from '../hosts/stripes.js';
import { limits } from '../limits.js';
import { removeBlocks, stretchesOf } from '../log/remove-blocks.js';

const PARITY_AT_ONCE_MAX = 1024;

export interface OwnerCacheOptions {
  disk: DiskCache;
  /** Null for a drive without hosts, and until it is known. */
  protector: () => Protector | null;
  /** Notes, durably, that blocks may be missing from now on: that is no damage then. */
  noteLack: () => Promise<void>;
  log: (line: string) => void;
}

/** Close it before the disk cache. */
export class OwnerCache {
  readonly #options: OwnerCacheOptions;
  readonly #timer: NodeJS.Timeout;
  /** Blocks of the chunk log before it are confirmed. */
  #confirmed = 0;
  #layout: Layout | null = null;
  #looking: Promise<void> | null = null;
  #problem = '';

  constructor(options: OwnerCacheOptions) {
    this.#options = options;
    options.disk.mayForget = (block) => this.#mayForget(block);
    this.#timer = setInterval(() => this.#look(), limits.owner_cache_look_ms);
    this.#timer.unref();
  }

  /** Resolves when nothing is under way. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#confirmed = 0;
    await this.#looking;
  }

  /** Whether enough others have a block, so that one may fail. */
  #mayForget(block: number): boolean {
    if (this.#layout === null || block >= this.#confirmed) return false;
    const group = groupOfBlock(this.#layout, block);
    if (group === undefined || group.epoch.parity === 0) return false;
    // What is to be encoded soon would have to be fetched for it.
    return group.encoded || group.epoch.kind === 'copies';
  }

  #look(): void {
    this.#looking ??= this.#update()
      .catch((error: unknown) => {
        const text = String(error);
        if (text !== this.#problem) this.#options.log(`Cannot make room on this disk: ${text}`);
        this.#problem = text;
      })
      .finally(() => {
        this.#looking = null;
      });
  }

  async #update(): Promise<void> {
    const { disk, protector, noteLack } = this.#options;
    const now = protector();
    if (now === null) return;
    const { confirmedContentLength, layout } = now;
    if (confirmedContentLength > 0) await noteLack();
    this.#confirmed = confirmedContentLength;
    this.#layout = layout;
    const bytes = await this.#dropParity(now.logs.parity, layout);
    await disk.trim(bytes);
  }

  /** Nobody reads parity here. Returns the bytes that it took. */
  async #dropParity(parity: Hypercore, layout: Layout): Promise<number> {
    const { bitfield } = parity.core as CoreContext;
    const blocks: number[] = [];
    for (let at = bitfield.firstSet(0); at >= 0; at = bitfield.firstSet(at + 1)) {
      const stripe = stripeOfParity(layout, at);
      // Ascending, as the stripes are.
      if (stripe === undefined || stripe.group.to > this.#confirmed) break;
      blocks.push(at);
      if (blocks.length === PARITY_AT_ONCE_MAX) break;
    }
    if (blocks.length === 0) return 0;
    await removeBlocks(parity, stretchesOf(blocks));
    return Math.round((blocks.length * parity.byteLength) / parity.length);
  }
}
