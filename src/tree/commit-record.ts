/**
 * The commit record: one key that every commit overwrites. It says what the commit changed, so that a follower need
 * not compare trees, and where the commit before it lies, so that history is a chain.
 */
import { limits } from '../limits.js';
import {
  decodeRecord,
  encodeRecord,
  readByte,
  readBytes,
  readUint,
  readVersion,
  writeByte,
  writeBytes,
  writeUint,
} from './codec.js';
import { isValidName } from './entry-record.js';
import type { Head } from './tree.js';

const COMMIT_VERSION = 1;

/** What a commit touched. */
export interface CommitChanges {
  /** Inodes whose attributes, content or extended attributes changed, or that are gone. */
  inodes: number[];
  /** Names that were added, removed, or lead elsewhere. */
  entries: { parent: number; name: string }[];
}

export interface CommitRecord {
  /** Counts commits from 1. */
  version: number;
  /** Milliseconds since 1970 by the writer's clock. */
  timeMs: number;
  /** The head before this commit; length 0 for the first. */
  previous: Head;
  /** The next inode number the writer gives. */
  nextIno: number;
  /** Inodes in the drive. */
  inodeCount: number;
  /** Sum of the sizes of all files in bytes. */
  fileBytes: number;
  /** null: too many to list; forget everything. */
  changes: CommitChanges | null;
}

export function encodeCommit(commit: CommitRecord): Buffer {
  return encodeRecord((state) => {
    writeByte(state, COMMIT_VERSION);
    writeUint(state, commit.version);
    writeUint(state, commit.timeMs);
    writeUint(state, commit.previous.length);
    writeUint(state, commit.previous.fork);
    writeUint(state, commit.nextIno);
    writeUint(state, commit.inodeCount);
    writeUint(state, commit.fileBytes);
    writeByte(state, commit.changes === null ? 0 : 1);
    if (commit.changes === null) return;
    writeUint(state, commit.changes.inodes.length);
    for (const ino of commit.changes.inodes) writeUint(state, ino);
    writeUint(state, commit.changes.entries.length);
    for (const { parent, name } of commit.changes.entries) {
      writeUint(state, parent);
      writeByte(state, name.length);
      writeBytes(state, Buffer.from(name, 'latin1'));
    }
  });
}

/** Throws DamagedError. */
export function decodeCommit(bytes: Buffer): CommitRecord {
  return decodeRecord('the commit record', bytes, (state) => {
    readVersion(state, COMMIT_VERSION);
    const commit: CommitRecord = {
      version: readUint(state, 'version'),
      timeMs: readUint(state, 'time'),
      previous: { length: readUint(state, 'previous length'), fork: readUint(state, 'fork') },
      nextIno: readUint(state, 'next inode number'),
      inodeCount: readUint(state, 'inode count'),
      fileBytes: readUint(state, 'bytes of files'),
      changes: null,
    };
    if (readByte(state, 'changes') === 0) return commit;
    const inodes: number[] = [];
    const entries: { parent: number; name: string }[] = [];
    const inodeCount = readUint(state, 'changed inodes', limits.commit_changes_max);
    for (let i = 0; i < inodeCount; i++) inodes.push(readUint(state, 'inode number'));
    const entryCount = readUint(state, 'changed entries', limits.commit_changes_max);
    for (let i = 0; i < entryCount; i++) {
      const parent = readUint(state, 'parent');
      const length = readByte(state, 'name length');
      const name = readBytes(state, 'name', length).toString('latin1');
      if (!isValidName(name)) throw new Error(`${JSON.stringify(name)} is no file name`);
      entries.push({ parent, name });
    }
    commit.changes = { inodes, entries };
    return commit;
  });
}
