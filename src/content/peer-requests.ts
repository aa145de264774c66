import type Hypercore from 'hypercore';
import { limits } from '../limits.js';

/**
 * Says how many blocks of a log may be asked of each peer before the first is here. The library asks for 16 while a round
 * trip takes up to 50 ms; then no more than 1 MiB comes in each round trip, whatever the network could carry. The sum over
 * all peers stays at what is read ahead: else the first peers would be asked for all of it, and the others for nothing.
 * Returns what ends it.
 */
export function boundPeerRequests(core: Hypercore): () => void {
  const share = (): void => {
    const { peers = [] } = core.replicator ?? {};
    const blocks = blocksPerPeer(peers.length);
    for (const peer of peers) peer.inflightRange = [blocks, limits.peer_blocks_in_flight_max];
  };
  core.on('peer-add', share);
  core.on('peer-remove', share);
  share();
  return () => {
    core.removeListener('peer-add', share);
    core.removeListener('peer-remove', share);
  };
}

/** At least as many as the library asks for. */
export function blocksPerPeer(peers: number): number {
  const { peer_blocks_in_flight: one, peer_blocks_in_flight_min: least } = limits;
  return Math.max(least, Math.min(one, Math.floor((2 * one) / Math.max(1, peers))));
}
