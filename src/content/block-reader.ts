import { setTimeout as sleep } from 'node:timers/promises';
import Hypercore, { type ActiveRequests, type Download, type GetOptions } from 'hypercore';
import { DamagedError, StoreError } from '../errors.js';
import { limits } from '../limits.js';
import type { BlockSet } from '../log/block-set.js';
import type { LogEncryption } from '../log/encryption.js';
import { LocalBlocks } from '../log/local-blocks.js';
import { sectoredBytes } from '../log/sectors.js';
import { asShoalError } from '../log/store-errors.js';
import { type BlockCache, cacheKeysPerLog, chunkKeys } from './block-cache.js';
import { closedError, interruptedError, unavailableError } from './block-errors.js';
import { checkBlock } from './block-format.js';
import type { BlockRescuer, RescuedBlock } from './block-rescuer.js';
import { BlocksAhead } from './blocks-ahead.js';
import { BlocksInPlace } from './blocks-in-place.js';
import type { ReadOptions } from './content-store.js';
import type { DiskCache } from './disk-cache.js';
import { GivenUpBlocks } from './given-up.js';
import { hedge_ms } from './late-requests.js';
import { PeerRequests } from './peer-requests.js';
import { Rescue } from './rescue.js';

const hedge_look_ms = 50;

/** The longest wait for a block that should be on this machine. */
const local_deadline_ms = 10_000;

/** How often to look whether a log has followed to another fork. */
const fork_look_ms = 50;

interface Fetch {
  readonly block: number;
  readonly promise: Promise<Buffer>;
  /** To cancel it with. */
  readonly requests: ActiveRequests;
  readonly startedAt: number;
  readonly local: boolean;
  waiters: number;
}

/**
 * Blocks of one chunk log, decrypted: from the cache, the local store or peers. Everyone who waits for a block shares
 * one request, which ends when the last of them gives up.
 */
