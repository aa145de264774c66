/**
 * Reads a tree from the blocks of its log, past what is damaged. The engine answers with an error for a whole subtree
 * when one block that a node refers to cannot be read; this finds every record that is still there, and says between
 * which keys records are lost. Knows how the engine lays out its blocks, as `hyperbee-tree.ts` knows how to use it.
 */
import {
  type BeeBlock,
  type BeeDelta,
  type BeePointer,
  decodeBlock,
} from 'hyperbee2/lib/encoding.js';
import type Hypercore from 'hypercore';
import { DamagedError, type ShoalError, UnavailableError } from '../errors.js';
import { asShoalError } from '../log/store-errors.js';
import type { Head, LostRecords, TreeRecord } from './tree.js';

const DELTA_SET = 0;
const DELTA_INSERT = 1;
const DELTA_DELETE = 2;
const DELTA_COHORT = 3;

/** Far deeper than a tree of eight keys per node can become. */
const DEPTH_MAX = 64;
/** Decoded blocks of some 4 KiB. */
const BLOCKS_CACHED_MAX = 1024;

/** An element of a node's list: what it points to, or why that is not known. */
type Slot<T> = { value: T } | { error: ShoalError };

/** `cut`: why nothing is known of the list. */
interface Entries<T> {
  list: Slot<T>[];
  cut: ShoalError | null;
}

interface Key {
  key: Buffer;
  value: Slot<Buffer>;
}

/** A place of the walk: a record, or something lost. */
type Step = { key: Key } | { error: ShoalError };

/** Bounds [from, to) of a walk. */
interface Bounds {
  from: Buffer | null;
  to: Buffer | null;
}

/** Reads trees of one log at any head, only from what is on this machine. */
export class TreeWalker {
  readonly #core: Hypercore;
  readonly #blocks = new Map<number, Slot<BeeBlock>>();
  /** Blocks that were needed and are damaged, and why. */
  readonly unreadable = new Map<number, string>();
  /** Whether every block should be here, so that one that is not is lost. */
  readonly #isWhole: boolean;

  /** @param core A session of the tree's log that is ready, encryption set; stays the caller's. */
  constructor(core: Hypercore, options: { isWhole: boolean }) {
    this.#core = core;
    this.#isWhole = options.isWhole;
  }

  /**
   * All records with `from` <= key < `to` at a head in ascending order, and where in between some are lost. Throws
   * DamagedError where the tree has no order, in which case its bytes are somebody's invention.
   */
  async *walk(
    head: Head,
    from: Buffer | null = null,
    to: Buffer | null = null,
  ): AsyncGenerator<TreeRecord | LostRecords> {
    if (head.length === 0) return;
    let last: Buffer | null = null;
    let lost: LostRecords | null = null;
    const root = { core: 0, seq: head.length - 1, offset: 0 };
    for await (const step of this.#node(root, { from, to }, 0)) {
      if ('error' in step) {
        const more: LostRecords = lostAfter(last ?? from, step.error);
        if (lost === null || (more.isDamaged && !lost.isDamaged)) lost = more;
        continue;
      }
      const { key, value } = step.key;
      if (last !== null && Buffer.compare(last, key) >= 0) {
        throw new DamagedError('Cannot read the tree: its keys are out of order');
      }
      if (lost !== null) yield { ...lost, before: key };
      lost = null;
      last = key;
      if ('value' in value) yield { key, value: value.value };
      else yield { ...lostAfter(key, value.error), key, before: key };
    }
    if (lost !== null) yield { ...lost, before: to };
  }

  /** A record at a head; null when there is none. Throws DamagedError, UnavailableError. */
  async get(head: Head, key: Buffer): Promise<Buffer | null> {
    const behind = Buffer.concat([key, Buffer.alloc(1)]);
    for await (const found of this.walk(head, key, behind)) {
      if ('error' in found) throw found.error;
      return found.value;
    }
    return null;
  }

  /** States of the tree before one, newest first, as far as their newest block can be read. */
  async *olderHeads({ length, fork }: Head): AsyncGenerator<Head> {
    for (let seq = length - 2; seq >= 0; seq--) {
      const slot = await this.#read(seq);
      // The last block of a batch holds its root.
      if ('value' in slot && slot.value.batch?.end === 0) yield { length: seq + 1, fork };
    }
  }

  async *#node(pointer: BeePointer, bounds: Bounds, depth: number): AsyncGenerator<Step> {
    let keys: Entries<Key>;
    let children: Entries<BeePointer>;
    try {
      const node = (await this.#block(pointer)).tree?.[pointer.offset];
      if (node === undefined || depth > DEPTH_MAX) throw damagedNode(pointer);
      keys = await this.#keys(node.keys);
      children = await this.#entries(node.children);
      // Every node but an empty tree's root has a key; a walk over others might never end.
      const isEmpty = keys.list.length === 0 && keys.cut === null;
      if (isEmpty && (depth > 0 || children.list.length > 0)) throw damagedNode(pointer);
    } catch (error) {
      yield { error: treeError(error) };
      return;
    }
    const length = Math.max(children.list.length, keys.list.length + 1);
    for (let i = 0; i < length; i++) {
      const before = keys.list[i - 1];
      const key = keys.list[i];
      if (before !== undefined && isAtLeast(before, bounds.to)) return;
      // A child's keys are all below the key behind it.
      const isBelow = key !== undefined && 'value' in key && isBefore(key.value.key, bounds.from);
      const child = children.list[i];
      if (!isBelow) {
        if (children.cut !== null) yield { error: children.cut };
        else if (child !== undefined && 'error' in child) yield { error: child.error };
        else if (child !== undefined) yield* this.#node(child.value, bounds, depth + 1);
      }
      if (keys.cut !== null) yield { error: keys.cut };
      else if (key === undefined) continue;
      else if ('error' in key) yield { error: key.error };
      else if (!isBelow && !isAtLeast(key, bounds.to)) yield { key: key.value };
    }
  }

