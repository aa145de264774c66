/** Blocks that will be wanted soon: read and decrypted by a thread, where the cache keeps them. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import { limits } from '../limits.js';
import { blockPaddingBytes } from '../log/aead.js';
import { copyBytes } from '../log/copy-bytes.js';
import type { LogEncryption } from '../log/encryption.js';
import type { LocalBlocks } from '../log/local-blocks.js';
import { type BlockLayout, gatherSectors, plainBytesOf } from '../log/sectors.js';
import type { BlockCache } from './block-cache.js';
import { isBlock } from './block-format.js';
import { BlockOpener } from './block-opener.js';

export class BlocksAhead {
  readonly #core: Hypercore;
  readonly #local: LocalBlocks;
  readonly #encryption: LogEncryption;
  readonly #cache: BlockCache;
  readonly #cacheBase: number;
  readonly #startBytes: number | undefined;
  #opener: BlockOpener | null = null;
  #isClosed = false;
  /** Blocks in turn that could not be read: what a disk refuses again and again is not asked of it for a while. */
  #failures = 0;

  /**
   * @param cacheBase What a block's number is added to, to be its key in the cache.
   * @param startBytes As of {@link BlockOpener}.
   */
  constructor(
    core: Hypercore,
    local: LocalBlocks,
    encryption: LogEncryption,
    cache: BlockCache,
    cacheBase: number,
    startBytes?: number,
  ) {
    this.#core = core;
    this.#local = local;
    this.#encryption = encryption;
    this.#cache = cache;
    this.#cacheBase = cacheBase;
    this.#startBytes = startBytes;
  }

  /** Whether the thread takes a block now. Where it does not, the block counts for when it is started. */
  takes(storedBytes: number): boolean {
    const { core } = this.#core;
    if (core === null || this.#isClosed) return false;
    const opener = this.#openerOf(core);
    if (opener.isReady) return true;
    opener.noteOpenedHere(storedBytes);
    return false;
  }

  /**
   * The plaintext of a block in the local store, which goes into the cache; it is good until the turn of the event loop ends. Null says
   * nothing: whoever reads it in the common way finds out what is wrong, if anything is. Never rejects.
   */
  async read(block: number): Promise<Buffer | null> {
    const { core, fork } = this.#core;
    if (core === null || this.#isClosed || !this.#openerOf(core).isReady) return null;
    if (this.#failures >= limits.thread_reads_failed_max) return null;
    const stored = await this.#local.find(block);
    if (stored === null || this.#isClosed || this.#core.fork !== fork) return null;
    const { files, pointer } = stored;
    const layout = this.#encryption.layoutOf(core);
    const plainBytes = plainLength(layout, pointer.length);
    if (plainBytes === null) return null;
    const place = this.#cache.reserve(this.#cacheBase + block, plainBytes);
    if (place === null) return null;
    const which = { index: block, layout };
    const { offset, length, checksum } = pointer;
    const isRead = await files
      .lend(pointer, (fd) =>
        this.#openerOf(core).read({ fd, offset, length, checksum }, place.memory, which),
      )
      .catch(() => false);
    const isGood = isRead && isBlock(place.memory);
    this.#failures = isGood ? 0 : this.#failures + 1;
    place.settle(isGood ? 0 : null);
    return isGood ? place.memory : null;
  }

  /** The same of a block that was read; `stored` stays as it is. */
  async open(block: number, stored: Buffer): Promise<Buffer | null> {
    const { core } = this.#core;
    if (core === null || !this.takes(stored.length)) return null;
    const opener = this.#openerOf(core);
    const place = this.#cache.reserve(this.#cacheBase + block, stored.length);
    if (place === null) return null;
    const layout = this.#encryption.layoutOf(core);
    const start =
      layout === 'sectors' ? gatherSectors(stored, place.memory) : wholeInto(stored, place.memory);
    const isOpen = start !== null && (await opener.open(place.memory, { index: block, layout }));
    const plain = isOpen ? place.memory.subarray(start) : null;
    const isGood = plain !== null && isBlock(plain);
    place.settle(isGood ? start : null);
    return isGood ? plain : null;
  }

  /** Nothing is being read. */
  noteIdle(): void {
    this.#failures = 0;
    this.#opener?.noteIdle();
  }

  /** Gets ready for a long stretch. */
  prepare(): void {
    const { core } = this.#core;
    if (core !== null && !this.#isClosed) this.#openerOf(core).prepare();
  }

  /** Ends what is under way. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#opener?.close();
  }

  #openerOf(core: CoreContext): BlockOpener {
    this.#opener ??= new BlockOpener(
      this.#encryption.sealingKeys(core),
      undefined,
      this.#startBytes,
    );
    return this.#opener;
  }
}

/** Null for what cannot have been sealed so. */
function plainLength(layout: BlockLayout, sealedBytes: number): number | null {
  if (layout === 'sectors') return plainBytesOf(sealedBytes);
  return sealedBytes > blockPaddingBytes ? sealedBytes - blockPaddingBytes : null;
}

/** Copies a block that was sealed in one piece; answers where its plaintext will begin. */
function wholeInto(stored: Buffer, memory: Buffer): number {
  copyBytes(stored, memory);
  return blockPaddingBytes;
}
