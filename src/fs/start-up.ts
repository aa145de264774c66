/** What a writer's file system does with what it finds in the tree when it is opened. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContentStore } from '../content/content-store.js';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { inoOfKey, RecordKind, rangeOfInode, rangeOfKind, segmentOfKey } from '../tree/keys.js';
import { decodeSegment, type ExtentRecord } from '../tree/segment-record.js';
import type { Tree } from '../tree/tree.js';
import { withMemory } from './not-in-memory.js';
import type { TreeRemover } from './tree-remover.js';
import type { Volume } from './volume.js';

/**
 * Deletes files that were deleted while open, when the process ended, and goes on with directories that were to be
 * deleted with all that is in them. Throws what reading the tree throws; a damaged one is left.
 */
export async function collectOrphans(
  tree: Tree,
  volume: Volume,
  remover: TreeRemover,
  log: (line: string) => void,
): Promise<void> {
  const { from, to } = rangeOfKind(RecordKind.orphan);
  const keys: Buffer[] = [];
  for await (const { key } of tree.range(from, to)) keys.push(key);
  for (const key of keys) {
    try {
      await collectOrphan(tree, volume, remover, inoOfKey(key));
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      log(`cannot delete what key ${key.toString('hex')} names: ${error.message}`);
    }
  }
}

async function collectOrphan(
  tree: Tree,
  volume: Volume,
  remover: TreeRemover,
  ino: number,
): Promise<void> {
  const { table } = volume;
  const inode = await withMemory(() => table.need(ino), null);
  inode.orphaned = true;
  if (inode.isDirectory && (await hasEntries(tree, ino))) {
    // The record of one that was detached says so; any other may have a name, too.
    if (inode.nlink !== 0) throw new DamagedError(`Directory ${ino} is in use, or was damaged`);
    remover.add(inode);
    return;
  }
  inode.nlink = 0;
  if (inode.isDirectory) inode.size = 0;
  volume.deleteIfUnused(inode);
}

async function hasEntries(tree: Tree, ino: number): Promise<boolean> {
  const { from, to } = rangeOfInode(RecordKind.entry, ino);
  for await (const _ of tree.range(from, to)) return true;
  return false;
}

/**
 * Tells deduplication of the chunks that the tree refers to, until all are known or `isClosed`. For the background: a
 * large drive has many, and who uses it meanwhile goes first. Throws what reading the tree throws.
 */
export async function learnChunks(
  tree: Tree,
  content: ContentStore,
  isClosed: () => boolean,
): Promise<void> {
  const { from, to } = rangeOfKind(RecordKind.segment);
  let learned = 0;
  let restedAtMs = performance.now();
  for await (const { key, value } of tree.range(from, to)) {
    if (performance.now() - restedAtMs > limits.dedup_learn_ms_max) {
      await sleep(limits.dedup_rest_ms_min);
      restedAtMs = performance.now();
    }
    if (isClosed() || learned > limits.dedup_entries_max) return;
    for (const { chunk } of decodedOrEmpty(key, value)) {
      if (chunk === null) continue;
      content.learn(chunk);
      learned++;
    }
  }
}

/** What is wrong with a record is told to who reads the file. */
function decodedOrEmpty(key: Buffer, value: Buffer): ExtentRecord[] {
  try {
    return decodeSegment(inoOfKey(key), segmentOfKey(key), value);
  } catch (error) {
    if (error instanceof DamagedError) return [];
    throw error;
  }
}
