/** Brings many inodes into memory at once. */
import { DamagedError } from '../errors.js';
import { decodeInode } from '../tree/inode-record.js';
import { inodeKey, inoOfKey } from '../tree/keys.js';
import { Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';

/** Fewer are found faster one by one. */
const INODES_MIN = 8;

/** Records that a scan may go over for each that is wanted. */
const RECORDS_PER_INODE_MAX = 4;

/**
 * Loads those of these inodes that lie close together in the tree with one scan, as those of a directory do whose files
 * were made one after the other; each by itself would be looked for from the root. Loads nothing where they are
 * scattered, and leaves out what is damaged or missing: who needs that finds out why. Throws what reading the tree throws,
 * save DamagedError.
 */
export async function loadNeighbours(table: InodeTable, inos: readonly number[]): Promise<void> {
  if (inos.length < INODES_MIN) return;
  const { view } = table;
  const first = inos.reduce((lowest, ino) => Math.min(lowest, ino));
  const last = inos.reduce((highest, ino) => Math.max(highest, ino));
  if (last - first >= inos.length * RECORDS_PER_INODE_MAX) return;
  const wanted = new Set(inos);
  try {
    for await (const { key, value } of view.range(inodeKey(first), inodeKey(last + 1))) {
      // A follower has moved on.
      if (table.view !== view) return;
      const ino = inoOfKey(key);
      if (!wanted.has(ino) || table.peek(ino) !== undefined) continue;
      const record = decodedOrNull(ino, value);
      if (record !== null) table.add(new Inode(ino, record));
    }
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
  }
}

function decodedOrNull(ino: number, value: Buffer): ReturnType<typeof decodeInode> | null {
  try {
    return decodeInode(ino, value);
  } catch (error) {
    if (error instanceof DamagedError) return null;
    throw error;
  }
}
