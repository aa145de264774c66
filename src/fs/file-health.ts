/** Which blocks a file's content lies in, for who knows how safe they are. Never waits for the network. */
import { DamagedError, UnavailableError } from '../errors.js';
import { BlockSet } from '../log/block-set.js';
import { RecordKind, rangeOfInode, segmentOfKey } from '../tree/keys.js';
import { decodeSegment } from '../tree/segment-record.js';
import type { TreeView } from '../tree/tree.js';
import type { Inode } from './inode.js';
import { PosixError } from './posix-error.js';

/**
 * Says for people how safe some blocks of the chunk log are; null where that is not known. `blocks` is null for content
 * that is in the tree. Does not wait for the network.
 */
export type HealthTeller = (blocks: BlockSet | null) => Promise<string | null>;

/** Throws PosixError ENODATA when records of the file are not here, EIO for a damaged one. */
export async function blocksOfFile(view: TreeView, inode: Inode): Promise<BlockSet | null> {
  if (inode.inline !== null) return null;
  const blocks = new BlockSet();
  const { from, to } = rangeOfInode(RecordKind.segment, inode.ino);
  try {
    for await (const { key, value } of view.range(from, to, { localOnly: true })) {
      for (const { chunk } of decodeSegment(inode.ino, segmentOfKey(key), value)) {
        if (chunk !== null) blocks.add(chunk.block);
      }
    }
  } catch (error) {
    if (error instanceof UnavailableError) throw new PosixError('ENODATA');
    if (error instanceof DamagedError) throw new PosixError('EIO');
    throw error;
  }
  return blocks;
}
