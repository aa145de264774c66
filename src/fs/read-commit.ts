import { type CommitRecord, decodeCommit } from '../tree/commit-record.js';
import { commitKey } from '../tree/keys.js';
import type { TreeReadOptions, TreeView } from '../tree/tree.js';

/** Throws DamagedError when the tree has no commit record. */
export async function readCommit(view: TreeView, options?: TreeReadOptions): Promise<CommitRecord> {
  const bytes = await view.get(commitKey, options);
  return decodeCommit(bytes ?? Buffer.alloc(0));
}
