/**
 * Finds records by going down the tree's nodes. The engine does so too, but takes apart whole blocks, one after the other,
 * and makes an object of all that it finds; this looks only at what it needs, and reads what it needs at once. Nodes above
 * the leaves are kept in memory, so that of most look-ups only the lowest one or two levels are read.
 *
 * Blocks are signed by the owner of the drive, who may be malicious, so each node is checked before it is used: a child
 * was written before its parent, which makes circles impossible, keys ascend, and lists are short.
 */
import type Hypercore from 'hypercore';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { GenerationCache } from './generation-cache.js';
import { applyDeltas, type Delta, type PackedBlock, PlaceList } from './packed-block.js';
import { TreeBlocks, type Waiting } from './tree-blocks.js';

/** Entries of one block: more than fit into the largest. */
const OFFSETS_MAX = 2 ** 20;
/** Rounds in which the blocks of a node are found: its own, those of its lists, those of its keys. */
const ROUNDS_MAX = 4;

/** A node of the tree, checked. */
export class TreeNode {
  readonly seq: number;
  readonly offset: number;
  /** One character for each byte: in this form they compare as bytes do, and fastest. */
  readonly keys: string[];
  readonly keyPlaces: PlaceList;
  /** None of a leaf, else one more than keys. */
  readonly children: PlaceList;
  /** Those that the keys are in; null once they may be given up. */
  blocks: PackedBlock[] | null;

  constructor(
    seq: number,
    offset: number,
    keyPlaces: PlaceList,
    children: PlaceList,
    blocks: PackedBlock[],
  ) {
    this.seq = seq;
    this.offset = offset;
    this.keyPlaces = keyPlaces;
    this.children = children;
    this.blocks = blocks;
    this.keys = blocks.map((block, i) => {
      const at = keyPlaces.offsets[i] as number;
      return block.bytes.toString('latin1', block.keyStart(at), block.keyEnd(at));
    });
  }

  get isLeaf(): boolean {
    return this.children.length === 0;
  }

  /** The number of keys below `key`. */
  lowerBound(key: string): number {
    const { keys } = this;
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Where a node is in the log. */
export interface NodePlace {
  seq: number;
  offset: number;
}

/** A record that was found, with the block that it was written in. */
export interface FoundRecord {
  seq: number;
  value: Buffer;
}

/** A node as its block has it. */
export interface WrittenNode {
  node: TreeNode;
  /** As of its block. */
  degree: number;
  deltas: { keys: Delta[]; children: Delta[] };
  /** The blocks that its lists and keys are in. */
  blockAt: (seq: number) => PackedBlock;
}

/** One for each session of a log, whatever trees are opened on it. */
const readers = new WeakMap<Hypercore, TreeReader>();

export class TreeReader {
  readonly blocks: TreeBlocks;
  readonly #nodes = new GenerationCache<TreeNode>(limits.tree_nodes_bytes_max, nodeBytes);

  private constructor(core: Hypercore) {
    this.blocks = new TreeBlocks(core);
    // Blocks of a log never change, except that they may be cut off and others come in their place.
    core.on('truncate', () => {
      this.blocks.clear();
      this.#nodes.clear();
    });
  }

  static of(core: Hypercore): TreeReader {
    let reader = readers.get(core);
    if (reader === undefined) {
      reader = new TreeReader(core);
      readers.set(core, reader);
    }
    return reader;
  }

  /**
   * The record of a key in the tree with this root; null when there is none. Throws DamagedError, UnavailableError,
   * InterruptedError, StoreError.
   */
  async find(root: NodePlace, key: Buffer, waiting: Waiting): Promise<FoundRecord | null> {
    const wanted = key.toString('latin1');
    let node = this.cached(root) ?? (await this.load(root, waiting));
    for (let depth = 0; ; depth++) {
      const at = node.lowerBound(wanted);
      if (node.keys[at] === wanted) {
        const value = this.value(node, at) ?? (await this.loadValue(node, at, waiting));
        return { seq: node.keyPlaces.seqs[at] as number, value };
      }
      if (node.isLeaf) return null;
      const child = childOf(node, at, depth);
      node = this.cached(child) ?? (await this.load(child, waiting));
    }
  }

  /** A node that is in memory. */
  cached({ seq, offset }: NodePlace): TreeNode | undefined {
    return this.#nodes.get(seq * OFFSETS_MAX + offset);
  }

  async load(place: NodePlace, waiting: Waiting): Promise<TreeNode> {
    return (await this.loadAll([place], waiting))[0] as TreeNode;
  }

  /** Brings nodes into memory, with as few reads as possible. Throws like `find`. */
  async loadAll(places: readonly NodePlace[], waiting: Waiting): Promise<TreeNode[]> {
    const held = new Map<number, PackedBlock>();
    const nodes: (TreeNode | null)[] = places.map((place) => this.cached(place) ?? null);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const missing = new Set<number>();
      for (const [i, place] of places.entries()) {
        nodes[i] ??= this.#assemble(place, held, missing);
      }
      if (missing.size === 0) return nodes as TreeNode[];
      await this.blocks.load(missing, held, waiting);
    }
    throw tooManyRounds();
  }

  /** The value of a node's key; undefined when its block is not in memory. */
  value(node: TreeNode, index: number): Buffer | undefined {
    const { keyPlaces } = node;
    const block = node.blocks?.[index] ?? this.blocks.get(keyPlaces.seqs[index] as number);
    if (block === undefined) return undefined;
    return this.#valueIn(block, keyPlaces.offsets[index] as number, NONE_HELD);
  }

  /** As `value`; reads what is missing. Throws like `find`. */
  async loadValue(node: TreeNode, index: number, waiting: Waiting): Promise<Buffer> {
    const { keyPlaces } = node;
    const seq = keyPlaces.seqs[index] as number;
    const offset = keyPlaces.offsets[index] as number;
    const held = new Map<number, PackedBlock>();
    let block = node.blocks?.[index] ?? this.blocks.get(seq);
    if (block === undefined) {
      await this.blocks.load([seq], held, waiting);
      block = held.get(seq) as PackedBlock;
    }
    const value = this.#valueIn(block, offset, held);
    if (value !== undefined) return value;
    await this.blocks.load([block.valuePlace(offset).seq], held, waiting);
    return this.#valueIn(block, offset, held) as Buffer;
  }

  #valueIn(
    block: PackedBlock,
    keyOffset: number,
    held: ReadonlyMap<number, PackedBlock>,
  ): Buffer | undefined {
    const { seq, offset, start, end } = block.valuePlace(keyOffset);
    if (offset < 0) return block.bytes.subarray(start, end);
    const apart = seq === block.seq ? block : (held.get(seq) ?? this.blocks.get(seq));
    return apart?.value(offset);
  }

