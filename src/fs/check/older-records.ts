/** Looks for lost records in older versions of the tree, which the log keeps. */
import type { Head, LostRecords, TreeRecord } from '../../tree/tree.js';
import type { TreeWalker } from '../../tree/tree-walker.js';

/** Versions looked at. */
const HEADS_MAX = 256;

/** What the newest of the older versions have in a stretch that is lost. */
export async function olderRecords(
  walker: TreeWalker,
  head: Head,
  lost: LostRecords,
): Promise<TreeRecord[]> {
  const records: TreeRecord[] = [];
  let missing: LostRecords[] = [lost];
  let heads = 0;
  for await (const older of walker.olderHeads(head)) {
    if (++heads > HEADS_MAX) break;
    const still: LostRecords[] = [];
    for (const each of missing) {
      for await (const found of walker.walk(older, firstOf(each), endOf(each))) {
        if ('error' in found) still.push(found);
        else records.push(found);
      }
    }
    missing = still;
    if (missing.length === 0) break;
  }
  return records;
}

function firstOf({ key, after }: LostRecords): Buffer | null {
  return key ?? (after === null ? null : behind(after));
}

function endOf({ key, before }: LostRecords): Buffer | null {
  return key === null ? before : behind(key);
}

/** The next possible key. */
function behind(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}
