import type Hypercore from 'hypercore';
import type { CoreContext, TreeNode } from 'hypercore';

/** The hash of a block in the log's signed tree; null when it is not known here. */
export async function signedLeafHash(core: Hypercore, block: number): Promise<Buffer | null> {
  return (await signedLeaf(core, block))?.hash ?? null;
}

/** As {@link signedLeafHash}, with the bytes of the stored block. */
export async function signedLeaf(core: Hypercore, block: number): Promise<TreeNode | null> {
  if (block >= core.length) return null;
  const batch = (core.core as CoreContext).state.storage.read();
  const node = batch.getTreeNode(2 * block);
  batch.tryFlush();
  return await node;
}