export class BlockReader {
  readonly #core: Hypercore;
  readonly #local: LocalBlocks;
  readonly #encryption: LogEncryption;
  readonly #cache: BlockCache;
  readonly #cacheBase: number;
  readonly #deadlineMs: number;
  /** For blocks that are read ahead. */
  readonly #ahead: BlocksAhead;
  readonly #diskCache: DiskCache | null;
  readonly #rescue: Rescue | null;
  readonly #fetches = new Map<number, Fetch>();
  /** Those that began before the log was cut there, and are not over. */
  readonly #outdated = new Set<Fetch>();
  readonly #givenUp = new GivenUpBlocks();
  readonly #inPlace: BlocksInPlace;
  readonly #peerRequests: PeerRequests;
  #hedging: NodeJS.Timeout | null = null;
  #endListening: (() => void) | null = null;
  #closed = false;
  readonly #onPeer = (): void => this.#givenUp.clear();
  readonly #onTruncate = (length: number): void => {
    this.#cache.deleteRange(this.#cacheBase + length, this.#cacheBase + cacheKeysPerLog);
    // What is being read may be of the fork before: it is for those who wait for it, and nobody else.
    for (const [block, fetch] of this.#fetches) {
      if (block < length) continue;
      this.#fetches.delete(block);
      this.#outdated.add(fetch);
    }
  };
  // Of requests of a closed core the library ends its own only.
  readonly #onCoreClose = (): void => this.close();
  readonly #onDownload = (_index: number, bytes: number): void => {
    this.downloadedBlocks++;
    this.downloadedBytes += bytes;
  };

  /** Blocks that nobody will read. */
  garbage: BlockSet | null = null;
  #expectedFork = 0;
  /** Since this reader was opened. */
  downloadedBlocks = 0;
  downloadedBytes = 0;

  /**
   * @param core Ready.
   * @param writer Keeps logs apart in the cache.
   * @param deadlineMs Default deadline of a wait for peers; 0 to ask nobody.
   * @param diskCache Bounds what is kept of the log on this machine.
   * @param rescuer For blocks that no connected peer has.
   */
  constructor(
    core: Hypercore,
    encryption: LogEncryption,
    writer: number,
    cache: BlockCache,
    deadlineMs: number,
    diskCache: DiskCache | null = null,
    rescuer: BlockRescuer | null = null,
  ) {
    this.#core = core;
    this.#local = new LocalBlocks(core, limits.store_read_blocks_max);
    this.#encryption = encryption;
    this.#inPlace = new BlocksInPlace(core, this.#local, encryption);
    this.#cache = cache;
    this.#cacheBase = writer * cacheKeysPerLog;
    this.#ahead = new BlocksAhead(core, this.#local, encryption, cache, this.#cacheBase);
    this.#deadlineMs = deadlineMs;
    this.#diskCache = diskCache;
    const onRescued = ({ block, bytes }: RescuedBlock): void => diskCache?.note(block, bytes);
    this.#rescue = rescuer === null ? null : new Rescue(core, rescuer, onRescued);
    this.#peerRequests = new PeerRequests(core);
    core.on('download', this.#onDownload);
    core.on('peer-add', this.#onPeer);
    core.on('truncate', this.#onTruncate);
    core.on('close', this.#onCoreClose);
  }

  get core(): Hypercore {
    return this.#core;
  }

  /** The log has not followed to the fork that is wanted. */
  get isBehind(): boolean {
    return this.#core.fork < this.#expectedFork;
  }

  /** A peer has said something new of the drive: the log's blocks of an earlier fork are not what is wanted. */
  expectFork(fork: number): void {
    this.#expectedFork = fork;
    // Who answers may have what it did not give before.
    this.#givenUp.clear();
  }

  /** From memory; as `BlockCache.get`. */
  cached(block: number): Buffer | undefined {
    if (this.isBehind) return undefined;
    const data = this.#cache.get(this.#cacheBase + block);
    if (data !== undefined) this.#diskCache?.touch(block);
    return data;
  }

  /** The chunk of a block that is one compressed chunk; as `BlockCache.get`. */
  cachedChunk(block: number): Buffer | undefined {
    if (this.isBehind) return undefined;
    const data = this.#cache.get(this.#cacheBase + chunkKeys + block);
    if (data !== undefined) this.#diskCache?.touch(block);
    return data;
  }

  /** Keeps a copy of such a chunk, in place of the block. */
  rememberChunk(block: number, data: Buffer): void {
    this.#cache.delete(this.#cacheBase + block);
    this.#cache.set(this.#cacheBase + chunkKeys + block, data);
  }

  /** Whether the block is in memory, or being fetched. */
  isAtHand(block: number): boolean {
    const key = this.#cacheBase + block;
    return this.#cache.has(key) || this.#cache.has(key + chunkKeys) || this.#fetches.has(block);
  }

  /** Whether the block is being read. */
  isReading(block: number): boolean {
    return this.#fetches.has(block);
  }

  /** Whether more may be fetched now without going beyond the disk cache's bound. */
  get hasRoom(): boolean {
    return this.#diskCache === null || this.#diskCache.room() === null;
  }

  /** Begins to fetch a stretch of blocks that will be wanted, in order. */
  download(start: number, end: number): Download {
    if (!this.#peerRequests.shares.hasOthers) {
      return this.#core.download({ start, end, linear: true });
    }
    // As a list: of a stretch the library does not look behind a block that a peer is not asked for.
    return this.#core.download({
      blocks: Array.from({ length: end - start }, (_, i) => start + i),
    });
  }

  /** Whether the block is here, or never wanted. */
  needsNoFetch(block: number): boolean {
    return this.isLocal(block) || this.garbage?.has(block) === true;
  }

  /** Whether the local store has the block. */
  isLocal(block: number): boolean {
    return this.#core.core?.bitfield.get(block) ?? false;
  }

  /** Whether it is known that no connected peer has the block; asked only where it could be brought back. */
  isNowhere(block: number): boolean {
    return this.#rescue?.isNowhere(block) === true;
  }

  /** Begins to bring back a block that no connected peer has; false for one that a peer may have. */
  rescueAhead(block: number): boolean {
    return this.isNowhere(block) && this.#rescue?.ahead(block) === true;
  }

  /** Puts a copy of a block's plaintext into the cache. */
  remember(block: number, data: Buffer): void {
    this.#cache.set(this.#cacheBase + block, data);
  }

  /**
   * The block's plaintext, read from the disk in place where that is the quickest: when nothing else is being read. It
   * shares memory with the cache. Null says nothing.
   */
  readNow(block: number): Buffer | null {
    const plain = this.#isAlone(block) ? this.#inPlace.block(block) : null;
    if (plain === null) return null;
    this.#diskCache?.touch(block);
    this.remember(block, plain);
    return plain;
  }

  /** As {@link BlocksInPlace.part}, under the same conditions. */
  readPart(block: number, offset: number, length: number, end: number): Buffer | null {
    const part = this.#isAlone(block) ? this.#inPlace.part(block, offset, length, end) : null;
    if (part !== null) this.#diskCache?.touch(block);
    return part;
  }

  /** Whether the block is on this machine, and no other is being read. */
  #isAlone(block: number): boolean {
    if (this.#closed || this.#fetches.size > 0 || this.isBehind) return false;
    return this.isLocal(block) && (this.#diskCache?.removal(block) ?? null) === null;
  }

  /**
   * The block's plaintext, from the local store or peers. It may share memory with the cache, as {@link BlockReader.cached}.
   * Rejects with DamagedError, UnavailableError, InterruptedError, StoreError.
   */
  fetch(block: number, options: ReadOptions = {}): Promise<Buffer> {
    const { signal, deadlineMs = this.#deadlineMs } = options;
    if (this.#closed) return Promise.reject(closedError(block));
    if (signal?.aborted) return Promise.reject(interruptedError(block));
    if (this.isBehind) return this.#fetchOnceCaughtUp(block, options);
    let fetch = this.#fetches.get(block);
    if (fetch === undefined) {
      const isElsewhere = !this.isLocal(block);
      if (isElsewhere && (deadlineMs === 0 || this.#givenUp.refuses(block))) {
        return Promise.reject(unavailableError(block, deadlineMs));
      }
      fetch = this.#start(block);
    }
    return this.#wait(block, fetch, signal, deadlineMs);
  }

  /**
   * Loads a block that is on this machine into the cache, for nobody yet: without a deadline. Resolves when it is there.
   * Rejects as {@link BlockReader.fetch}.
   */
  preload(block: number): Promise<unknown> {
    if (this.#closed) return Promise.reject(closedError(block));
    if (this.isBehind) return Promise.resolve();
    const known = this.#fetches.get(block);
    if (known !== undefined) return known.promise;
    return this.#start(block, true).promise;
  }

  /**
   * From now on the thread decrypts what peers send as soon as it is stored, if it `isWanted`: who reads a stream waits for the network,
   * not for the cipher behind it, and nothing is read back from the disk.
   */
  openAsTheyCome(isWanted: (block: number) => boolean): void {
    this.#endListening ??= this.#local.onStored((block, stored) => {
      if (this.isBehind || this.isAtHand(block) || !isWanted(block)) return;
      if (!this.#ahead.takes(stored.length)) return;
      const requests: ActiveRequests = [];
      const { fork } = this.#core;
      const promise = this.#ahead.open(block, stored).then((plain) => {
        if (plain !== null && this.#core.fork === fork) return plain;
        return this.#load(block, requests, false);
      });
      this.#keep(block, promise, requests, true);
    });
  }

  /** Nothing is being read. */
  noteIdle(): void {
    this.#ahead.noteIdle();
  }

  /** Gets ready for a long stretch. */
  prepare(): void {
    this.#ahead.prepare();
  }

  /** Waits for the log to follow to the fork that is wanted. */
  async #fetchOnceCaughtUp(block: number, options: ReadOptions): Promise<Buffer> {
    const { signal, deadlineMs = this.#deadlineMs } = options;
    const giveUpAt = performance.now() + deadlineMs;
    while (this.isBehind) {
      if (this.#closed) throw closedError(block);
      if (signal?.aborted) throw interruptedError(block);
      if (performance.now() > giveUpAt) throw unavailableError(block, deadlineMs);
      await sleep(fork_look_ms);
    }
    return this.fetch(block, options);
  }

  /** Ends all waits with InterruptedError, as the end of the core does. The core stays open. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endListening?.();
    this.#peerRequests.close();
    this.#core.removeListener('download', this.#onDownload);
    this.#core.removeListener('peer-add', this.#onPeer);
    this.#core.removeListener('truncate', this.#onTruncate);
    this.#core.removeListener('close', this.#onCoreClose);
    this.#ahead.close();
    this.#rescue?.close();
    if (this.#hedging !== null) clearInterval(this.#hedging);
    for (const { block, requests } of [...this.#fetches.values(), ...this.#outdated]) {
      Hypercore.destroyRequests(requests, closedError(block));
    }
  }

  #wait(
    block: number,
    fetch: Fetch,
    signal: AbortSignal | undefined,
    deadlineMs: number,
  ): Promise<Buffer> {
    fetch.waiters++;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        fetch.waiters--;
        if (fetch.waiters === 0) this.#abandon(fetch);
      };
      const fail = (error: unknown): void => {
        leave();
        reject(error);
      };
      const onAbort = (): void => fail(interruptedError(block));
      // The deadline is for peers; the disk of this machine has its own, generous one.
      const wait = fetch.local ? Math.max(deadlineMs, local_deadline_ms) : deadlineMs;
      const timer = setTimeout(() => {
        this.#givenUp.add(block);
        fail(unavailableError(block, wait));
      }, wait);
      signal?.addEventListener('abort', onAbort, { once: true });
      fetch.promise.then((plain) => {
        leave();
        resolve(plain);
      }, fail);
    });
  }

  #start(block: number, isAhead = false): Fetch {
    const requests: ActiveRequests = [];
    const local = this.isLocal(block);
    const promise = this.#load(block, requests, isAhead && local);
    const fetch = this.#keep(block, promise, requests, local);
    if (!local) {
      this.#peerRequests.shares.moveTo(block);
      this.#hedge();
    }
    return fetch;
  }

  /** Until it is over. */
  #keep(block: number, promise: Promise<Buffer>, requests: ActiveRequests, local: boolean): Fetch {
    const fetch = { block, promise, requests, startedAt: performance.now(), local, waiters: 0 };
    this.#fetches.set(block, fetch);
    const settle = (): void => void this.#forget(fetch);
    promise.then(settle, settle);
    return fetch;
  }

  async #load(block: number, requests: ActiveRequests, isAhead: boolean): Promise<Buffer> {
    const core = this.#core;
    const { fork } = core;
    try {
      let fromPeer = false;
      const onwait = (): void => {
        fromPeer = true;
      };
      await this.#diskCache?.removal(block);
      if (this.isLocal(block)) this.#diskCache?.touch(block);
      else await this.#diskCache?.room();
      const read = isAhead ? await this.#ahead.read(block) : null;
      if (read !== null) return read;
      // Raw, since Hypercore would copy the block before it has it decrypted.
      const options = { raw: true, timeout: 0, activeRequests: requests, onwait };
      const stored =
        (this.isLocal(block) ? await this.#local.get(block) : null) ??
        (await this.#fromPeers(block, requests, options));
      if (stored === null || core.core === null) {
        throw new StoreError(`Cannot read block ${block} of the chunk log: it is missing`);
      }
      // Before the work of decrypting it.
      if (stored.length > sectoredBytes(limits.block_bytes_max)) {
        throw new DamagedError(
          `Cannot read block ${block} of the chunk log: it has ${stored.length} bytes`,
        );
      }
      const isOfFork = core.fork === fork;
      const opened =
        (isAhead || fromPeer) && isOfFork ? await this.#ahead.open(block, stored) : null;
      if (opened !== null) return opened;
      // A block from a peer is handed to everyone who waits for it; one from the disk is ours alone.
      const plain = this.#encryption.open(block, stored, core.core, !fromPeer);
      checkBlock(plain, block);
      if (isOfFork && core.fork === fork) this.remember(block, plain);
      return plain;
    } catch (error) {
      throw asShoalError(error, `read block ${block} of the chunk log`);
    }
  }

  async #fromPeers(
    block: number,
    requests: ActiveRequests,
    options: GetOptions,
  ): Promise<Buffer | null> {
    const got = this.#core.get(block, options);
    if (this.#rescue === null) return await got;
    const stored = await this.#rescue.get(block, got);
    if (stored !== null) return stored;
    // Nobody answers it any more.
    Hypercore.destroyRequests(requests);
    return await this.#local.get(block);
  }

  /** Nobody waits any more: takes the request back, unless it is over already. */
  #abandon(fetch: Fetch): void {
    if (this.#forget(fetch)) Hypercore.destroyRequests(fetch.requests);
  }

  /** Whether it was not over. */
  #forget(fetch: Fetch): boolean {
    if (this.#fetches.get(fetch.block) !== fetch) return this.#outdated.delete(fetch);
    return this.#fetches.delete(fetch.block);
  }

  /**
   * A peer that has stopped answering keeps the blocks it was asked for until its connection times out. Hypercore asks
   * another peer for them as well when that one's turn is forced.
   */
  #hedge(): void {
    this.#hedging ??= setInterval(() => {
      const now = performance.now();
      let waiting = false;
      let late = false;
      for (const fetch of this.#fetches.values()) {
        if (fetch.local) continue;
        waiting = true;
        if (now - fetch.startedAt >= hedge_ms) late = true;
      }
      if (!waiting && this.#hedging !== null) {
        clearInterval(this.#hedging);
        this.#hedging = null;
      }
      if (!late) return;
      const replicator = this.#core.replicator;
      if (replicator === null) return;
      for (const peer of [...replicator.peers]) replicator.updatePeer(peer);
    }, hedge_look_ms);
  }
}
