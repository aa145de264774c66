/**
 * The commit record: one key that every commit overwrites. It says what the commit changed, so that a follower need
 * not compare trees, and where the commit before it lies, so that history is a chain.
 */
import { limits } from '../limits.js';
import {
  type CodecState,
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
import { readVersionPoints, type VersionPoint, writeVersionPoint } from './version-point.js';

const COMMIT_VERSION = 2;

/** A skip pointer leads to the newest earlier version that is a multiple of a power of this. */
const SKIP_BASE = 16;
/** 16^13 is the highest power below 2^53. */
const SKIPS_MAX = 13;

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
  /** Earlier versions, ascending, by which one far back is found in few steps; null in a record of version 1. */
  skips: VersionPoint[] | null;
}

/**
 * The skip pointers of the commit after `last`, whose head is `head`: the newest multiples of 16, 256, 4096 … before
 * it. A version of which there are a million before it is found in some 75 steps.
 */
export function skipsAfter(last: CommitRecord, head: Head): VersionPoint[] {
  const { version, timeMs, skips } = last;
  const points = [...(skips ?? []), { version, timeMs, head }];
  const newest = new Set<VersionPoint>();
  for (let power = SKIP_BASE; power <= version; power *= SKIP_BASE) {
    const point = points.findLast((each) => each.version % power === 0);
    if (point !== undefined) newest.add(point);
  }
  return points.filter((point) => newest.has(point));
}

export function encodeCommit(commit: CommitRecord): Buffer {
  return encodeRecord((state) => {
    writeByte(state, commit.skips === null ? 1 : COMMIT_VERSION);
    writeUint(state, commit.version);
    writeUint(state, commit.timeMs);
    writeUint(state, commit.previous.length);
    writeUint(state, commit.previous.fork);
    writeUint(state, commit.nextIno);
    writeUint(state, commit.inodeCount);
    writeUint(state, commit.fileBytes);
    writeByte(state, commit.changes === null ? 0 : 1);
    if (commit.changes !== null) writeChanges(state, commit.changes);
    if (commit.skips === null) return;
    writeUint(state, commit.skips.length);
    for (const point of commit.skips) writeVersionPoint(state, point);
  });
}

function writeChanges(state: CodecState, { inodes, entries }: CommitChanges): void {
  writeUint(state, inodes.length);
  for (const ino of inodes) writeUint(state, ino);
  writeUint(state, entries.length);
  for (const { parent, name } of entries) {
    writeUint(state, parent);
    writeByte(state, name.length);
    writeBytes(state, Buffer.from(name, 'latin1'));
  }
}

/** Throws DamagedError. */
export function decodeCommit(bytes: Buffer): CommitRecord {
  return decodeRecord('the commit record', bytes, (state) => {
    const recordVersion = readVersion(state, COMMIT_VERSION);
    const commit: CommitRecord = {
      version: readUint(state, 'version'),
      timeMs: readUint(state, 'time'),
      previous: { length: readUint(state, 'previous length'), fork: readUint(state, 'fork') },
      nextIno: readUint(state, 'next inode number'),
      inodeCount: readUint(state, 'inode count'),
      fileBytes: readUint(state, 'bytes of files'),
      changes: readByte(state, 'changes') === 0 ? null : readChanges(state),
      skips: null,
    };
    if (recordVersion > 1) commit.skips = readSkips(state, commit);
    return commit;
  });
}

function readChanges(state: CodecState): CommitChanges {
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
  return { inodes, entries };
}

/** They lead back, so that whoever goes by them comes to an end. */
function readSkips(state: CodecState, { version, previous }: CommitRecord): VersionPoint[] {
  const skips = readVersionPoints(state, readUint(state, 'skip pointers', SKIPS_MAX));
  const last = skips[skips.length - 1];
  if (last !== undefined && (last.version >= version || last.head.length > previous.length)) {
    throw new Error(`a skip pointer of version ${version} leads to version ${last.version}`);
  }
  return skips;
}
