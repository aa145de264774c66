/**
 * The hash tree of a log, in the local store: without a block's way to a root no peer can be served the block, and
 * without the roots nothing can be appended. What is missing is computed from the blocks, and taken only when it leads
 * to what is still known.
 */
import type Hypercore from 'hypercore';
import type { CoreContext, TreeNode } from 'hypercore';
import { sodium } from './sodium.js';

const LEAF = Buffer.of(0);
const PARENT = Buffer.of(1);
const ROOT = Buffer.of(2);
const HASH_BYTES = 32;
const NODES_PER_READ = 4096;

/** Numbers of the nodes that the local blocks need and that cannot be read. */
export async function missingNodes(core: Hypercore): Promise<number[]> {
  const context = core.core as CoreContext;
  const { length } = core;
  const roots = new Set(rootsOf(length));
  const seen = new Uint8Array(Math.ceil((2 * length) / 8));
  const missing: number[] = [];
  let wanted: number[] = [];
  const want = (index: number): void => {
    seen[index >>> 3] = (seen[index >>> 3] as number) | (1 << (index & 7));
    wanted.push(index);
  };
  const isSeen = (index: number): boolean => (((seen[index >>> 3] ?? 0) >>> (index & 7)) & 1) === 1;
  const look = async (): Promise<void> => {
    const nodes = await readNodes(context, wanted);
    for (const [i, node] of nodes.entries()) if (node === null) missing.push(wanted[i] as number);
    wanted = [];
  };
  for (let block = 0; block < length; block++) {
    if (!context.bitfield.get(block)) continue;
    let index = 2 * block;
    for (;;) {
      if (!isSeen(index)) want(index);
      if (roots.has(index)) break;
      const other = siblingOf(index);
      if (isSeen(other)) break;
      want(other);
      index = parentOf(index);
    }
    if (wanted.length >= NODES_PER_READ) await look();
  }
  await look();
  return missing;
}

/**
 * Takes a block out of the local store, and leaves the hash tree as it is: Hypercore's `clear` drops the nodes of the
 * block's left neighbour with its own, and then nobody can be served that one.
 */
export async function removeBlock(core: Hypercore, block: number): Promise<void> {
  const context = core.core as CoreContext;
  const roots = rootsOf(core.length);
  const way: number[] = [2 * block];
  for (let index = 2 * block; !roots.includes(index); index = parentOf(index)) {
    way.push(siblingOf(index), parentOf(index));
  }
  const nodes = await readNodes(context, way);
  await core.clear(block);
  const write = context.state.storage.write();
  for (const node of nodes) if (node !== null) write.putTreeNode(node);
  await write.flush();
}

/** Those parts of stretches of blocks that are here. */
export function* localStretches(
  core: Hypercore,
  stretches: Iterable<readonly [number, number]>,
): Generator<[number, number]> {
  const { bitfield } = core.core as CoreContext;
  for (const [start, end] of stretches) {
    let from = start;
    while (from < end) {
      from = bitfield.findFirst(true, from);
      if (from < 0 || from >= end) break;
      const absent = bitfield.findFirst(false, from);
      const to = absent < 0 ? end : Math.min(end, absent);
      yield [from, to];
      from = to;
    }
  }
}

/** What the blocks of some stretches take, all of which are here; in bytes. */
export async function storedBytes(
  core: Hypercore,
  stretches: Iterable<readonly [number, number]>,
): Promise<number> {
  const context = core.core as CoreContext;
  let bytes = 0;
  let leaves: number[] = [];
  const look = async (): Promise<void> => {
    for (const node of await readNodes(context, leaves)) bytes += node?.size ?? 0;
    leaves = [];
  };
  for (const [start, end] of stretches) {
    for (let block = start; block < end; block++) {
      leaves.push(2 * block);
      if (leaves.length === NODES_PER_READ) await look();
    }
  }
  await look();
  return bytes;
}

/** Computes missing nodes again and stores them. Returns how many could be. */
export async function healNodes(core: Hypercore, missing: readonly number[]): Promise<number> {
  const context = core.core as CoreContext;
  const roots = rootsOf(core.length);
  const healed = new Map<number, TreeNode>();
  for (const index of missing) {
    if (healed.has(index)) continue;
    let top = index;
    while (!roots.includes(top) && (await readNode(context, top)) === null) top = parentOf(top);
    const known = await readNode(context, top);
    const computed = new Map<number, TreeNode>();
    const node = await compute(context, top, computed);
    if (node === null) continue;
    const isRight =
      known === null
        ? await isRootHash(context, roots, computed)
        : known.hash.equals(node.hash) && known.size === node.size;
    if (!isRight) continue;
    for (const each of computed.values()) healed.set(each.index, each);
  }
  if (healed.size > 0) {
    const write = context.state.storage.write();
    for (const node of healed.values()) write.putTreeNode(node);
    await write.flush();
  }
  return missing.filter((index) => healed.has(index)).length;
}

