/**
 * Finds the blocks of the tree's log that some of its states need. Shared subtrees are visited once, so that a thousand
 * states that differ little cost little more than one. A block is needed when the engine would read it on its way to any
 * record of such a state: also for a key that another took the place of later in the same node. Our own reader does not
 * (`tree-reader.ts`), but programs of before do.
 */
import {
  type BeeBlock,
  type BeeDelta,
  type BeePointer,
  decodeBlock,
} from 'hyperbee2/lib/encoding.js';
import type Hypercore from 'hypercore';
import { DamagedError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import type { BlockSet } from '../log/block-set.js';
import { asShoalError } from '../log/store-errors.js';
import type { Head } from './tree.js';

const DELTA_SET = 0;
const DELTA_INSERT = 1;
const DELTA_DELETE = 2;
const DELTA_COHORT = 3;

/** Decoded blocks of some 4 KiB. */
const BLOCKS_CACHED_MAX = 2048;

export interface TreeMarkerOptions {
  /** The tree's log, ready, with its encryption. */
  core: Hypercore;
  /** Gets the blocks that are needed. */
  needed: BlockSet;
  /** Called once for each record of which `wantsValue` is true. */
  onRecord: (key: Buffer, value: Buffer) => void;
  wantsValue: (key: Buffer) => boolean;
  /** Called often: may wait, so that others get on. */
  pause: () => Promise<void> | undefined;
}

/** Entries of blocks that were seen, in bits: a list of words for each block. */
class SeenEntries {
  readonly #words = new Map<number, number | Uint32Array>();

  /** Whether it was not there before. */
  add({ seq, offset }: BeePointer): boolean {
    const known = this.#words.get(seq);
    if (offset < 31 && (known === undefined || typeof known === 'number')) {
      const bits = known ?? 0;
      this.#words.set(seq, bits | (1 << offset));
      return ((bits >>> offset) & 1) === 0;
    }
    const words = this.#grown(known, (offset >>> 5) + 1);
    this.#words.set(seq, words);
    const word = words[offset >>> 5] as number;
    words[offset >>> 5] = word | (1 << (offset & 31));
    return ((word >>> (offset & 31)) & 1) === 0;
  }

  #grown(known: number | Uint32Array | undefined, length: number): Uint32Array {
    if (typeof known !== 'number' && known !== undefined && known.length >= length) return known;
    const words = new Uint32Array(length);
    if (typeof known === 'number') words[0] = known;
    else if (known !== undefined) words.set(known);
    return words;
  }
}

export class TreeMarker {
  readonly #options: TreeMarkerOptions;
  readonly #blocks = new Map<number, BeeBlock>();
  readonly #seenNodes = new SeenEntries();
  readonly #seenKeys = new SeenEntries();
  /** Blocks read. */
  reads = 0;

  constructor(options: TreeMarkerOptions) {
    this.#options = options;
  }

