/** A log of ours whose head is lost in the store: how long it is, and what of it was signed. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import { DamagedError } from '../errors.js';
import { page_blocks, page_bytes, pageOf, setBit } from './bitfield-pages.js';
import { isLogEncryption } from './encryption.js';
import { rootsFromStore } from './hash-tree.js';
import { asShoalError } from './store-errors.js';

const LOOK_MAX = 16;

/**
 * Writes the head of a log anew, if there is none, of the blocks and hashes that are in the store. It lacks the signature:
 * open the store again, and give the log a new fork, which signs it.
 *
 * @param core Ready; it seems to be empty.
 * @param fork What the log had, as far as is known.
 * @param lengthMin It was at least so long. Throws DamagedError when it is shorter now, or its roots are lost.
 * @param beforeWrite Called when there is something to be done, before anything is.
 */
export async function restoreHead(
  core: Hypercore,
  fork: number,
  lengthMin: number,
  beforeWrite: () => Promise<void>,
): Promise<void> {
  const context = core.core as CoreContext;
  if (core.length > 0) return;
  const length = await lengthInStore(context);
  if (length < lengthMin) {
    throw new DamagedError(
      `Cannot make a log's head anew: its newest ${lengthMin - length} blocks are lost, too`,
    );
  }
  if (length === 0) return;
  await requireOwnBlocks(core);
  const roots = await rootsFromStore(context, length);
  if (roots === null) {
    throw new DamagedError(
      "Cannot make a log's head anew: the roots of its hash tree are lost, too",
    );
  }
  await beforeWrite();
  const write = context.state.storage.write();
  for (const node of roots.computed) write.putTreeNode(node);
  for (const [page, bits] of await missingPages(context, length)) write.putBitfieldPage(page, bits);
  const { rootHash } = roots;
  write.setHead({ fork, length, rootHash, signature: null, timestamp: 0 });
  await write.flush();
}

/** Each log has an encryption of its own, so this tells when one was taken for the other. */
async function requireOwnBlocks(core: Hypercore): Promise<void> {
  const { encryption, core: context } = core;
  if (!isLogEncryption(encryption) || context === null) throw new Error('It has no encryption');
  let looked = 0;
  for await (const { index } of context.state.storage.createBlockStream({ limit: LOOK_MAX })) {
    looked++;
    try {
      encryption.open(index, await storedBlock(context, index), context, true);
      return;
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
    }
  }
  if (looked === 0) return;
  throw new DamagedError("Cannot make a log's head anew: what is in the store is not this log's");
}

/** Throws DamagedError, and what the store throws. */
async function storedBlock({ state }: CoreContext, index: number): Promise<Buffer> {
  const read = state.storage.read();
  const block = read.getBlock(index);
  read.tryFlush();
  const stored = await block.catch((error: unknown) => {
    throw asShoalError(error, `read block ${index}`);
  });
  if (stored === null) throw new DamagedError(`Cannot read block ${index}: it is missing`);
  return stored;
}

/** By the last leaf of its hash tree, which stays when a block is removed, or the last block. */
async function lengthInStore({ state }: CoreContext): Promise<number> {
  const last = { reverse: true, limit: 1 };
  let length = 0;
  for await (const { index } of state.storage.createTreeNodeStream(last)) {
    length = Math.max(length, Math.floor(index / 2) + 1);
  }
  for await (const { index } of state.storage.createBlockStream(last)) {
    length = Math.max(length, index + 1);
  }
  return length;
}

/** Pages of the map of what is here that are lost. */
async function missingPages(
  { state }: CoreContext,
  length: number,
): Promise<ReadonlyMap<number, Buffer>> {
  const missing = new Map<number, Buffer>();
  const read = state.storage.read();
  const pages = Array.from({ length: Math.ceil(length / page_blocks) }, (_, page) =>
    read.getBitfieldPage(page),
  );
  read.tryFlush();
  for (const [page, bits] of (await Promise.all(pages)).entries()) {
    if (bits === null) missing.set(page, Buffer.alloc(page_bytes));
  }
  if (missing.size === 0) return missing;
  for await (const { index } of state.storage.createBlockStream()) {
    const bits = missing.get(pageOf(index));
    if (bits !== undefined) setBit(bits, index);
  }
  return missing;
}