/** A node from what is below it, and what is missing there. */
async function compute(
  context: CoreContext,
  index: number,
  computed: Map<number, TreeNode>,
): Promise<TreeNode | null> {
  if (index % 2 === 0) {
    const block = await readBlock(context, index / 2);
    if (block === null) return null;
    const node = {
      index,
      size: block.length,
      hash: hashOf([LEAF, sizeBytes(block.length), block]),
    };
    computed.set(index, node);
    return node;
  }
  const children: TreeNode[] = [];
  for (const child of childrenOf(index)) {
    const node = (await readNode(context, child)) ?? (await compute(context, child, computed));
    if (node === null) return null;
    children.push(node);
  }
  const [left, right] = children as [TreeNode, TreeNode];
  const size = left.size + right.size;
  const node = { index, size, hash: hashOf([PARENT, sizeBytes(size), left.hash, right.hash]) };
  computed.set(index, node);
  return node;
}

/** The roots of a log of this length, and the hash of them that is signed; null when they cannot be had from what is here. */
export async function rootsFromStore(
  context: CoreContext,
  length: number,
): Promise<{ computed: TreeNode[]; rootHash: Buffer } | null> {
  const computed = new Map<number, TreeNode>();
  const parts: Buffer[] = [ROOT];
  for (const index of rootsOf(length)) {
    const node = (await readNode(context, index)) ?? (await compute(context, index, computed));
    if (node === null) return null;
    parts.push(node.hash, sizeBytes(node.index), sizeBytes(node.size));
  }
  return { computed: [...computed.values()], rootHash: hashOf(parts) };
}

/** Whether the roots, some of them computed, are those that were signed. */
async function isRootHash(
  context: CoreContext,
  roots: readonly number[],
  computed: Map<number, TreeNode>,
): Promise<boolean> {
  const signed = context.header.tree.rootHash;
  const parts: Buffer[] = [ROOT];
  for (const index of roots) {
    const node =
      (await readNode(context, index)) ??
      computed.get(index) ??
      (await compute(context, index, computed));
    if (node === null) return false;
    parts.push(node.hash, sizeBytes(node.index), sizeBytes(node.size));
  }
  return signed !== null && hashOf(parts).equals(signed);
}

async function readNode(context: CoreContext, index: number): Promise<TreeNode | null> {
  return (await readNodes(context, [index]))[0] ?? null;
}

/** Nodes of the local store; null for those that cannot be read. */
export async function readNodes(
  context: CoreContext,
  indexes: readonly number[],
): Promise<(TreeNode | null)[]> {
  if (indexes.length === 0) return [];
  const read = context.state.storage.read();
  const nodes = indexes.map((index) => read.getTreeNode(index).catch(() => null));
  read.tryFlush();
  return await Promise.all(nodes);
}

async function readBlock(context: CoreContext, index: number): Promise<Buffer | null> {
  const read = context.state.storage.read();
  const block = read.getBlock(index).catch(() => null);
  read.tryFlush();
  return await block;
}

function hashOf(parts: readonly Buffer[]): Buffer {
  const hash = Buffer.alloc(HASH_BYTES);
  sodium.crypto_generichash_batch(hash, parts);
  return hash;
}

function sizeBytes(size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(size));
  return bytes;
}

// Nodes are numbered in order: block n is node 2n, and a parent stands between its children.

/** Nodes below it are of as many levels. */
export function levelOf(index: number): number {
  let level = 0;
  for (let rest = index; rest % 2 === 1; rest = (rest - 1) / 2) level++;
  return level;
}

export function parentOf(index: number): number {
  const span = 2 ** levelOf(index);
  return Math.floor(index / (4 * span)) * 4 * span + 2 * span - 1;
}

export function siblingOf(index: number): number {
  return 2 * parentOf(index) - index;
}

export function childrenOf(index: number): [number, number] {
  const half = 2 ** (levelOf(index) - 1);
  return [index - half, index + half];
}

/** The greatest complete trees over a log of this length, from the left. */
export function rootsOf(length: number): number[] {
  const roots: number[] = [];
  let start = 0;
  for (let rest = length; rest > 0; ) {
    const blocks = 2 ** Math.floor(Math.log2(rest));
    roots.push(2 * start + blocks - 1);
    start += blocks;
    rest -= blocks;
  }
  return roots;
}
