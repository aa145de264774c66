import type Hypercore from 'hypercore';
import type { ReplicatorPeer } from 'hypercore';

/** So near to where is read, every block is asked of anybody. */
const near_blocks = 16;
/** A peer that has a block no further away, before or behind, and to which blocks come, reads the same. */
const abreast_blocks = 160;
/** To which none came for so long reads no more. */
const active_ms = 2000;
/** It is looked who reads the same for so many blocks together, and noted for so many stretches of them. */
const stretch_blocks = 64;
const stretches_max = 256;
/** How long it is taken for known who reads the same, and how often to look for what was left to others. */
const look_ms = 100;
/** What was left to another reader for so long is asked of anybody. */
const patience_ms = 5000;
/** Blocks noted for that. */
const left_blocks_max = 4096;

/**
 * When several read the same stretch of a log at the same time, each asks those who have all of it for a share only, and
 * takes the rest from the other readers, who asked for that. Else all would be at the same place at the same time, none
 * would have what another one needs next, and who has all would send it to each.
 *
 * Nobody says who asks for what: of the readers that are abreast, a hash of reader and block says whose a block is. A
 * block that is read soon is asked of anybody, and so is one that does not come: a reader that does not do its share holds up
 * nobody.
 */
export class ReaderShares {
  readonly #core: Hypercore;
  readonly #now: () => number;
  readonly #applied = new WeakSet<ReplicatorPeer>();
  #position = 0;
  /** By stretch: the numbers of those who read it, and when that was looked. */
  readonly #stretches = new Map<number, { readers: readonly number[]; lookedMs: number }>();
  /** Messages that tell of new blocks, so far, and when the last of them was seen. */
  readonly #news = new WeakMap<ReplicatorPeer, { messages: number; sinceMs: number }>();
  /** Since when blocks are left to others. */
  readonly #leftSinceMs = new Map<number, number>();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** @param now A clock that only goes forward, in ms. */
  constructor(core: Hypercore, now = (): number => performance.now()) {
    this.#core = core;
    this.#now = now;
  }

  /** Whether there are others that have not all of the log either. */
  get hasOthers(): boolean {
    return this.#core.replicator?.peers.some((peer) => !this.#hasAll(peer)) ?? false;
  }

  /** The reader waits for this block. */
  moveTo(block: number): void {
    const moved = block - this.#position;
    this.#position = block;
    // What has come near may be asked of anybody now.
    if (moved !== 0 && this.#leftSinceMs.size > 0) this.#askAgain();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
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
    const own = score(numberOf(peer.stream.publicKey), block);
    if (this.#readersAt(block).every((reader) => score(reader, block) <= own)) return true;
    return !this.#leave(block);
  }

  /** Notes that a block is left to another reader; false once that took too long. */
  #leave(block: number): boolean {
    if (this.#closed) return false;
    const nowMs = this.#now();
    const sinceMs = this.#leftSinceMs.get(block);
    if (sinceMs !== undefined) return nowMs - sinceMs < patience_ms;
    if (this.#leftSinceMs.size >= left_blocks_max) this.#leftSinceMs.clear();
    this.#leftSinceMs.set(block, nowMs);
    this.#timer ??= setTimeout(() => this.#lookForLeft(), look_ms);
    return true;
  }

  /** The library asks again only when something comes, and the other reader may have gone, or gone elsewhere. */
  #lookForLeft(): void {
    this.#timer = null;
    const { core } = this.#core;
    const nowMs = this.#now();
    for (const [block, sinceMs] of this.#leftSinceMs) {
      // After so long nobody wants it any more.
      const isOver = nowMs - sinceMs > 2 * patience_ms;
      if (core === null || isOver || core.bitfield.get(block)) this.#leftSinceMs.delete(block);
    }
    if (this.#leftSinceMs.size === 0) return;
    this.#timer = setTimeout(() => this.#lookForLeft(), look_ms);
    this.#askAgain();
  }

  #askAgain(): void {
    const { replicator } = this.#core;
    if (replicator === null) return;
    for (const peer of [...replicator.peers]) if (this.#hasAll(peer)) replicator.updatePeer(peer);
  }

  /** Who else reads what is around a block. */
  #readersAt(block: number): readonly number[] {
    const nowMs = this.#now();
    const stretch = Math.floor(block / stretch_blocks);
    const known = this.#stretches.get(stretch);
    if (known !== undefined && nowMs - known.lookedMs < look_ms) return known.readers;
    if (this.#stretches.size >= stretches_max) this.#stretches.clear();
    const readers: number[] = [];
    for (const peer of this.#core.replicator?.peers ?? []) {
      // Looked at in any case, so that it is noticed when something comes.
      const isActive = this.#isActive(peer, nowMs);
      if (isActive && this.#isAbreast(peer, block)) readers.push(numberOf(peer.remotePublicKey));
    }
    this.#stretches.set(stretch, { readers, lookedMs: nowMs });
    return readers;
  }

  #isActive(peer: ReplicatorPeer, nowMs: number): boolean {
    const messages = peer.stats.wireRange.rx;
    const known = this.#news.get(peer);
    if (known?.messages === messages) return nowMs - known.sinceMs < active_ms;
    this.#news.set(peer, { messages, sinceMs: nowMs });
    return true;
  }

  #isAbreast(peer: ReplicatorPeer, block: number): boolean {
    if (this.#hasAll(peer)) return false;
    const next = peer.remoteBitfield.firstSet(Math.max(0, block - abreast_blocks));
    return next >= 0 && next <= block + abreast_blocks;
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
