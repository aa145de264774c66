/**
 * Keys of the tree's records: one byte that names the kind, then big-endian numbers, then bytes, so that one range
 * scan lists a directory, an inode's extents or its extended attributes in order. Documented in `docs/format.md`.
 */
import { DamagedError } from '../errors.js';

/** First byte of a key. Never reuse a number. */
export const RecordKind = {
  superblock: 0x00,
  commit: 0x01,
  /** How much of the past is to be kept. Format version 2, as are all that say so. */
  retention: 0x02,
  /** Which versions are kept. Format version 2. */
  collection: 0x03,
  /** What was chosen when the drive was made. Format version 2. */
  settings: 0x04,
  /** By which logs the drive is kept safe on hosts. Format version 2. */
  protection: 0x05,
  inode: 0x10,
  entry: 0x11,
  segment: 0x12,
  xattr: 0x13,
  orphan: 0x14,
  /** A label for a version. Format version 2. */
  snapshot: 0x15,
  /** Blocks that no kept version needs. Format version 2. */
  garbage: 0x16,
} as const;

const INO_BYTES = 8;

function allocate(kind: number, bytes: number): Buffer {
  const key = Buffer.allocUnsafe(1 + bytes);
  key[0] = kind;
  return key;
}

function writeIno(key: Buffer, ino: number): void {
  key.writeUInt32BE(Math.floor(ino / 2 ** 32), 1);
  key.writeUInt32BE(ino >>> 0, 5);
}

/** The first key of another kind. */
function endOfKind(kind: number): Buffer {
  return Buffer.of(kind + 1);
}

export const superblockKey: Buffer = Buffer.of(RecordKind.superblock);
export const commitKey: Buffer = Buffer.of(RecordKind.commit);
export const retentionKey: Buffer = Buffer.of(RecordKind.retention);
export const collectionKey: Buffer = Buffer.of(RecordKind.collection);
export const settingsKey: Buffer = Buffer.of(RecordKind.settings);
export const protectionKey: Buffer = Buffer.of(RecordKind.protection);

export function inodeKey(ino: number): Buffer {
  const key = allocate(RecordKind.inode, INO_BYTES);
  writeIno(key, ino);
  return key;
}

/** `name` holds one character per byte. */
export function entryKey(parent: number, name: string): Buffer {
  const key = allocate(RecordKind.entry, INO_BYTES + name.length);
  writeIno(key, parent);
  key.write(name, 1 + INO_BYTES, 'latin1');
  return key;
}

/** `index` counts stretches of `segment_bytes` from the start of the file. */
export function segmentKey(ino: number, index: number): Buffer {
  const key = allocate(RecordKind.segment, INO_BYTES + 4);
  writeIno(key, ino);
  key.writeUInt32BE(index, 1 + INO_BYTES);
  return key;
}

export function xattrKey(ino: number, name: string): Buffer {
  const key = allocate(RecordKind.xattr, INO_BYTES + name.length);
  writeIno(key, ino);
  key.write(name, 1 + INO_BYTES, 'latin1');
  return key;
}

export function orphanKey(ino: number): Buffer {
  const key = allocate(RecordKind.orphan, INO_BYTES);
  writeIno(key, ino);
  return key;
}

/** `label` must be a valid one. */
export function snapshotKey(label: string): Buffer {
  return Buffer.concat([Buffer.of(RecordKind.snapshot), Buffer.from(label, 'latin1')]);
}

/** Which log a record of garbage is about. */
export const GarbageLog = { tree: 0, chunks: 1 } as const;
export type GarbageLog = (typeof GarbageLog)[keyof typeof GarbageLog];

/** `group` counts groups of 65,536 blocks. */
export function garbageKey(log: GarbageLog, group: number): Buffer {
  const key = allocate(RecordKind.garbage, 5);
  key[1] = log;
  key.writeUInt32BE(group, 2);
  return key;
}

/** Throws DamagedError. */
export function garbageOfKey(key: Buffer): { log: GarbageLog; group: number } {
  const log = key[1];
  if (key.length !== 6 || key[0] !== RecordKind.garbage || (log !== 0 && log !== 1)) {
    throw new DamagedError(`Cannot decode key ${key.toString('hex')}: not a garbage key`);
  }
  return { log, group: key.readUInt32BE(2) };
}

/** Whether a key has an inode number behind its first byte. */
export function isKeyOfInode(key: Buffer): boolean {
  const kind = key[0];
  return kind !== undefined && kind >= RecordKind.inode && kind <= RecordKind.orphan;
}

/** Bounds [from, to) of all keys of one inode and kind. */
export function rangeOfInode(
  kind: typeof RecordKind.entry | typeof RecordKind.segment | typeof RecordKind.xattr,
  ino: number,
): { from: Buffer; to: Buffer } {
  const from = allocate(kind, INO_BYTES);
  writeIno(from, ino);
  const to = allocate(kind, INO_BYTES);
  writeIno(to, ino + 1);
  return { from, to };
}

/** Bounds of all keys of a kind. */
export function rangeOfKind(kind: number): { from: Buffer; to: Buffer } {
  return { from: Buffer.of(kind), to: endOfKind(kind) };
}

/** The inode number in a key of any kind that has one. Throws DamagedError. */
export function inoOfKey(key: Buffer): number {
  if (key.length < 1 + INO_BYTES) {
    throw new DamagedError(`Cannot decode key ${key.toString('hex')}: it is too short`);
  }
  const ino = key.readUInt32BE(1) * 2 ** 32 + key.readUInt32BE(5);
  if (!Number.isSafeInteger(ino) || ino < 1) {
    throw new DamagedError(`Cannot decode key ${key.toString('hex')}: inode number out of range`);
  }
  return ino;
}

/** The name behind the inode number of an entry or xattr key. */
export function nameOfKey(key: Buffer): string {
  return key.toString('latin1', 1 + INO_BYTES);
}

/** The segment number of a segment key. Throws DamagedError. */
export function segmentOfKey(key: Buffer): number {
  if (key.length !== 1 + INO_BYTES + 4) {
    throw new DamagedError(`Cannot decode key ${key.toString('hex')}: not a segment key`);
  }
  return key.readUInt32BE(1 + INO_BYTES);
}
