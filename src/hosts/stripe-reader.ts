/** Records of stripes, and what they say of blocks: leaf hashes and lengths that the owner signed. */
import type Hypercore from 'hypercore';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import type { LeafHash } from './put-back.js';
import { decodeStripe, type StripeRecord } from './stripe-record.js';
import {
  encodedStripes,
  type Group,
  groupOfBlock,
  type Layout,
  type ShardBlock,
  stripeOfParity,
  stripeRecordBlock,
} from './stripes.js';

/** A stripe, and which of its shards a block is: data first. */
export interface ShardPlace {
  group: Group;
  slot: number;
}

/** The stripe that a block is a shard of; undefined for one that is kept as copies, or not at all. */
export function shardPlace(layout: Layout, { log, block }: ShardBlock): ShardPlace | undefined {
  if (log === 'content') {
    const group = groupOfBlock(layout, block);
    return group?.encoded === true ? { group, slot: block - group.from } : undefined;
  }
  const found = stripeOfParity(layout, block);
  return found && { group: found.group, slot: found.group.epoch.data + found.shard };
}

/** What a record says of a shard; null for a data block that was missing: it counts as zeros. */
export function leafOfSlot(record: StripeRecord, slot: number): LeafHash | null {
  const { data, parityBytes, parityHashes } = record;
  if (slot >= data.length) {
    const hash = parityHashes[slot - data.length];
    return hash === undefined ? null : { hash, size: parityBytes };
  }
  const block = data[slot];
  return block == null ? null : { hash: block.leafHash, size: block.bytes };
}

/** Blocks of the parity log that belong to stripes which are known. */
export function parityLength(layout: Layout): number {
  let length = 0;
  for (const [epochIndex, { parityBase, parity }] of layout.epochs.entries()) {
    const stripes = encodedStripes(layout, epochIndex);
    if (stripes > 0) length = Math.max(length, parityBase + stripes * parity);
  }
  return length;
}

export class StripeReader {
  readonly #core: Hypercore;
  /** By block of the stripe log, the oldest first. */
  readonly #records = new Map<number, StripeRecord>();
  #fork: number;

  /** @param core The stripe log. */
  constructor(core: Hypercore) {
    this.#core = core;
    this.#fork = core.fork;
  }

  /** Null when it is not here, or does not fit the stripe. Throws what the store throws. */
  async read({ epoch, stripe }: Group): Promise<StripeRecord | null> {
    if (this.#fork !== this.#core.fork) this.#records.clear();
    this.#fork = this.#core.fork;
    const block = stripeRecordBlock(epoch, stripe);
    const known = this.#records.get(block);
    if (known !== undefined) return known;
    const bytes = block < this.#core.length ? await this.#core.get(block, { wait: false }) : null;
    if (bytes === null) return null;
    let record: StripeRecord;
    try {
      record = decodeStripe(bytes);
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      return null;
    }
    const { data, parityHashes } = record;
    if (data.length !== epoch.data || parityHashes.length !== epoch.parity) return null;
    if (this.#records.size >= limits.host_stripes_cached_max) {
      const [oldest] = this.#records.keys();
      if (oldest !== undefined) this.#records.delete(oldest);
    }
    this.#records.set(block, record);
    return record;
  }

  /** Leaf hashes of blocks [from, to) of a log, for putting back; null for blocks of no stripe. */
  async leaves(
    layout: Layout,
    log: ShardBlock['log'],
    from: number,
    to: number,
  ): Promise<(LeafHash | null)[]> {
    const leaves: (LeafHash | null)[] = [];
    for (let block = from; block < to; block++) {
      const place = shardPlace(layout, { log, block });
      const record = place === undefined ? null : await this.read(place.group);
      leaves.push(place === undefined || record === null ? null : leafOfSlot(record, place.slot));
    }
    return leaves;
  }
}
