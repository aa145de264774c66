/** Rebuilds blocks that nobody has, from the other shards of their stripes. What comes out is what the owner signed, or nothing. */
import hypercoreCrypto from 'hypercore-crypto';
import { DamagedError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import type { Accounts } from './accounts.js';
import { isOwedWithout, reachesBlock } from './confirmations.js';
import type { Duty } from './duty.js';
import { ErasureCodes } from './erasure.js';
import type { HostedLogs } from './hosted-logs.js';
import type { Placement } from './placement.js';
import { type BlockToPutBack, type LeafHash, putBackMany } from './put-back.js';
import type { RateBudget } from './rate-budget.js';
import { leafOfSlot, type ShardPlace, type StripeReader, shardPlace } from './stripe-reader.js';
import type { StripeRecord } from './stripe-record.js';
import { type Group, parityBlock, type ShardBlock, shardsOf } from './stripes.js';
import type { HostsPeer } from './wire/hosts-peer.js';
import type { HostsWire } from './wire/hosts-wire.js';

export interface RebuilderOptions {
  logs: HostedLogs;
  wire: HostsWire;
  stripes: StripeReader;
  budget: RateBudget;
  accounts: Accounts;
  signal: AbortSignal;
  log: (line: string) => void;
}

/** Counters, since the start. */
export interface RepairFigures {
  /** Blocks that were rebuilt, and their bytes. */
  blocks: number;
  bytes: number;
  /** Bytes of other shards that were fetched for that. */
  fetchedBytes: number;
}

export class Rebuilder {
  readonly figures: RepairFigures = { blocks: 0, bytes: 0, fetchedBytes: 0 };
  readonly #options: RebuilderOptions;
  readonly #codes = new ErasureCodes();

  constructor(options: RebuilderOptions) {
    this.#options = options;
  }

  /** Rebuilds and stores what it can of some blocks of a log. Returns which. Throws what the store throws. */
  async rebuild(duty: Duty, log: ShardBlock['log'], blocks: readonly number[]): Promise<number[]> {
    const { logs, stripes } = this.#options;
    const rebuilt = await Promise.all(blocks.map((block) => this.#rebuildOne(duty, log, block)));
    const sound = rebuilt.filter((block) => block !== null);
    if (sound.length === 0) return [];
    await putBackMany(logs.get(log), sound, (from, to) =>
      stripes.leaves(duty.layout, log, from, to),
    );
    for (const { value } of sound) {
      this.figures.blocks++;
      this.figures.bytes += value.length;
    }
    return sound.map(({ index }) => index);
  }

  async #rebuildOne(
    duty: Duty,
    log: ShardBlock['log'],
    block: number,
  ): Promise<BlockToPutBack | null> {
    const { stripes } = this.#options;
    const place = shardPlace(duty.layout, { log, block });
    if (place === undefined) return null;
    const record = await stripes.read(place.group);
    const leaf = record === null ? null : leafOfSlot(record, place.slot);
    if (record === null || leaf === null) return null;
    const shards = await this.#gather(duty, place, record);
    if (shards === null) return null;
    const { group, slot } = place;
    const [shard] = this.#codes.of(group.epoch).rebuild(shards, record.parityBytes, [slot]);
    const value = (shard as Buffer).subarray(0, leaf.size);
    if (isLeaf(value, leaf)) return { index: block, value };
    // All shards were what the record says, so the owner computed it from others.
    this.#options.log(`Cannot rebuild stripe ${group.stripe}: its record contradicts itself`);
    return null;
  }

  /** k shards of a stripe without one; null when there are fewer. */
  async #gather(
    duty: Duty,
    { group, slot }: ShardPlace,
    record: StripeRecord,
  ): Promise<(Buffer | null)[] | null> {
    const count = shardsOf(group.epoch);
    const shards = Array<Buffer | null>(count).fill(null);
    let needed = group.epoch.data;
    const likely: number[] = [];
    const unlikely: number[] = [];
    for (let each = 0; each < count; each++) {
      if (each === slot) continue;
      shards[each] = await this.#local(group, each, record);
      if (shards[each] !== null) needed--;
      else if (this.#likelyHosts(duty, group, each).length > 0) likely.push(each);
      else unlikely.push(each);
    }
    const ask = async (slots: readonly number[]): Promise<void> => {
      await this.#options.budget.take(slots.length * record.parityBytes, this.#options.signal);
      await Promise.all(
        slots.map(async (each) => {
          shards[each] = await this.#fromHosts(duty, group, each, record);
          if (shards[each] !== null) needed--;
        }),
      );
    };
    // First those whose holders are away: else, with too many away, the others would be fetched again and again in vain.
    while (needed > likely.length) {
      const next = unlikely.shift();
      if (next === undefined) return null;
      await ask([next]);
    }
    // From as many hosts at once as are needed; those who have none make others be asked.
    while (needed > 0) {
      const asked = likely.splice(0, needed);
      if (asked.length < needed) asked.push(...unlikely.splice(0, needed - asked.length));
      if (asked.length < needed) return null;
      await ask(asked);
    }
    return shards;
  }

  async #local(group: Group, slot: number, record: StripeRecord): Promise<Buffer | null> {
    const leaf = leafOfSlot(record, slot);
    // A block that was missing counts as zeros.
    if (leaf === null) return Buffer.alloc(0);
    const { log, block } = shardBlock(group, slot);
    const stored = await this.#options.logs.readBlock(log, block);
    return stored !== null && isLeaf(stored, leaf) ? stored : null;
  }

  async #fromHosts(
    duty: Duty,
    group: Group,
    slot: number,
    record: StripeRecord,
  ): Promise<Buffer | null> {
    const leaf = leafOfSlot(record, slot) as LeafHash;
    const { log, block } = shardBlock(group, slot);
    for (const peer of this.#candidates(duty, group, slot)) {
      try {
        const answer = await peer.readBlock(log, block);
        if (answer.status !== 'here') continue;
        this.figures.fetchedBytes += answer.stored.length;
        this.#options.accounts.move(peer.id, 0, answer.stored.length);
        if (isLeaf(answer.stored, leaf)) return answer.stored;
      } catch (error) {
        // Another one may have it.
        if (!(error instanceof UnavailableError || error instanceof DamagedError)) throw error;
      }
    }
    return null;
  }

  /** Hosts that may have a shard, the likeliest first. */
  #candidates(duty: Duty, group: Group, slot: number): HostsPeer[] {
    const likely = this.#likelyHosts(duty, group, slot);
    // Anybody who has the read key can say that he is a host.
    const { hosts } = duty.view.plan;
    const known = this.#options.wire.hosts.filter((peer) =>
      hosts.some(({ id }) => id.equals(peer.id)),
    );
    const all = new Set([...likely, ...known]);
    return [...all].slice(0, limits.host_shard_askers_max);
  }

  /**
   * Connected hosts that should have a shard: who stands in for another one only once he has confirmed it. What he had before
   * he knew that he stands in says nothing of it.
   */
  #likelyHosts(
    { view, placement, basePlacement, gone, layout }: Duty,
    group: Group,
    slot: number,
  ): HostsPeer[] {
    const shard = shardBlock(group, slot);
    const holder = (placed: Placement): HostsPeer | undefined => {
      const id = view.plan.hosts[placed.place(group, shardsOf(group.epoch))[slot] ?? -1]?.id;
      return id === undefined ? undefined : this.#options.wire.host(id);
    };
    const base = holder(basePlacement);
    const likely = base === undefined ? [] : [base];
    const spare = placement === basePlacement ? undefined : holder(placement);
    const state = spare?.state ?? null;
    const isConfirmed =
      state !== null &&
      isOwedWithout(state.gone, gone) &&
      reachesBlock(state, shard, this.#options.logs.byName, layout);
    if (spare !== undefined && spare !== base && isConfirmed) likely.push(spare);
    return likely;
  }
}

/** The block that a shard of a stripe is. */
export function shardBlock({ epoch, stripe, from }: Group, slot: number): ShardBlock {
  if (slot < epoch.data) return { log: 'content', block: from + slot };
  return { log: 'parity', block: parityBlock(epoch, stripe, slot - epoch.data) };
}

/** Whether a stored block is the one that was signed. */
export function isLeaf(stored: Buffer, { hash, size }: LeafHash): boolean {
  return stored.length === size && hypercoreCrypto.data(stored).equals(hash);
}
