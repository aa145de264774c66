/**
 * The owner's encoder: computes the parity of complete stripes of the chunk log, and appends it to the parity log and
 * what the stripe consists of to the stripe log.
 */
import Hypercore, { type ActiveRequests } from 'hypercore';
import { DamagedError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { leafHash, setLeafHash } from '../log/leaf-hashes.js';
import { signedLeafHash } from '../log/signed-leaf-hash.js';
import { asShoalError } from '../log/store-errors.js';
import { encodedLengths, type StripePlace, stripeAt } from './epochs.js';
import { ErasureCodes } from './erasure.js';
import type { PlanEpoch } from './plan-record.js';
import { decodeStripe, encodeStripe, type StripeRecord } from './stripe-record.js';

/** Blocks that hosts no longer deliver are asked for so long. */
const FETCH_MS_MAX = limits.network_deadline_ms;

export interface StripeWriterParts {
  /** The chunk log, only read, as it is stored. */
  content: Hypercore;
  /** Sessions that may append. */
  stripes: Hypercore;
  parity: Hypercore;
  /** Whether a block of the chunk log was collected, so that it counts as zeros. */
  isGarbage: (block: number) => boolean;
  /** Throws NoSpaceError unless the disk has room for so many bytes more. */
  claimSpace: (bytes: number) => void;
  /** Resolves once everything appended or cut off before is on stable storage. */
  sync: () => Promise<void>;
}

/** What a batch did. */
export interface EncodeReport {
  stripes: number;
  /** Of the data. */
  bytes: number;
}

interface Encoded {
  record: Buffer;
  parity: Buffer[];
  /** Of the data. */
  bytes: number;
}

export class StripeWriter {
  readonly #parts: StripeWriterParts;
  readonly #codes = new ErasureCodes();
  readonly #requests: ActiveRequests = [];

  constructor(parts: StripeWriterParts) {
    this.#parts = parts;
  }

  /** Ends the wait for a block of a host. */
  close(): void {
    Hypercore.destroyRequests(this.#requests);
  }

  /** Stripes that are complete and not encoded. */
  behind(epochs: readonly PlanEpoch[]): number {
    const { content, stripes } = this.#parts;
    return Math.max(0, encodedLengths(epochs, content.length).stripes - stripes.length);
  }

  /**
   * Encodes some of what is complete: one batch, in bounded memory; nothing when all is. Not synced yet. What a batch that
   * failed has left is cut off before. Throws NoSpaceError, DamagedError for a block whose bytes are not what was signed,
   * UnavailableError for one that is on no connected machine, and what the store throws.
   *
   * @param pause Called often: may wait, so that others get on. Throws to end the run.
   */
  async encodeBatch(
    epochs: readonly PlanEpoch[],
    pause: () => Promise<void> | undefined,
  ): Promise<EncodeReport> {
    const { content, stripes, parity } = this.#parts;
    const next = stripeAt(epochs, stripes.length);
    // Behind parity without a record, that of all stripes to come would lie where nobody looks for it.
    if (next !== null && next.parityBlock !== parity.length) await this.recover(epochs, null, true);
    const end = encodedLengths(epochs, content.length).stripes;
    const batch: Encoded[] = [];
    let bytes = 0;
    let parityBytes = 0;
    while (
      stripes.length + batch.length < end &&
      batch.length < limits.encode_batch_stripes_max &&
      parityBytes < limits.encode_batch_bytes
    ) {
      await pause();
      const place = stripeAt(epochs, stripes.length + batch.length);
      if (place === null) break;
      const encoded = await this.#encode(place);
      batch.push(encoded);
      bytes += encoded.bytes;
      parityBytes += encoded.parity.reduce((sum, block) => sum + block.length, 0);
    }
    if (batch.length > 0) {
      this.#parts.claimSpace(parityBytes);
      // First the parity: a stripe that has a record has all that the record names.
      await parity.append(batch.flatMap((each) => each.parity));
      await stripes.append(batch.map((each) => each.record));
    }
    return { stripes: batch.length, bytes };
  }

  /**
   * Makes the logs fit: cuts off stripes that are not those of the chunk log (it went on under a new fork), or whose parity
   * is not what they say, and what an error, or the end of a process, left half done. Durable when it resolves. `fork`: a new one has to be begun in any case. A stripe that is neither here
   * nor on a connected machine is cut off, too, unless it is to be `awaited`.
   * Resolves with the number of stripes that were cut off, null when nothing was changed. Throws UnavailableError for one
   * that is awaited, and what the store throws.
   */
  async recover(
    epochs: readonly PlanEpoch[],
    fork: number | null,
    awaited = false,
  ): Promise<number | null> {
    const { stripes, parity } = this.#parts;
    const sound = await this.#soundStripes(epochs, awaited);
    const last = sound === 0 ? null : stripeAt(epochs, sound - 1);
    const parityLength = last === null ? 0 : last.parityBlock + last.epoch.parity;
    if (parityLength > parity.length) {
      throw new DamagedError(
        `Cannot go on with the parity log: it has ${parity.length} blocks of ${parityLength}`,
      );
    }
    const lost = stripes.length - sound;
    let isChanged = false;
    for (const [core, length] of [
      [stripes, sound],
      [parity, parityLength],
    ] as const) {
      if (core.length === length && (fork === null || core.fork >= fork)) continue;
      await core.truncate(length, Math.max(core.fork + 1, fork ?? 0));
      isChanged = true;
    }
    if (!isChanged) return null;
    await this.#parts.sync();
    return lost;
  }

  /** How many stripes from the first on are whole and those of the chunk log. */
  async #soundStripes(epochs: readonly PlanEpoch[], awaited: boolean): Promise<number> {
    const { content, stripes, parity } = this.#parts;
    let count = Math.min(stripes.length, encodedLengths(epochs, content.length).stripes);
    // Who has just taken the writing over knows how long the log is, and may have nothing of it yet.
    let waits = stripes.peers.length > 0;
    for (; count > 0; count--) {
      const place = stripeAt(epochs, count - 1);
      if (place === null || place.parityBlock + place.epoch.parity > parity.length) continue;
      const block = await storedOrFetched(stripes, count - 1, waits);
      waits &&= block !== null;
      if (block === null && awaited) {
        throw new UnavailableError(
          `Cannot go on with stripe ${count - 1} of the hosts: it is not here, and no connected machine has it; start a host, or mount the drive: that goes on without after a minute`,
        );
      }
      if (block === null) continue;
      const isSame = await this.#isOfThisLog(place, decodeStripe(block));
      // A stripe without a block says nothing of the log.
      if (isSame) break;
    }
    return count;
  }

  async #isOfThisLog(place: StripePlace, record: StripeRecord): Promise<boolean> {
    const { content, parity } = this.#parts;
    const { epoch, firstBlock, parityBlock } = place;
    const { data, parityHashes } = record;
    if (data.length !== epoch.data || parityHashes.length !== epoch.parity) return false;
    const isOf = async (core: Hypercore, block: number, leafHash: Buffer): Promise<boolean> => {
      const hash = await signedLeafHash(core, block);
      // Who took the drive over need not have it. The last writer signed the record after the block.
      return hash === null || hash.equals(leafHash);
    };
    for (const [i, block] of data.entries()) {
      if (block !== null && !(await isOf(content, firstBlock + i, block.leafHash))) return false;
    }
    for (const [j, hash] of parityHashes.entries()) {
      if (!(await isOf(parity, parityBlock + j, hash))) return false;
    }
    return true;
  }

  async #encode(place: StripePlace): Promise<Encoded> {
    const { content } = this.#parts;
    const { epoch, firstBlock } = place;
    const numbers = Array.from({ length: epoch.data }, (_, i) => firstBlock + i);
    const blocks = await Promise.all(numbers.map((block) => this.#read(block)));
    const data = await Promise.all(
      blocks.map(async (bytes, i) => {
        if (bytes === null) return null;
        const hash = leafHash(bytes);
        const signed = await signedLeafHash(content, firstBlock + i);
        if (signed === null || !signed.equals(hash)) {
          throw new DamagedError(
            `Cannot protect block ${firstBlock + i}: its bytes are damaged; 'shoal check --repair' may bring them back`,
          );
        }
        return { bytes: bytes.length, leafHash: hash };
      }),
    );
    const parityBytes = Math.max(0, ...data.map((block) => block?.bytes ?? 0));
    const parity = this.#codes.of(epoch).encode(blocks, parityBytes);
    const parityHashes = parity.map((block) => {
      const hash = leafHash(block);
      setLeafHash(block, hash);
      return hash;
    });
    const bytes = data.reduce((sum, block) => sum + (block?.bytes ?? 0), 0);
    return { record: encodeStripe({ data, parityBytes, parityHashes }), parity, bytes };
  }

  /** A block as it is stored; null for one that was collected. */
  async #read(block: number): Promise<Buffer | null> {
    const { content, isGarbage } = this.#parts;
    // Also while it is still here: hosts may have been told to let it go.
    if (isGarbage(block)) return null;
    const stored = await content.get(block, { raw: true, wait: false });
    if (stored !== null) return stored;
    // The owner's disk may be a cache by now; its hosts have the block.
    try {
      const activeRequests = this.#requests;
      return await content.get(block, { raw: true, timeout: FETCH_MS_MAX, activeRequests });
    } catch (error) {
      throw new UnavailableError(
        `Cannot protect block ${block}: it is not on this machine, and no connected host has it`,
        { cause: error },
      );
    }
  }
}

/** A block that is here, or with `waits` one that a peer delivers in time; else null. */
async function storedOrFetched(
  core: Hypercore,
  index: number,
  waits: boolean,
): Promise<Buffer | null> {
  const stored = await core.get(index, { wait: false });
  if (stored !== null || !waits) return stored;
  try {
    return await core.get(index, { timeout: limits.stripe_fetch_ms_max });
  } catch (error) {
    if (asShoalError(error, 'read the stripe log') instanceof UnavailableError) return null;
    throw error;
  }
}
