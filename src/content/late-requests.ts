import type Hypercore from 'hypercore';
import type { PendingBlock, Replicator, ReplicatorPeer } from 'hypercore';

/** A block that somebody waits for, or any block of a peer from which nothing comes, is asked of another after this. */
export const hedge_ms = 250;
/** And any other block after this. */
const slow_ms = 4000;

/**
 * Blocks that may be asked of a second peer on end: those that a frozen one owes. And one more for so many that come:
 * where everything is slow, asking twice makes it slower.
 */
const hedged_blocks_max = 32;
const blocks_per_hedged = 8;

/**
 * Keeps the library from asking several peers for one block at once, unless it is late. Left alone, every peer that has
 * nothing to do is asked for what others were asked for a moment ago: with four readers of one file, half as much again
 * went over the network, most of it sent by the one who had all.
 */
export class LateRequests {
  readonly #heardMs = new WeakMap<object, number>();
  readonly #known = new WeakSet<Replicator>();
  readonly #core: Hypercore;
  #budget = hedged_blocks_max;
  readonly #onDownload = (_index: number, _bytes: number, from: object): void => {
    this.#heardMs.set(from, Date.now());
    this.#budget = Math.min(hedged_blocks_max, this.#budget + 1 / blocks_per_hedged);
  };

  constructor(core: Hypercore) {
    this.#core = core;
    core.on('download', this.#onDownload);
  }

  /** To be called when a peer came: before there is nothing to apply it to. */
  apply(): void {
    const { replicator } = this.#core;
    if (replicator === null || this.#known.has(replicator)) return;
    this.#known.add(replicator);
    const { hotswaps } = replicator;
    const pick = hotswaps.pick.bind(hotswaps);
    hotswaps.pick = (peer) => this.#lateOnly(pick(peer));
  }

  close(): void {
    this.#core.removeListener('download', this.#onDownload);
  }

  *#lateOnly(blocks: Iterable<PendingBlock>): Iterable<PendingBlock> {
    const nowMs = Date.now();
    for (const block of blocks) {
      if (this.#budget < 1) return;
      if (!this.#isLate(block, nowMs)) continue;
      const requests = block.inflight.length;
      yield block;
      if (block.inflight.length > requests) this.#budget--;
    }
  }

  #isLate({ inflight, refs }: PendingBlock, nowMs: number): boolean {
    return inflight.every(({ peer, timestamp }) => {
      const ageMs = nowMs - timestamp;
      if (ageMs < hedge_ms) return false;
      return refs.length > 0 || ageMs >= slow_ms || this.#isSilent(peer, nowMs);
    });
  }

  #isSilent(peer: ReplicatorPeer, nowMs: number): boolean {
    return nowMs - (this.#heardMs.get(peer) ?? 0) >= hedge_ms;
  }
}