  /** The keys of a node. */
  async #keys(deltas: readonly BeeDelta[]): Promise<Entries<Key>> {
    const { list, cut } = await this.#entries(deltas);
    const keys: Slot<Key>[] = [];
    for (const slot of list) {
      if ('error' in slot) keys.push(slot);
      else keys.push(await this.#key(slot.value));
    }
    return { list: keys, cut };
  }

  async #key(pointer: BeePointer): Promise<Slot<Key>> {
    try {
      const stored = (await this.#block(pointer)).keys?.[pointer.offset];
      if (stored === undefined) throw damagedNode(pointer);
      const { key, value, valuePointer } = stored;
      if (valuePointer === null) {
        return { value: { key, value: { value: value ?? Buffer.alloc(0) } } };
      }
      return { value: { key, value: await this.#value(valuePointer) } };
    } catch (error) {
      return { error: treeError(error) };
    }
  }

  async #value(pointer: BeePointer & { split: number }): Promise<Slot<Buffer>> {
    try {
      const value = (await this.#block(pointer)).values?.[pointer.offset];
      // The writer never splits a value over blocks.
      if (value === undefined || pointer.split !== 0) throw damagedNode(pointer);
      return { value };
    } catch (error) {
      return { error: treeError(error) };
    }
  }

  /** A list, as its changes since it was last written whole make it. */
  async #entries(deltas: readonly BeeDelta[]): Promise<Entries<BeePointer>> {
    const list: Slot<BeePointer>[] = [];
    for (const delta of deltas) {
      if (delta.type !== DELTA_COHORT) {
        apply(list, delta);
        continue;
      }
      try {
        if (delta.pointer === null) throw new DamagedError('Cannot read the tree: a bad change');
        const cohort = (await this.#block(delta.pointer)).cohorts?.[delta.pointer.offset];
        if (cohort === undefined) throw damagedNode(delta.pointer);
        for (const each of cohort) apply(list, each);
      } catch (error) {
        // All other changes count from positions that are not known now.
        return { list: [], cut: treeError(error) };
      }
    }
    return { list, cut: null };
  }

  async #block({ core, seq }: BeePointer): Promise<BeeBlock> {
    if (core !== 0) throw new DamagedError('Cannot read the tree: a node refers to another log');
    let slot = this.#blocks.get(seq);
    if (slot === undefined) {
      slot = await this.#read(seq);
      if (this.#blocks.size >= BLOCKS_CACHED_MAX) this.#forgetHalf();
    } else this.#blocks.delete(seq);
    // The newest last.
    this.#blocks.set(seq, slot);
    if ('error' in slot) {
      if (slot.error instanceof DamagedError) this.unreadable.set(seq, slot.error.message);
      throw slot.error;
    }
    return slot.value;
  }

  async #read(seq: number): Promise<Slot<BeeBlock>> {
    try {
      const bytes = await this.#core.get(seq, { wait: false });
      if (bytes !== null) return { value: decodeBlock(bytes, seq) };
    } catch (error) {
      const known = asShoalError(error, `read block ${seq} of the tree`);
      return { error: new DamagedError(known.message, { cause: error }) };
    }
    const isLost = this.#isWhole || this.#core.core?.bitfield.get(seq) === true;
    const message = `Cannot read block ${seq} of the tree: it is missing`;
    return { error: isLost ? new DamagedError(message) : new UnavailableError(message) };
  }

  #forgetHalf(): void {
    let count = BLOCKS_CACHED_MAX / 2;
    for (const seq of this.#blocks.keys()) {
      if (count-- === 0) break;
      this.#blocks.delete(seq);
    }
  }
}

function apply(list: Slot<BeePointer>[], { type, index, pointer }: BeeDelta): void {
  if (type === DELTA_DELETE) {
    if (index < list.length) list.splice(index, 1);
    return;
  }
  const slot: Slot<BeePointer> =
    pointer === null
      ? { error: new DamagedError('Cannot read the tree: a pointer is missing') }
      : { value: pointer };
  if (type === DELTA_INSERT && index <= list.length) list.splice(index, 0, slot);
  else if (type === DELTA_SET && index < list.length) list[index] = slot;
}

function lostAfter(after: Buffer | null, error: ShoalError): LostRecords {
  const isDamaged = !(error instanceof UnavailableError);
  return { error, isDamaged, after, before: null, key: null };
}

function isBefore(key: Buffer, from: Buffer | null): boolean {
  return from !== null && Buffer.compare(key, from) < 0;
}

function isAtLeast(key: Slot<Key>, to: Buffer | null): boolean {
  return to !== null && 'value' in key && Buffer.compare(key.value.key, to) >= 0;
}

function damagedNode({ seq }: BeePointer): DamagedError {
  return new DamagedError(`Cannot read block ${seq} of the tree: a node in it does not decode`);
}

function treeError(error: unknown): ShoalError {
  if (error instanceof DamagedError || error instanceof UnavailableError) return error;
  return new DamagedError('Cannot read the tree: a node does not decode', { cause: error });
}
