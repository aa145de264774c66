/** What lies below a name, as a state of the tree has it: for whoever wants it whole, and not for the kernel. */
import { DamagedError } from '../errors.js';
import { decodeEntry, type EntryRecord, isValidName } from '../tree/entry-record.js';
import { decodeInode, type InodeRecord } from '../tree/inode-record.js';
import {
  entryKey,
  inodeKey,
  nameOfKey,
  RecordKind,
  rangeOfInode,
  segmentOfKey,
} from '../tree/keys.js';
import { decodeSegment, type ExtentRecord } from '../tree/segment-record.js';
import type { TreeReadOptions, TreeView } from '../tree/tree.js';

const ROOT: EntryRecord = { ino: 1, type: 0o040000 };
const S_IFDIR = 0o040000;

/** An inode below a name, with what its content lies in. */
export interface SubtreeInode {
  ino: number;
  record: InodeRecord;
  extents: ExtentRecord[];
}

/**
 * What a path leads to; null when there is nothing. Symbolic links are not followed. Throws what reading the tree throws.
 *
 * @param names One character per byte.
 */
export async function findPath(
  view: TreeView,
  names: readonly string[],
  options?: TreeReadOptions,
): Promise<EntryRecord | null> {
  let entry = ROOT;
  for (const name of names) {
    if (entry.type !== S_IFDIR) return null;
    const bytes = await view.get(entryKey(entry.ino, name), options);
    if (bytes === null) return null;
    entry = decodeEntry(bytes);
  }
  return entry;
}

/**
 * An inode and all below it, each once, and with it all its records. What is damaged is left out.
 * Throws UnavailableError, InterruptedError, StoreError.
 */
export async function* walkSubtree(
  view: TreeView,
  top: EntryRecord,
  options?: TreeReadOptions,
): AsyncGenerator<SubtreeInode> {
  const seen = new Set<number>([top.ino]);
  const pending = [top];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const inode = await readInode(view, next.ino, options);
    if (inode === null) continue;
    yield inode;
    if (next.type !== S_IFDIR) continue;
    const { from, to } = rangeOfInode(RecordKind.entry, next.ino);
    for await (const { key, value } of view.range(from, to, options)) {
      const entry = soundOrNull(() => decodeEntry(value));
      if (entry === null || !isValidName(nameOfKey(key)) || seen.has(entry.ino)) continue;
      seen.add(entry.ino);
      pending.push(entry);
    }
  }
}

/** Null when it is not there, or damaged. */
export async function readInode(
  view: TreeView,
  ino: number,
  options?: TreeReadOptions,
): Promise<SubtreeInode | null> {
  const bytes = await view.get(inodeKey(ino), options);
  const record = bytes === null ? null : soundOrNull(() => decodeInode(ino, bytes));
  if (record === null) return null;
  if (record.xattrCount > 0) {
    const { from, to } = rangeOfInode(RecordKind.xattr, ino);
    for await (const _record of view.range(from, to, options));
  }
  const extents: ExtentRecord[] = [];
  if (record.inline === null && record.segmentsEnd > 0) {
    const { from, to } = rangeOfInode(RecordKind.segment, ino);
    for await (const { key, value } of view.range(from, to, options)) {
      extents.push(...(soundOrNull(() => decodeSegment(ino, segmentOfKey(key), value)) ?? []));
    }
  }
  return { ino, record, extents };
}

function soundOrNull<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DamagedError) return null;
    throw error;
  }
}
