/** When a block is not waited for any longer, but brought back from what is left of it elsewhere. */
import { setTimeout as sleep } from 'node:timers/promises';
import type Hypercore from 'hypercore';
import type { BlockRescuer, RescuedBlock } from './block-rescuer.js';

/** Peers tell which blocks they have only once they are asked for some; until then nothing is concluded from it. */
const settle_ms = 1000;
/** A block that a peer has, and that does not come for so long, is rescued, too. */
const late_ms = 3000;
/** Between two attempts. */
const retry_ms = 1000;
const look_ms = 50;
/** Blocks that are rescued because they will be read soon. */
const ahead_max = 256;

export class Rescue {
  readonly #core: Hypercore;
  readonly #rescuer: BlockRescuer;
  readonly #onRescued: (rescued: RescuedBlock) => void;
  readonly #abort = new AbortController();
  readonly #ahead = new Set<number>();
  /** When peers were first asked for something since the last one came. */
  #askedMs: number | null = null;
  readonly #onPeer = (): void => {
    this.#askedMs = null;
  };

  /** @param onRescued A block is in the local store that did not come from a peer. */
  constructor(core: Hypercore, rescuer: BlockRescuer, onRescued: (rescued: RescuedBlock) => void) {
    this.#core = core;
    this.#rescuer = rescuer;
    this.#onRescued = onRescued;
    core.on('peer-add', this.#onPeer);
  }

  /** Whether it is known that no connected peer has the block. Who is told no asks the peers for it. */
  isNowhere(block: number): boolean {
    const nowMs = performance.now();
    this.#askedMs ??= nowMs;
    if (nowMs - this.#askedMs < settle_ms) return false;
    const { peers, fork } = this.#core;
    return !peers.some(
      (peer) =>
        peer.remoteFork === fork &&
        (block < peer.remoteContiguousLength || peer.remoteBitfield.get(block)),
    );
  }

  /**
   * What `fromPeers` gives, or null once the block is in the local store because it was rescued: `fromPeers` is pointless
   * then. Rejects as `fromPeers`.
   */
  async get(block: number, fromPeers: Promise<Buffer | null>): Promise<Buffer | null> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    fromPeers.then(over, over);
    const rescued = this.#rescueUnless(block, () => isOver);
    return await Promise.race([fromPeers, rescued.then((isHere) => (isHere ? null : fromPeers))]);
  }

  /** Rescues a block that will be read soon. False when there is too much to do already. */
  ahead(block: number): boolean {
    if (this.#ahead.has(block)) return true;
    if (this.#ahead.size >= ahead_max) return false;
    this.#ahead.add(block);
    // What fails is tried again by who reads it in earnest.
    void this.#rescue(block).finally(() => this.#ahead.delete(block));
    return true;
  }

  /** Ends what is under way. */
  close(): void {
    this.#core.removeListener('peer-add', this.#onPeer);
    this.#abort.abort();
  }

  async #rescueUnless(block: number, isOver: () => boolean): Promise<boolean> {
    const beganMs = performance.now();
    let nextMs = 0;
    while (!isOver() && !this.#abort.signal.aborted) {
      const nowMs = performance.now();
      const isDue = this.isNowhere(block) || nowMs - beganMs > late_ms;
      if (isDue && nowMs >= nextMs) {
        if (await this.#rescue(block)) return true;
        nextMs = performance.now() + retry_ms;
      }
      await sleep(look_ms, undefined, { ref: false });
    }
    return false;
  }

  async #rescue(block: number): Promise<boolean> {
    const rescued = await this.#rescuer.rescue(block, this.#abort.signal);
    for (const each of rescued) this.#onRescued(each);
    return this.#core.core?.bitfield.get(block) === true;
  }
}
