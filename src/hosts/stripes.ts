/**
 * Where blocks of the content log stand in stripes, and which blocks of the logs a host is to keep. Pure arithmetic over
 * what the plan log says (docs/format.md).
 */
import type { Placement, StripeName } from './placement.js';

/** Blocks of a copies epoch that are placed together. */
export const COPY_GROUP_BLOCKS = 16;

/** A stretch of the content log that is protected in one way. */
export interface Epoch {
  /** First block of the content log; up to the next epoch's. */
  fromBlock: number;
  kind: 'copies' | 'erasure';
  /** Data shards of a stripe, k; 1 for copies. */
  data: number;
  /** Parity shards of a stripe, m; copies − 1 for copies. */
  parity: number;
  /** Block of the stripe log for the epoch's first stripe. */
  stripeBase: number;
  /** Block of the parity log for the first parity shard of the epoch's first stripe. */
  parityBase: number;
}

/** How far the logs go that a placement is computed for. */
export interface Layout {
  /** Ascending by `fromBlock`. Blocks before the first are not protected. */
  epochs: readonly Epoch[];
  /** Blocks of the content log. */
  contentLength: number;
  /** Blocks of the stripe log: stripes behind it are not encoded yet, and count as tail. */
  stripeLength: number;
}

/** What a group of blocks of the content log is. */
export interface Group extends StripeName {
  epoch: Epoch;
  /** Blocks [from, to) of the content log. */
  from: number;
  to: number;
  /** False for a group that is kept as copies: of a copies epoch, or not encoded (yet). */
  encoded: boolean;
}

/** Blocks of content in one stripe, or that are copied to the same hosts. */
export function groupBlocks(epoch: Epoch): number {
  return epoch.kind === 'copies' ? COPY_GROUP_BLOCKS : epoch.data;
}

/** Shards of a stripe; of a copies epoch, copies. */
export function shardsOf(epoch: Epoch): number {
  return epoch.kind === 'copies' ? epoch.parity + 1 : epoch.data + epoch.parity;
}

/** First block of the content log behind an epoch. */
export function epochEnd(layout: Layout, epochIndex: number): number {
  const next = layout.epochs[epochIndex + 1];
  return Math.min(layout.contentLength, next?.fromBlock ?? layout.contentLength);
}

/** Stripes of an epoch that are in the stripe log; they are its first ones. 0 for copies. */
export function encodedStripes(layout: Layout, epochIndex: number): number {
  const epoch = layout.epochs[epochIndex];
  if (epoch === undefined || epoch.kind === 'copies') return 0;
  const logged =
    Math.min(
      layout.epochs[epochIndex + 1]?.stripeBase ?? layout.stripeLength,
      layout.stripeLength,
    ) - epoch.stripeBase;
  const whole = Math.floor((epochEnd(layout, epochIndex) - epoch.fromBlock) / epoch.data);
  return Math.max(0, Math.min(logged, whole));
}

/** Stripes and groups of an epoch, the last one perhaps not whole. */
export function groupCount(layout: Layout, epochIndex: number): number {
  const epoch = layout.epochs[epochIndex];
  if (epoch === undefined) return 0;
  const blocks = epochEnd(layout, epochIndex) - epoch.fromBlock;
  return Math.max(0, Math.ceil(blocks / groupBlocks(epoch)));
}

/** A stripe or group by its number; undefined for one that is not there. */
export function groupAt(layout: Layout, epochIndex: number, stripe: number): Group | undefined {
  const epoch = layout.epochs[epochIndex];
  if (epoch === undefined || stripe < 0) return undefined;
  const from = epoch.fromBlock + stripe * groupBlocks(epoch);
  const to = Math.min(from + groupBlocks(epoch), epochEnd(layout, epochIndex));
  if (to <= from) return undefined;
  const encoded = stripe < encodedStripes(layout, epochIndex);
  return { epochIndex, stripe, epoch, from, to, encoded };
}

/** What a block of the content log belongs to; undefined before the first epoch and behind the log. */
export function groupOfBlock(layout: Layout, block: number): Group | undefined {
  const { epochs } = layout;
  let low = 0;
  let high = epochs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((epochs[middle] as Epoch).fromBlock <= block) low = middle + 1;
    else high = middle;
  }
  const epoch = epochs[low - 1];
  if (epoch === undefined || block >= layout.contentLength) return undefined;
  return groupAt(layout, low - 1, Math.floor((block - epoch.fromBlock) / groupBlocks(epoch)));
}

