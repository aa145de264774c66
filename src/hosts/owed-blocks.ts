/**
 * What a host owes of the content and the parity log under one placement. Stripes that are encoded stay as they are, so
 * each is looked at once; the tail behind them is looked at anew each time.
 */
import { BlockSet } from '../log/block-set.js';
import type { Placement } from './placement.js';
import {
  COPY_GROUP_BLOCKS,
  type Group,
  groupAt,
  groupCount,
  holdersOfGroup,
  isGarbageGroup,
  type Layout,
  type ShardBlock,
} from './stripes.js';

export class OwedBlocks {
  /** Of stripes and groups that do not change any more. */
  readonly content = new BlockSet();
  readonly parity = new BlockSet();
  readonly #host: number;
  readonly #placement: Placement;
  readonly #garbage: BlockSet;
  /** Blocks of the content log that are kept as copies until their stripe is encoded. */
  #tail = new BlockSet();
  #next = { epochIndex: 0, stripe: 0 };

  /** @param host Its place in the plan. */
  constructor(host: number, placement: Placement, garbage: BlockSet) {
    this.#host = host;
    this.#placement = placement;
    this.#garbage = garbage;
  }

  get tail(): BlockSet {
    return this.#tail;
  }

  has({ log, block }: ShardBlock): boolean {
    if (log === 'parity') return this.parity.has(block);
    return this.content.has(block) || this.#tail.has(block);
  }

  /** Looks at what is new in a layout that is the one before, or longer. `pause` is called now and then. */
  async extend(layout: Layout, pause: () => Promise<void> | undefined): Promise<void> {
    const tail = new BlockSet();
    let isFinal = true;
    let { epochIndex, stripe } = this.#next;
    for (; epochIndex < layout.epochs.length; epochIndex++, stripe = 0) {
      const count = groupCount(layout, epochIndex);
      for (; stripe < count; stripe++) {
        const group = groupAt(layout, epochIndex, stripe);
        if (group === undefined) break;
        isFinal &&= isSettled(layout, group);
        if (isFinal) this.#next = { epochIndex, stripe: stripe + 1 };
        this.#add(group, isFinal ? this.content : tail);
        if (stripe % 256 === 255) await pause();
      }
      // Behind the last group of an epoch that may still get more, nothing is final.
      isFinal &&= isClosed(layout, epochIndex);
      if (isFinal) this.#next = { epochIndex: epochIndex + 1, stripe: 0 };
    }
    this.#tail = tail;
  }

  #add(group: Group, content: BlockSet): void {
    if (isGarbageGroup(group, this.#garbage)) return;
    for (const [{ log, block }, hosts] of holdersOfGroup(group, this.#placement)) {
      if (!hosts.includes(this.#host)) continue;
      if (log === 'parity') this.parity.add(block);
      else if (group.encoded || !this.#garbage.has(block)) content.add(block);
    }
  }
}

/** Whether it never changes what is owed of a group, however much is appended. */
function isSettled(layout: Layout, group: Group): boolean {
  if (group.encoded || isClosed(layout, group.epochIndex)) return true;
  return group.epoch.kind === 'copies' && group.to - group.from === COPY_GROUP_BLOCKS;
}

/** Whether an epoch gets neither blocks nor stripes any more. */
function isClosed(layout: Layout, epochIndex: number): boolean {
  const next = layout.epochs[epochIndex + 1];
  return (
    next !== undefined &&
    layout.contentLength >= next.fromBlock &&
    layout.stripeLength >= next.stripeBase
  );
}
