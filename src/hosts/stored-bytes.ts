/** How many bytes of a drive's logs a host has. */
import type Hypercore from 'hypercore';
import { limits } from '../limits.js';

export class StoredBytes {
  #bytes = 0;
  /** Of each log the blocks that came last, oldest first. */
  readonly #lately = new Map<Hypercore, Set<number>>();

  /** May be a little off: of some that went only the average of their log is known. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A block came from a peer. Each peer that was asked for it may deliver it, soon after each other, and the library tells of it each
   * time: it counts once.
   */
  downloaded(core: Hypercore, block: number, bytes: number): void {
    let lately = this.#lately.get(core);
    if (lately === undefined) {
      lately = new Set();
      this.#lately.set(core, lately);
    }
    if (lately.has(block)) return;
    lately.add(block);
    this.#bytes += bytes;
    if (lately.size <= limits.host_blocks_lately_max) return;
    for (const oldest of lately) {
      lately.delete(oldest);
      return;
    }
  }

  /** Others were stored. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Some are gone. They may come again. */
  remove(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes - bytes);
    this.#lately.clear();
  }
}
