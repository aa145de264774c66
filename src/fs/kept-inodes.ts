/**
 * Inodes that the drive has no more and that programs on a reading mount still use: as POSIX wants it of what is removed
 * while it is open, they go on without a name, a file with the content it had last, a directory without entries.
 */
import type { ChunkReference } from '../content/content-store.js';
import { DamagedError, UnavailableError } from '../errors.js';
import { isGarbage } from '../tree/garbage-record.js';
import { decodeInode, type InodeRecord } from '../tree/inode-record.js';
import { GarbageLog, inodeKey } from '../tree/keys.js';
import type { TreeReadOptions, TreeView } from '../tree/tree.js';
import { Directory, Inode } from './inode.js';
import type { OlderHead } from './inodes-in-use.js';
import { PosixError } from './posix-error.js';

/**
 * The tree is on this machine, but for what is still on its way or was collected: a reading mount must not stand still for
 * that.
 */
const BRIEFLY = { deadlineMs: 1000 } as const;

/** What `read` resolves to; undefined when that cannot be told here. Throws StoreError. */
export async function readBriefly<T>(
  read: (options: TreeReadOptions) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read(BRIEFLY);
  } catch (error) {
    if (error instanceof DamagedError || error instanceof UnavailableError) return undefined;
    throw error;
  }
}

/** An inode at a head: null when it is not there, undefined when that cannot be told here. Throws StoreError. */
export async function recordAt(
  view: TreeView,
  ino: number,
): Promise<InodeRecord | null | undefined> {
  return await readBriefly(async (options) => {
    const bytes = await view.get(inodeKey(ino), options);
    return bytes === null ? null : decodeInode(ino, bytes);
  });
}

/** Whether the drive has it no more. */
export function isKept(inode: Inode | undefined): boolean {
  return inode !== undefined && inode.kept !== null;
}

/** @param known The inode at `older`, if it is in memory. */
export function keptFile(
  known: Inode | undefined,
  ino: number,
  record: InodeRecord,
  older: OlderHead,
): Inode {
  const inode = known ?? new Inode(ino, record);
  inode.kept = older;
  inode.nlink = 0;
  return inode;
}

/** A directory that was there at `older`; null when it cannot be read there. */
export async function keptDirectory(ino: number, older: OlderHead | null): Promise<Inode | null> {
  if (older === null) return null;
  const record = await recordAt(older.view, ino);
  if (record === null || record === undefined) return null;
  const inode = new Inode(ino, record);
  if (!inode.isDirectory) return null;
  inode.kept = older;
  inode.nlink = 0;
  inode.size = 0;
  inode.xattrCount = 0;
  inode.directory = new Directory(true);
  return inode;
}

/**
 * Throws ESTALE for an inode to which some path may still lead in the kernel's memory, although it does so no more: then
 * the kernel goes by that path anew.
 */
export function requireNoPath({ kept }: Inode): void {
  if (kept !== null && !kept.isTold) throw new PosixError('ESTALE');
}

/** Nobody has what the origin collected, so nobody need be asked. Throws ESTALE. */
export async function requireNotCollected(view: TreeView, chunk: ChunkReference): Promise<void> {
  const isCollected = await readBriefly((options) => {
    return isGarbage(view, GarbageLog.chunks, chunk.block, options);
  });
  // Without the map, peers are asked.
  if (isCollected === true) throw new PosixError('ESTALE');
}
