/**
 * What a reader fetches of the tree's log and keeps: all of it, since the tree is small and `ls` must work offline, but
 * for the blocks that no kept version needs. Nobody may have those any more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type Hypercore from 'hypercore';
import { BlockSet } from '../log/block-set.js';

/** Blocks asked for at once where others between them are garbage. */
const BLOCKS_PER_REQUEST = 1024;
/** After this the next are asked for, too. */
const PART_MS = 5000;

export class TreeFetcher {
  readonly #core: Hypercore;
  #garbage = new BlockSet();
  /** All blocks before this one are here, or garbage. */
  #wholeLength = 0;
  /** Ends when it is destroyed. */
  readonly #downloads = new Set<{ destroy(): void }>();
  #generation = 0;

  constructor(core: Hypercore) {
    this.#core = core;
  }

  get garbage(): BlockSet {
    return this.#garbage;
  }

  /** To be called with the map of the head that is shown: what a later one calls garbage this one may need. */
  setGarbage(garbage: BlockSet): void {
    this.#garbage = garbage;
  }

  /** Blocks were replaced by others. */
  reset(): void {
    this.#garbage = new BlockSet();
    this.#wholeLength = 0;
  }

  /** Whether all blocks of a head are here that it may need. */
  isWhole(length: number): boolean {
    const bitfield = this.#core.core?.bitfield;
    if (bitfield === undefined) return false;
    while (this.#wholeLength < length) {
      const missing = bitfield.findFirst(false, this.#wholeLength);
      this.#wholeLength = missing < 0 ? length : missing;
      if (this.#wholeLength >= length) break;
      if (!this.#garbage.has(this.#wholeLength)) return false;
      this.#wholeLength++;
    }
    return true;
  }

  /** Fetches what is missing of a head, and from there on whatever comes. Ends what was fetched before. */
  follow(length: number): void {
    this.close();
    this.#downloads.add(this.#core.download({ start: length, end: -1 }));
    void this.fetch(0, length, this.#garbage).catch(() => undefined);
  }

  /** Resolves once the blocks [start, end) are here but for garbage, or when it was ended. */
  async fetch(start: number, end: number, garbage: BlockSet): Promise<void> {
    const generation = this.#generation;
    const parts: Promise<boolean>[] = [];
    for (const blocks of this.#missing(start, end, garbage)) {
      if (generation !== this.#generation) return;
      const download = this.#core.download(blocks);
      this.#downloads.add(download);
      const part = download.done().finally(() => {
        download.destroy();
        this.#downloads.delete(download);
      });
      parts.push(part);
      // What nobody has must not hold up the rest.
      await Promise.race([part, sleep(PART_MS, undefined, { ref: false })]);
    }
    await Promise.all(parts);
  }

  close(): void {
    this.#generation++;
    for (const download of this.#downloads) download.destroy();
    this.#downloads.clear();
  }

  *#missing(
    start: number,
    end: number,
    garbage: BlockSet,
  ): Generator<{ start: number; end: number } | { blocks: number[] }> {
    const bitfield = this.#core.core?.bitfield;
    let blocks: number[] = [];
    let from = start;
    for (const [garbageStart, garbageEnd] of [...garbage.runs(), [end, end] as const]) {
      const to = Math.min(end, garbageStart);
      if (to - from > BLOCKS_PER_REQUEST) yield { start: from, end: to };
      else {
        for (let block = from; block < to; block++) {
          if (bitfield?.get(block) === true) continue;
          blocks.push(block);
          if (blocks.length < BLOCKS_PER_REQUEST) continue;
          yield { blocks };
          blocks = [];
        }
      }
      from = Math.max(from, garbageEnd);
      if (from >= end) break;
    }
    if (blocks.length > 0) yield { blocks };
  }
}