/** Block of the stripe log with the record of a stripe. */
export function stripeRecordBlock(epoch: Epoch, stripe: number): number {
  return epoch.stripeBase + stripe;
}

/** Block of the parity log with a parity shard (0 … m − 1) of a stripe. */
export function parityBlock(epoch: Epoch, stripe: number, shard: number): number {
  return epoch.parityBase + stripe * epoch.parity + shard;
}

/** Which stripe, and which of its parity shards, a block of the parity log is; undefined when it is none's. */
export function stripeOfParity(
  layout: Layout,
  block: number,
): { group: Group; shard: number } | undefined {
  for (const [epochIndex, epoch] of layout.epochs.entries()) {
    if (epoch.kind === 'copies' || epoch.parity === 0 || block < epoch.parityBase) continue;
    const stripe = Math.floor((block - epoch.parityBase) / epoch.parity);
    if (stripe >= encodedStripes(layout, epochIndex)) continue;
    const group = groupAt(layout, epochIndex, stripe) as Group;
    return { group, shard: (block - epoch.parityBase) % epoch.parity };
  }
  return undefined;
}

/** A block that a host keeps. */
export interface ShardBlock {
  log: 'content' | 'parity';
  block: number;
}

/** Who keeps each block of a group: a host for each shard of a stripe, some hosts for each copied block. */
export function holdersOfGroup(group: Group, placement: Placement): [ShardBlock, number[]][] {
  const { epoch, stripe } = group;
  const content = (block: number): ShardBlock => ({ log: 'content', block });
  const blocks = Array.from({ length: group.to - group.from }, (_, i) => content(group.from + i));
  if (!group.encoded) {
    const hosts = placement.tailCopies(group, shardsOf(epoch), epoch.parity + 1);
    return blocks.map((block) => [block, hosts]);
  }
  const hosts = placement.place(group, shardsOf(epoch));
  const parity = Array.from(
    { length: epoch.parity },
    (_, shard): ShardBlock => ({ log: 'parity', block: parityBlock(epoch, stripe, shard) }),
  );
  return [...blocks, ...parity].map((block, slot) => {
    const host = hosts[slot] ?? null;
    return [block, host === null ? [] : [host]];
  });
}

/** The hosts that should have a block; none when it is not protected or too few hosts live. */
export function holdersOf(
  layout: Layout,
  placement: Placement,
  { log, block }: ShardBlock,
): number[] {
  const group =
    log === 'content' ? groupOfBlock(layout, block) : stripeOfParity(layout, block)?.group;
  if (group === undefined) return [];
  const holders = holdersOfGroup(group, placement);
  return holders.find(([each]) => each.log === log && each.block === block)?.[1] ?? [];
}

/** All stripes and groups, epoch by epoch, in the order of the content log. */
export function* groups(layout: Layout): Generator<Group> {
  for (const epochIndex of layout.epochs.keys()) {
    const count = groupCount(layout, epochIndex);
    for (let stripe = 0; stripe < count; stripe++) {
      const group = groupAt(layout, epochIndex, stripe);
      if (group !== undefined) yield group;
    }
  }
}

/**
 * What a host is to keep of the content and the parity log, in the order of the stripes.
 *
 * @param garbage Blocks of the content log that are not to be kept: a stripe all of whose blocks are garbage is left out
 * with its parity. Of a group of copies each block for itself.
 */
export function* owedBlocks(
  host: number,
  layout: Layout,
  placement: Placement,
  garbage?: Garbage,
): Generator<ShardBlock> {
  for (const group of groups(layout)) {
    if (garbage !== undefined && isGarbageGroup(group, garbage)) continue;
    for (const [block, hosts] of holdersOfGroup(group, placement)) {
      if (!hosts.includes(host)) continue;
      if (!group.encoded && garbage?.has(block.block) === true) continue;
      yield block;
    }
  }
}

/** Blocks of the content log that are not to be kept. */
export interface Garbage {
  has(block: number): boolean;
}

/** Whether nobody need keep a block: it is garbage, or parity of nothing else. */
export function isGarbage(layout: Layout, { log, block }: ShardBlock, garbage: Garbage): boolean {
  if (log === 'content') return garbage.has(block);
  const group = stripeOfParity(layout, block)?.group;
  return group !== undefined && isGarbageGroup(group, garbage);
}

/** Whether nothing of a group need be kept. */
export function isGarbageGroup(group: Group, garbage: Garbage): boolean {
  for (let block = group.from; block < group.to; block++) if (!garbage.has(block)) return false;
  return true;
}