  /** A node with the changes that it is put together from, for who writes it anew. Throws like `find`. */
  async loadWritten(place: NodePlace, waiting: Waiting): Promise<WrittenNode> {
    const held = new Map<number, PackedBlock>();
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const missing = new Set<number>();
      const node = this.#assemble(place, held, missing);
      if (node !== null) {
        // All of them are held now.
        const blockAt = (seq: number) => held.get(seq) as PackedBlock;
        const { degree } = blockAt(place.seq);
        return { node, degree, deltas: blockAt(place.seq).node(place.offset), blockAt };
      }
      await this.blocks.load(missing, held, waiting);
    }
    throw tooManyRounds();
  }

  /** Null when blocks are missing, which are noted then. The others are added to `held`. */
  #assemble(
    place: NodePlace,
    held: Map<number, PackedBlock>,
    missing: Set<number>,
  ): TreeNode | null {
    const { seq, offset } = place;
    const blockOf = (at: number): PackedBlock | undefined => {
      // A node's parts were written with it or before.
      if (at > seq || at < 0) throw damaged(place, 'a part that was written after it');
      const block = held.get(at) ?? this.blocks.get(at);
      if (block === undefined) missing.add(at);
      else held.set(at, block);
      return block;
    };
    const own = blockOf(seq);
    if (own === undefined) return null;
    const deltas = own.node(offset);
    const keys = new PlaceList();
    const children = new PlaceList();
    const cohortOf = (delta: NodePlace) => blockOf(delta.seq)?.cohort(delta.offset);
    const hasKeys = applyDeltas(keys, deltas.keys, cohortOf);
    const hasChildren = applyDeltas(children, deltas.children, cohortOf);
    if (!hasKeys || !hasChildren) return null;
    const blocks: PackedBlock[] = [];
    for (const at of keys.seqs) {
      const block = blockOf(at);
      if (block !== undefined) blocks.push(block);
    }
    if (blocks.length < keys.length) return null;
    const node = new TreeNode(seq, offset, keys, children, blocks);
    checkNode(node);
    if (!node.isLeaf) this.#nodes.set(seq * OFFSETS_MAX + offset, compacted(node));
    return node;
  }
}

const NONE_HELD: ReadonlyMap<number, PackedBlock> = new Map();

/** A child that is `depth` levels below the root's children. Throws DamagedError. */
export function childOf(node: TreeNode, index: number, depth: number): NodePlace {
  if (depth >= limits.tree_depth_max) throw damaged(node, 'too many nodes above it');
  return {
    seq: node.children.seqs[index] as number,
    offset: node.children.offsets[index] as number,
  };
}

function tooManyRounds(): DamagedError {
  return new DamagedError('Cannot read the tree: a node leads from block to block');
}

/** For the cache: it must not keep whole blocks in memory. */
function compacted(node: TreeNode): TreeNode {
  const copy = Object.create(TreeNode.prototype) as TreeNode;
  return Object.assign(copy, node, { blocks: null });
}

/** About what a node takes in memory. */
function nodeBytes({ keys, children }: TreeNode): number {
  let bytes = 400 + 16 * (keys.length + children.length);
  for (const key of keys) bytes += 32 + key.length;
  return bytes;
}

function checkNode(node: TreeNode): void {
  const { keys, children } = node;
  let last: string | null = null;
  for (const key of keys) {
    if (key.length > limits.record_key_bytes_max) throw damaged(node, 'a key that is none');
    if (last !== null && last >= key) throw damaged(node, 'unsorted keys');
    last = key;
  }
  const { length } = children;
  if (length === 0) return;
  // With a key between any two children, whoever goes over all of them moves on with each.
  if (keys.length === 0 || length !== keys.length + 1) {
    throw damaged(node, `${length} children for ${keys.length} keys`);
  }
  for (let i = 0; i < length; i++) {
    const seq = children.seqs[i] as number;
    const isBelow =
      seq < node.seq || (seq === node.seq && (children.offsets[i] as number) > node.offset);
    const isPlace = seq >= 0 && (children.offsets[i] as number) < OFFSETS_MAX;
    if (!isBelow || !isPlace) throw damaged(node, 'a child that was not written before it');
  }
}

function damaged({ seq, offset }: NodePlace, what: string): DamagedError {
  return new DamagedError(`Cannot read the tree: entry ${offset} of block ${seq} has ${what}`);
}
