import type Hypercore from 'hypercore';
import type { ReplicatorPeer } from 'hypercore';

/** So near to where is read, every block is asked of anybody. */
const near_blocks = 16;
/** A peer that has a block no further away, before or behind, reads the same. */
const abreast_blocks = 160;
/** How long it is taken for known who reads the same. */
const look_ms = 100;

/**
 * When several read the same stretch of a log at the same time, each asks those who have all of it for a share only, and
 * takes the rest from the other readers, who asked for that. Else all would be at the same place at the same time, none
 * would have what another one needs next, and who has all would send it to each.
 *
 * Nobody says who asks for what: of the readers that are abreast, a hash of reader and block says whose a block is. A
 * block that is read soon is asked of anybody, so a reader that does not do its share costs nothing but what it saves.
 */
export class ReaderShares {
  readonly #core: Hypercore;
  readonly #applied = new WeakSet<ReplicatorPeer>();
  #position = 0;
  #abreast: readonly number[] = [];
  #own = 0;
  #lookedMs = 0;

  constructor(core: Hypercore) {
    this.#core = core;
  }

  /** Whether there are others that have not all of the log either. */
  get hasOthers(): boolean {
    return this.#core.replicator?.peers.some((peer) => !this.#hasAll(peer)) ?? false;
  }

  /** The reader waits for this block. */
  moveTo(block: number): void {
    const moved = block - this.#position;
    this.#position = block;
    if (moved === 0 || this.#abreast.length === 0) return;
    // What has come near may be asked of anybody now.
    const { replicator } = this.#core;
    if (replicator === null) return;
    for (const peer of [...replicator.peers]) if (this.#hasAll(peer)) replicator.updatePeer(peer);
  }

  /** To be called for each peer once. */
  apply(peer: ReplicatorPeer): void {
    if (this.#applied.has(peer)) return;
    this.#applied.add(peer);
    const request = peer._requestRangeBlock.bind(peer);
    peer._requestRangeBlock = (block, length) =>
      this.#mayAsk(peer, block) && request(block, length);
  }

  #mayAsk(peer: ReplicatorPeer, block: number): boolean {
    if (block <= this.#position + near_blocks || !this.#hasAll(peer)) return true;
    this.#look(peer);
    const own = score(this.#own, block);
    return this.#abreast.every((reader) => score(reader, block) <= own);
  }

  /** Who is abreast. */
  #look(peer: ReplicatorPeer): void {
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs < look_ms) return;
    this.#lookedMs = nowMs;
    this.#own = numberOf(peer.stream.publicKey);
    const readers = this.#core.replicator?.peers.filter((other) => this.#isAbreast(other)) ?? [];
    this.#abreast = readers.map(({ remotePublicKey }) => numberOf(remotePublicKey));
  }

  #isAbreast(peer: ReplicatorPeer): boolean {
    if (this.#hasAll(peer)) return false;
    const next = peer.remoteBitfield.firstSet(Math.max(0, this.#position - abreast_blocks));
    return next >= 0 && next <= this.#position + abreast_blocks;
  }

  #hasAll(peer: ReplicatorPeer): boolean {
    return peer.remoteContiguousLength >= this.#core.length;
  }
}

/** Keys are random already. */
function numberOf(publicKey: Buffer): number {
  return publicKey.readUInt32LE(0);
}

/** The same for all that know both numbers; the highest has the block. */
export function score(reader: number, block: number): number {
  let hash = Math.imul(reader ^ Math.imul(block + 1, 0x9e3779b1), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return (hash ^ (hash >>> 13)) >>> 0;
}
