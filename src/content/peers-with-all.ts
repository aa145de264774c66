import type { ReplicatorPeer } from 'hypercore';
import type { BlockReader } from './block-reader.js';
import type { ChunkHolders, ChunkReference } from './content-store.js';

/** Counts peers by what they have told of their blocks: what they have not told of, they are taken not to have. */
export class PeersWithAll implements ChunkHolders {
  readonly #readers: ReadonlyMap<number, BlockReader>;
  /** Identities of those that have all so far; null before the first chunk. */
  #identities: Set<string> | null = null;

  constructor(readers: ReadonlyMap<number, BlockReader>) {
    this.#readers = readers;
  }

  get count(): number {
    return this.#identities?.size ?? identitiesOf(this.#peers(null)).size;
  }

  add({ writer, block }: ChunkReference): void {
    if (this.#identities?.size === 0) return;
    const holders = this.#peers(writer).filter(
      (peer) => block < peer.remoteContiguousLength || peer.remoteBitfield.get(block),
    );
    const identities = identitiesOf(holders);
    const before = this.#identities;
    this.#identities =
      before === null ? identities : new Set([...before].filter((each) => identities.has(each)));
  }

  #peers(writer: number | null): ReplicatorPeer[] {
    const peers: ReplicatorPeer[] = [];
    for (const [index, { core }] of this.#readers) {
      if (writer !== null && index !== writer) continue;
      peers.push(...(core.replicator?.peers ?? []).filter((peer) => peer.remoteFork === core.fork));
    }
    return peers;
  }
}

function identitiesOf(peers: readonly ReplicatorPeer[]): Set<string> {
  return new Set(peers.map((peer) => peer.remotePublicKey.toString('hex')));
}
