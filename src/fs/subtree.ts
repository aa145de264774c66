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
  /** Names on the way to it from the top; of several, the first that was come to. One character per byte. */
  names: readonly string[];
  record: InodeRecord;
  extents: ExtentRecord[];
}

/** An entry that is to be looked at, and the directory that it is in; null for the top. */
interface Pending {
  entry: EntryRecord;
  above: Pending | null;
  name: string;
}

function namesTo(pending: Pending): string[] {
  const names: string[] = [];
  for (let at = pending; at.above !== null; at = at.above) names.push(at.name);
  return names.reverse();
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
  const pending: Pending[] = [{ entry: top, above: null, name: '' }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { ino, type } = next.entry;
    const inode = await readInode(view, ino, options);
    if (inode === null) continue;
    yield { ...inode, names: namesTo(next) };
    if (type !== S_IFDIR) continue;
    const { from, to } = rangeOfInode(RecordKind.entry, ino);
    for await (const { key, value } of view.range(from, to, options)) {
      const entry = soundOrNull(() => decodeEntry(value));
      const name = nameOfKey(key);
      if (entry === null || !isValidName(name) || seen.has(entry.ino)) continue;
      seen.add(entry.ino);
      pending.push({ entry, above: next, name });
    }
  }
}

/** Null when it is not there, or damaged. */
export async function readInode(
  view: TreeView,
  ino: number,
  options?: TreeReadOptions,
): Promise<Omit<SubtreeInode, 'names'> | null> {
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
