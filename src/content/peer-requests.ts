import type Hypercore from 'hypercore';
import type { ReplicatorPeer } from 'hypercore';
import { limits } from '../limits.js';
import { LateRequests } from './late-requests.js';
import { ReaderShares } from './reader-shares.js';

/**
 * Says which blocks of a log are asked of which peer, as far as the library leaves that open, and how many at once.
 *
 * The library asks for 16 blocks before the first is here while a round trip takes up to 50 ms; then no more than 1 MiB
 * comes in each round trip, whatever the network could carry. The sum over all peers stays at what is read ahead: else the
 * first peers would be asked for all of it, and the others for nothing.
 */
export class PeerRequests {
  /** Who asks those who have all for what, where several read the same. */
  readonly shares: ReaderShares;
  readonly #core: Hypercore;
  readonly #late: LateRequests;
  readonly #onPeer = (): void => this.#apply();

  /** @param core Ready. */
  constructor(core: Hypercore) {
    this.#core = core;
    this.shares = new ReaderShares(core);
    this.#late = new LateRequests(core);
    core.on('peer-add', this.#onPeer);
    core.on('peer-remove', this.#onPeer);
    this.#apply();
  }

  close(): void {
    this.#core.removeListener('peer-add', this.#onPeer);
    this.#core.removeListener('peer-remove', this.#onPeer);
    this.#late.close();
    this.shares.close();
  }

  #apply(): void {
    this.#late.apply();
    const peers: readonly ReplicatorPeer[] = this.#core.replicator?.peers ?? [];
    const blocks = blocksPerPeer(peers.length);
    for (const peer of peers) {
      peer.inflightRange = [blocks, limits.peer_blocks_in_flight_max];
      this.shares.apply(peer);
    }
  }
}

/** At least as many as the library asks for. */
export function blocksPerPeer(peers: number): number {
  const { peer_blocks_in_flight: one, peer_blocks_in_flight_min: least } = limits;
  return Math.max(least, Math.min(one, Math.floor((2 * one) / Math.max(1, peers))));
}