  /**
   * Marks what a state of the tree needs. Throws DamagedError, and UnavailableError for a block that is not on this
   * machine: then nothing may be taken for garbage.
   */
  async mark({ length }: Head): Promise<void> {
    if (length === 0) return;
    const stack: BeePointer[] = [{ core: 0, seq: length - 1, offset: 0 }];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (!this.#seenNodes.add(checked(node))) continue;
      const block = await this.#read(node);
      const entry = block.tree?.[node.offset];
      if (entry === undefined) throw damaged(node);
      await this.#markKeys(await this.#list(entry.keys, true));
      // Those that were written together lie together.
      stack.push(...(await this.#list(entry.children, false)).reverse());
    }
  }

  /** The entries of a list. `reads`: the engine reads the blocks of all that ever were in it. */
  async #list(deltas: readonly BeeDelta[], reads: boolean): Promise<BeePointer[]> {
    const list: (BeePointer | null)[] = [];
    for (const delta of deltas) {
      if (delta.type !== DELTA_COHORT) {
        this.#apply(list, delta, reads);
        continue;
      }
      if (delta.pointer === null) throw new DamagedError('Cannot read the tree: a bad change');
      const cohort = (await this.#read(delta.pointer)).cohorts?.[delta.pointer.offset];
      if (cohort === undefined) throw damaged(delta.pointer);
      for (const each of cohort) this.#apply(list, each, reads);
    }
    if (list.length > limits.tree_node_entries_max) {
      throw new DamagedError('Cannot read the tree: a node has too many entries');
    }
    if (list.includes(null)) throw new DamagedError('Cannot read the tree: a pointer is missing');
    return list as BeePointer[];
  }

  /** The engine writes no pointer for a key that came to the node and left it again in one batch. */
  #apply(list: (BeePointer | null)[], { type, index, pointer }: BeeDelta, reads: boolean): void {
    if (reads && pointer !== null) this.#options.needed.add(checked(pointer).seq);
    if (type === DELTA_DELETE) {
      if (index < list.length) list.splice(index, 1);
      return;
    }
    if (type === DELTA_INSERT && index <= list.length) list.splice(index, 0, pointer);
    else if (type === DELTA_SET && index < list.length) list[index] = pointer;
  }

  async #markKeys(pointers: readonly BeePointer[]): Promise<void> {
    for (const pointer of pointers) {
      if (!this.#seenKeys.add(pointer)) continue;
      const stored = (await this.#read(pointer)).keys?.[pointer.offset];
      if (stored === undefined) throw damaged(pointer);
      const { key, value, valuePointer } = stored;
      if (valuePointer !== null) {
        if (checked(valuePointer).split !== 0) throw damaged(valuePointer);
        this.#options.needed.add(valuePointer.seq);
      }
      if (!this.#options.wantsValue(key)) continue;
      if (valuePointer === null) {
        this.#options.onRecord(key, value ?? Buffer.alloc(0));
        continue;
      }
      const apart = (await this.#read(valuePointer)).values?.[valuePointer.offset];
      if (apart === undefined) throw damaged(valuePointer);
      this.#options.onRecord(key, apart);
    }
  }

  async #read(pointer: BeePointer): Promise<BeeBlock> {
    const { seq } = checked(pointer);
    this.#options.needed.add(seq);
    let block = this.#blocks.get(seq);
    if (block !== undefined) {
      // The newest last.
      this.#blocks.delete(seq);
      this.#blocks.set(seq, block);
      return block;
    }
    await this.#options.pause();
    block = await this.#fetch(seq);
    if (this.#blocks.size >= BLOCKS_CACHED_MAX) {
      for (const oldest of this.#blocks.keys()) {
        this.#blocks.delete(oldest);
        if (this.#blocks.size < BLOCKS_CACHED_MAX) break;
      }
    }
    this.#blocks.set(seq, block);
    return block;
  }

  async #fetch(seq: number): Promise<BeeBlock> {
    this.reads++;
    let bytes: Buffer | null;
    try {
      bytes = await this.#options.core.get(seq, { wait: false });
    } catch (error) {
      throw asShoalError(error, `read block ${seq} of the tree`);
    }
    if (bytes === null) {
      throw new UnavailableError(`Cannot read block ${seq} of the tree: it is not on this machine`);
    }
    try {
      return decodeBlock(bytes, seq);
    } catch (error) {
      throw new DamagedError(`Cannot read block ${seq} of the tree: it does not decode`, {
        cause: error,
      });
    }
  }
}

function checked<T extends BeePointer>(pointer: T): T {
  const isSound = pointer.core === 0 && pointer.offset <= 0xffff;
  if (!isSound || pointer.seq >= limits.log_blocks_max) throw damaged(pointer);
  return pointer;
}

function damaged({ seq, offset }: BeePointer): DamagedError {
  return new DamagedError(`Cannot read the tree: entry ${offset} of block ${seq} is not sound`);
}
