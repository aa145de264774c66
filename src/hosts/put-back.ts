/**
 * Puts blocks into the local store of a log that did not come by replication: rebuilt from a stripe's other shards. They
 * are verified as a block of a peer is, against nodes of the hash tree that are here and that the owner signed. The way
 * up from a block to such a node is computed from the hashes of other blocks, which the stripe log has (docs/format.md).
 */
import type Hypercore from 'hypercore';
import type { CoreContext, TreeNode } from 'hypercore';
import crypto from 'hypercore-crypto';
import { BusyError, DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { childrenOf, levelOf, parentOf, readNodes, rootsOf, siblingOf } from '../log/hash-tree.js';
import { asShoalError } from '../log/store-errors.js';

/** What is known of a block that need not be here. */
export interface LeafHash {
  /** As Hypercore computes it of the stored block. */
  hash: Buffer;
  /** Bytes of the stored block. */
  size: number;
}

/**
 * Gives the leaf hashes of blocks [from, to), at most `limits.put_back_leaves_max`; null for one that is not known. They
 * need not be verified: a wrong one makes the block be refused.
 */
export type LeafHashes = (
  from: number,
  to: number,
) => Promise<readonly (LeafHash | null)[]> | readonly (LeafHash | null)[];

/** A block as it is stored (encrypted). */
export interface BlockToPutBack {
  index: number;
  value: Buffer;
}

/**
 * Puts a block into the local store, if it is not there. A `get` that already waits for the block is not answered; peers
 * are told that it is here.
 *
 * @param core Any session of the log, also a sparse one. Its length must be beyond the block.
 * @param leafHashes Is asked for blocks whose hashes are not in the local hash tree: those of the smallest complete
 * subtree over the block whose top is here. When another block nearby is here, that is not far.
 *
 * Throws DamagedError when block and hashes are not what the owner signed or a hash is not known, BusyError when the log
 * went to another fork meanwhile, StoreError, NoSpaceError, RangeError, and what `leafHashes` throws. Then nothing was
 * changed.
 */
export async function putBack(
  core: Hypercore,
  index: number,
  value: Buffer,
  leafHashes: LeafHashes,
): Promise<void> {
  await putBackMany(core, [{ index, value }], leafHashes);
}

/**
 * Puts many blocks into the local store; hashes that several of them need are looked up once, and the store is written
 * once for some dozens. Returns how many were not there before. Throws as `putBack`: then some of them may be stored, and
 * all of those that are there are right.
 */
export async function putBackMany(
  core: Hypercore,
  blocks: readonly BlockToPutBack[],
  leafHashes: LeafHashes,
): Promise<number> {
  await core.ready();
  const context = core.core as CoreContext;
  for (const { index } of blocks) {
    if (!Number.isInteger(index) || index < 0 || index >= core.length) {
      throw new RangeError(`Cannot put back block ${index} of a log of ${core.length}`);
    }
  }
  const missing = blocks.filter(({ index }) => !context.bitfield.get(index));
  const way = new WayUp(core, leafHashes);
  // The blocks' own hashes are there before any way is computed, so that they help each other.
  for (const { index, value } of missing) way.addLeaf(index, value);
  for (let i = 0; i < missing.length; i += limits.put_back_batch_blocks) {
    const batch = missing.slice(i, i + limits.put_back_batch_blocks);
    const proofs: BlockProof[] = [];
    for (const { index, value } of batch) {
      proofs.push({ index, value, nodes: await way.siblings(index) });
    }
    // Together, so that Hypercore writes them together.
    const results = await Promise.allSettled(
      proofs.map(async (proof) => await verify(core, way.fork, proof)),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
  return missing.length;
}

interface BlockProof {
  index: number;
  value: Buffer;
  nodes: TreeNode[];
}

async function verify(core: Hypercore, fork: number, block: BlockProof): Promise<void> {
  const context = core.core as CoreContext;
  try {
    await context.verify({
      fork,
      block,
      hash: null,
      seek: null,
      upgrade: null,
      manifest: null,
    });
  } catch (error) {
    throw asShoalError(error, `put back block ${block.index}`);
  }
  // What `verify` returns is not right when several blocks are verified at once.
  if (!context.bitfield.get(block.index)) {
    throw new BusyError(
      `Cannot put back block ${block.index}: the log changed meanwhile. Try again`,
    );
  }
}

/** Nodes of the hash tree: those of the local store, and those that are computed from leaf hashes. */
class WayUp {
  /** Of the log when the first node was read. */
  readonly fork: number;
  readonly #context: CoreContext;
  readonly #roots: ReadonlySet<number>;
  readonly #leafHashes: LeafHashes;
  /** Computed, and not verified. */
  readonly #computed = new Map<number, TreeNode>();

  constructor(core: Hypercore, leafHashes: LeafHashes) {
    this.fork = core.fork;
    this.#context = core.core as CoreContext;
    this.#roots = new Set(rootsOf(core.length));
    this.#leafHashes = leafHashes;
  }

  addLeaf(block: number, value: Buffer): void {
    const index = 2 * block;
    this.#computed.set(index, { index, hash: crypto.data(value), size: value.length });
  }

  /** The siblings on the way from a block to the first node above it that is in the local store. */
  async siblings(block: number): Promise<TreeNode[]> {
    const way: number[] = [2 * block];
    for (let index = 2 * block; !this.#roots.has(index); ) {
      index = parentOf(index);
      way.push(index);
    }
    const known = await readNodes(this.#context, way);
    const top = known.findIndex((node) => node !== null);
    if (top < 0) {
      throw new DamagedError(`Cannot put back block ${block}: the log's hash tree has lost a root`);
    }
    const siblings: TreeNode[] = [];
    for (const index of way.slice(0, top)) siblings.push(await this.#node(siblingOf(index)));
    return siblings;
  }

  async #node(index: number): Promise<TreeNode> {
    const computed = this.#computed.get(index);
    if (computed !== undefined) return computed;
    if (2 ** levelOf(index) > limits.put_back_leaves_max) {
      const [stored] = await readNodes(this.#context, [index]);
      if (stored != null) return stored;
      // One half after the other, so that only so many hashes are in memory.
      const [left, right] = childrenOf(index);
      return this.#join(index, await this.#node(left), await this.#node(right));
    }
    const found = new Map<number, TreeNode>();
    const missing = await this.#search(index, found);
    await this.#lookUp(missing, found);
    const node = this.#fold(index, found);
    this.#computed.set(index, node);
    return node;
  }

  /** Descends level by level to the nodes that are known. Returns the leaves that are not, ascending. */
  async #search(top: number, found: Map<number, TreeNode>): Promise<number[]> {
    let wanted = [top];
    for (;;) {
      const unknown = wanted.filter((index) => {
        const computed = this.#computed.get(index);
        if (computed !== undefined) found.set(index, computed);
        return computed === undefined;
      });
      const stored = await readNodes(this.#context, unknown);
      for (const node of stored) if (node !== null) found.set(node.index, node);
      const missing = unknown.filter((index) => !found.has(index));
      // All of a level are equally high.
      if (missing.length === 0 || (missing[0] as number) % 2 === 0) return missing;
      wanted = missing.flatMap(childrenOf);
    }
  }

  /** Asks for leaf hashes, of a stretch of blocks at a time. */
  async #lookUp(leaves: readonly number[], found: Map<number, TreeNode>): Promise<void> {
    for (let start = 0; start < leaves.length; ) {
      const from = (leaves[start] as number) / 2;
      let end = start + 1;
      while (leaves[end] === 2 * (from + end - start)) end++;
      const hashes = await this.#leafHashes(from, from + end - start);
      for (let i = 0; i < end - start; i++) {
        const leaf = hashes[i] ?? null;
        if (leaf === null) {
          throw new DamagedError(
            `Cannot put back a block: the hash of block ${from + i} is not known`,
          );
        }
        const index = 2 * (from + i);
        found.set(index, { index, hash: leaf.hash, size: leaf.size });
      }
      start = end;
    }
  }

  #fold(index: number, found: ReadonlyMap<number, TreeNode>): TreeNode {
    const node = found.get(index);
    if (node !== undefined) return node;
    const [left, right] = childrenOf(index);
    return this.#join(index, this.#fold(left, found), this.#fold(right, found));
  }

  #join(index: number, left: TreeNode, right: TreeNode): TreeNode {
    const node = { index, size: left.size + right.size, hash: crypto.parent(left, right) };
    // Low ones are many, and quickly computed again.
    if (levelOf(index) >= COMPUTED_LEVEL_MIN) this.#computed.set(index, node);
    return node;
  }
}

/** Computed nodes above so many blocks (as a power of two) are kept for other blocks of the same call. */
const COMPUTED_LEVEL_MIN = 3;
