/** What a version changed when it changed no file that there is: in words, for `shoal log`. */
import { RecordKind, rangeOfKind, retentionKey } from '../../tree/keys.js';
import { decodeSnapshot, labelOfKey } from '../../tree/snapshot-record.js';
import type { TreeView } from '../../tree/tree.js';

/**
 * Lines without an end. Throws what reading the tree throws.
 *
 * @param deletedFiles How many inodes of files that were deleted before lost their records.
 */
export async function otherChanges(
  before: TreeView,
  after: TreeView,
  deletedFiles: number,
): Promise<string[]> {
  const [then, now] = [await snapshotsOf(before), await snapshotsOf(after)];
  const lines: string[] = [];
  for (const [label, version] of now) {
    if (!then.has(label)) lines.push(`snapshot ${label} of version ${version}`);
  }
  for (const [label, version] of then) {
    if (!now.has(label)) lines.push(`snapshot ${label} of version ${version} deleted`);
  }
  if (!isSame(await before.get(retentionKey), await after.get(retentionKey))) {
    lines.push('how much of the past is kept was set');
  }
  if (deletedFiles > 0) {
    lines.push(`the rest of ${deletedFiles} deleted file${deletedFiles === 1 ? '' : 's'} removed`);
  }
  return lines.length > 0 ? lines : ['no file changed'];
}

async function snapshotsOf(view: TreeView): Promise<Map<string, number>> {
  const { from, to } = rangeOfKind(RecordKind.snapshot);
  const snapshots = new Map<string, number>();
  for await (const { key, value } of view.range(from, to)) {
    snapshots.set(labelOfKey(key), decodeSnapshot(value).version);
  }
  return snapshots;
}

function isSame(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}
