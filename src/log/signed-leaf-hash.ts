import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';

/** The hash of a block in the log's signed tree; null when it is not known here. */
export async function signedLeafHash(core: Hypercore, block: number): Promise<Buffer | null> {
  if (block >= core.length) return null;
  const batch = (core.core as CoreContext).state.storage.read();
  const node = batch.getTreeNode(2 * block);
  batch.tryFlush();
  return (await node)?.hash ?? null;
}
