/**
 * Checks of the tree's structure. Its blocks are signed by the owner, who may be malicious, and the engine believes
 * them: nodes that lead back to each other keep it busy for ever, and a few bytes can stand for billions of entries.
 * Applies to hyperbee2 2.
 */
import type Hyperbee from 'hyperbee2';
import type { BeeBlock, BeeKey, BeeNode, BeeNodePointer } from 'hyperbee2';
import type Hypercore from 'hypercore';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { cacheBlocksOf } from './block-cache.js';

/** First byte of a block of the layout that we write. */
const BLOCK_TYPE = 1;

/** Lets a session of the tree's log give out only blocks that the engine may decode. */
export function checkBlocksOf(core: Hypercore): void {
  const get = core.get.bind(core);
  core.get = async (index, options) => {
    const block = await get(index, options);
    if (block === null || options?.raw === true) return block;
    if (block.length > limits.tree_block_bytes_max) {
      throw new DamagedError(`Cannot read the tree: block ${index} has ${block.length} bytes`);
    }
    if (block[0] !== BLOCK_TYPE) {
      throw new DamagedError(`Cannot read the tree: block ${index} is of no known type`);
    }
    return block;
  };
}

/** Depths of nodes below the root; that of the root is 0. */
const depths = new WeakMap<BeeNodePointer, number>();
/** Nodes that were checked, and at which depth. */
const checkedAt = new WeakMap<BeeNode, number>();
const guardedContexts = new WeakSet<object>();

/** Lets a tree, a view of one and what writes to it go over sound nodes only: it throws DamagedError at others. */
export function checkNodesOf(bee: Hyperbee): Hyperbee {
  const bump = bee.bump.bind(bee);
  bee.bump = (pointer) => {
    const node = bump(pointer);
    // What is being written is in memory only, and our own.
    if (node !== null && !pointer.changed) checkNode(pointer, node);
    return node;
  };
  // What a batch changes it reads through one: the writer before may have been another.
  const snapshot = bee.snapshot.bind(bee);
  bee.snapshot = () => checkNodesOf(snapshot());
  const finalize = bee.finalizeKeyPointer.bind(bee);
  bee.finalizeKeyPointer = async (key, config) => {
    const { valuePointer } = key;
    if (key.value === null && valuePointer !== null) {
      if (valuePointer.split !== 0 || valuePointer.core !== 0) throw damaged(key, 'a value apart');
      if (valuePointer.seq > key.seq) throw damaged(key, 'a value that was written after it');
    }
    return await finalize(key, config);
  };
  guardContext(bee.context);
  return bee;
}

/** All views share it. */
function guardContext(context: Hyperbee['context']): void {
  if (guardedContexts.has(context)) return;
  guardedContexts.add(context);
  const getBlock = context.getBlock.bind(context);
  context.getBlock = async (seq, core, config) => {
    const block = await getBlock(seq, core, config);
    checkBlock(seq, block);
    return block;
  };
  cacheBlocksOf(context);
}

/** Lists in it are put into each other, so that their lengths multiply. */
function checkBlock(seq: number, { tree, cohorts }: BeeBlock): void {
  const lists: (readonly unknown[])[] = [...(cohorts ?? [])];
  for (const { keys, children } of tree ?? []) lists.push(keys, children);
  if (lists.every((list) => list.length <= limits.tree_node_entries_max)) return;
  throw new DamagedError(`Cannot read the tree: a node in block ${seq} has too many entries`);
}

function checkNode(pointer: BeeNodePointer, node: BeeNode): void {
  const depth = depths.get(pointer) ?? 0;
  const before = checkedAt.get(node);
  if (before !== undefined && before >= depth) return;
  if (before === undefined) checkEntries(pointer, node);
  if (depth > limits.tree_depth_max) throw damaged(pointer, 'too many nodes above it');
  for (let i = 0; i < node.children.length; i++) {
    const child = node.children.get(i);
    if (child !== null && (depths.get(child) ?? 0) <= depth) depths.set(child, depth + 1);
  }
  checkedAt.set(node, depth);
}

function checkEntries(pointer: BeeNodePointer, { keys, children }: BeeNode): void {
  if (keys.length > limits.tree_node_entries_max) throw damaged(pointer, 'too many keys');
  let last: Buffer | null = null;
  for (let i = 0; i < keys.length; i++) {
    const key = keys.get(i)?.key ?? null;
    if (key === null || key.length > limits.record_key_bytes_max) {
      throw damaged(pointer, 'a key that is none');
    }
    if (last !== null && Buffer.compare(last, key) >= 0) throw damaged(pointer, 'unsorted keys');
    last = key;
  }
  if (children.length === 0) return;
  // With a key between any two children, whoever goes over all of them moves on with each.
  if (keys.length === 0 || children.length !== keys.length + 1) {
    throw damaged(pointer, `${children.length} children for ${keys.length} keys`);
  }
  for (let i = 0; i < children.length; i++) {
    const child = children.get(i);
    if (child === null || child.core !== 0 || !isBelow(child, pointer)) {
      throw damaged(pointer, 'a child that was not written before it');
    }
  }
}

/** A batch writes nodes from the root down, in blocks from the last to the first: so no node can lead back to itself. */
function isBelow(child: BeeNodePointer, parent: BeeNodePointer): boolean {
  if (child.changed) return true;
  return child.seq < parent.seq || (child.seq === parent.seq && child.offset > parent.offset);
}

function damaged({ seq, offset }: BeeNodePointer | BeeKey, what: string): DamagedError {
  return new DamagedError(`Cannot read the tree: entry ${offset} of block ${seq} has ${what}`);
}
