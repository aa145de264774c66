/** The first commit of a drive: the superblock and an empty root directory. */
import { encodeCommit } from '../tree/commit-record.js';
import { encodeInode } from '../tree/inode-record.js';
import { commitKey, inodeKey, superblockKey } from '../tree/keys.js';
import { encodeSuperblock, type Superblock } from '../tree/superblock.js';
import type { TreeChange } from '../tree/tree.js';
import { Inode, S_IFDIR } from './inode.js';

const ROOT_INO = 1;

export interface InitialTreeOptions {
  superblock: Superblock;
  /** Owner of the root directory. */
  uid: number;
  gid: number;
  /** Time of creation in milliseconds since 1970. */
  nowMs: number;
}

/** The records to write, as one batch, into an empty tree. */
export function initialChanges(options: InitialTreeOptions): TreeChange[] {
  const root = new Inode(ROOT_INO);
  root.mode = S_IFDIR | 0o755;
  root.nlink = 2;
  root.uid = options.uid;
  root.gid = options.gid;
  root.parent = ROOT_INO;
  const sec = Math.floor(options.nowMs / 1000);
  const now = { sec, nsec: (options.nowMs - sec * 1000) * 1e6 };
  root.setAtime(now);
  root.modified(now);
  root.btimeSec = now.sec;
  root.btimeNsec = now.nsec;
  const commit = encodeCommit({
    version: 1,
    timeMs: options.nowMs,
    previous: { length: 0, fork: 0 },
    nextIno: ROOT_INO + 1,
    inodeCount: 1,
    fileBytes: 0,
    changes: { inodes: [ROOT_INO], entries: [] },
    skips: options.superblock.formatVersion > 1 ? [] : null,
  });
  return [
    { key: superblockKey, value: encodeSuperblock(options.superblock) },
    { key: commitKey, value: commit },
    { key: inodeKey(ROOT_INO), value: encodeInode(root) },
  ];
}
