/** Records of the tree, their keys, and blocks. */
import type { CoreContext } from 'hypercore';
import {
  checkBlock,
  checkRead,
  decompressChunk,
  sliceChunk,
} from '../../../src/content/block-format.js';
import { compress, rawFrame } from '../../../src/content/zstd.js';
import { DamagedError, FormatVersionError } from '../../../src/errors.js';
import { Inode, S_IFDIR, S_IFLNK, S_IFREG } from '../../../src/fs/inode.js';
import { BlockSet, GROUP_BLOCKS } from '../../../src/log/block-set.js';
import { createEncryptionProvider } from '../../../src/log/encryption.js';
import { decodeCollection, encodeCollection } from '../../../src/tree/collection-record.js';
import { decodeCommit, encodeCommit } from '../../../src/tree/commit-record.js';
import {
  decodeEntry,
  encodeEntry,
  entryNameOfKey,
  isValidName,
} from '../../../src/tree/entry-record.js';
import { decodeGarbage, encodeGarbage } from '../../../src/tree/garbage-record.js';
import { decodeInode, encodeInode } from '../../../src/tree/inode-record.js';
import {
  entryKey,
  garbageKey,
  garbageOfKey,
  inodeKey,
  inoOfKey,
  segmentKey,
  segmentOfKey,
  snapshotKey,
  xattrKey,
} from '../../../src/tree/keys.js';
import { decodeProtection, encodeProtection } from '../../../src/tree/protection-record.js';
import {
  DEFAULT_RETENTION,
  decodeRetention,
  encodeRetention,
} from '../../../src/tree/retention-record.js';
import { decodeSegment, encodeSegment } from '../../../src/tree/segment-record.js';
import { decodeSettings, encodeSettings } from '../../../src/tree/settings-record.js';
import {
  decodeSnapshot,
  encodeSnapshot,
  isValidLabel,
  labelOfKey,
} from '../../../src/tree/snapshot-record.js';
import { decodeSuperblock, encodeSuperblock } from '../../../src/tree/superblock.js';
import type { VersionPoint } from '../../../src/tree/version-point.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import { brokenInput } from '../mutate.js';
import { attempt, type Target } from '../target.js';

function inodeSample(mode: number, fields: Partial<Inode>): Buffer {
  return encodeInode(Object.assign(new Inode(5), { mode, nlink: 1 }, fields));
}

/** More runs than a record lists. */
const EVERY_OTHER = Array.from({ length: 3000 }, (_, i): [number, number] => [2 * i, 2 * i + 1]);

function garbageOf(runs: readonly [number, number][]): Buffer {
  const blocks = new BlockSet();
  for (const [start, end] of runs) blocks.addRange(start, end);
  return encodeGarbage(blocks.group(0) as Uint8Array);
}

const samples = {
  entry: [encodeEntry({ ino: 7, type: S_IFREG }), encodeEntry({ ino: 2 ** 41, type: S_IFDIR })],
  inode: [
    inodeSample(S_IFREG | 0o644, { size: 5, inline: Buffer.from('hello') }),
    inodeSample(S_IFREG, { size: 2 ** 40, segmentsEnd: 2 ** 20, mtimeSec: -5, xattrCount: 3 }),
    inodeSample(S_IFDIR | 0o755, { parent: 1, size: 3 }),
    inodeSample(S_IFLNK | 0o777, { size: 6, inline: Buffer.from('target') }),
  ],
  segment: [
    encodeSegment([]),
    encodeSegment([
      { start: 0, length: 1000, chunk: null, skip: 0 },
      { start: 2000, length: 10, chunk: chunkAt(70_000), skip: 90 },
      { start: 4096, length: 100, chunk: chunkAt(3), skip: 0 },
    ]),
    encodeSegment([
      { start: 0, length: 100, chunk: { ...chunkAt(5), compressedBytes: 40 }, skip: 0 },
      { start: 200, length: 10, chunk: { ...chunkAt(6), compressedBytes: 0 }, skip: 90 },
    ]),
  ],
  commit: [
    encodeCommit({ ...commitFields(), changes: null, skips: null }),
    encodeCommit({
      ...commitFields(),
      changes: { inodes: [1, 2 ** 41], entries: [{ parent: 1, name: 'name' }] },
      skips: [pointAt(16), pointAt(32)],
    }),
  ],
  collection: [
    encodeCollection({ contiguous: 1, kept: [] }),
    encodeCollection({ contiguous: 100, kept: [pointAt(3), pointAt(70), pointAt(99)] }),
  ],
  garbage: [
    garbageOf([
      [0, 5],
      [100, 65_536],
    ]),
    garbageOf(EVERY_OTHER),
  ],
  retention: [
    encodeRetention(DEFAULT_RETENTION),
    encodeRetention({ keepAll: true, keepMs: 0, keepDailyMs: 1, keepSnapshots: false }),
  ],
  snapshot: [encodeSnapshot(pointAt(1)), encodeSnapshot(pointAt(70_000))],
  superblock: [1, 2].map((formatVersion) =>
    encodeSuperblock({
      formatVersion,
      driveId: Buffer.alloc(16, 1),
      chunker: { minBytes: 16 << 10, averageBytes: 64 << 10, maxBytes: 256 << 10 },
      writers: [{ treeKey: Buffer.alloc(32, 2), contentKey: Buffer.alloc(32, 3) }],
    }),
  ),
  keys: [
    inodeKey(9),
    entryKey(1, 'name'),
    entryKey(2 ** 41, '..'),
    segmentKey(7, 3),
    xattrKey(7, 'user.a'),
    snapshotKey('label-1'),
    garbageKey(1, 7),
  ],
  block: [Buffer.concat([Buffer.of(1), Buffer.alloc(100, 5)])],
  settings: [encodeSettings({ compression: 'zstd' }), encodeSettings({ compression: 'none' })],
  protection: [
    encodeProtection({
      planKey: Buffer.alloc(32, 1),
      stripeKey: Buffer.alloc(32, 2),
      parityKey: Buffer.alloc(32, 3),
    }),
  ],
  compressed: [
    Buffer.concat([Buffer.of(1), compress(Buffer.alloc(1000, 'some words '))]),
    Buffer.concat([Buffer.of(1), rawFrame(Buffer.alloc(1000, 5))]),
  ],
};

function chunkAt(block: number) {
  return { writer: 0, block, offset: 1, length: 100, hash: Buffer.alloc(16, 9) };
}

function pointAt(version: number): VersionPoint {
  return { version, timeMs: 1e12 + version, head: { length: 10 * version, fork: 0 } };
}

function commitFields() {
  const previous = { length: 900, fork: 0 };
  return { version: 40, timeMs: 1e12, previous, nextIno: 70, inodeCount: 60, fileBytes: 2 ** 40 };
}

function target(
  name: string,
  valid: readonly Buffer[],
  decode: (bytes: Buffer, random: SeededRandom) => unknown,
): Target {
  const run = (random: SeededRandom) => {
    const bytes = brokenInput(random, valid);
    return attempt(() => decode(bytes, random), [DamagedError, FormatVersionError]);
  };
  return { name, rarity: 1, run };
}

const encryption = createEncryptionProvider(Buffer.alloc(32, 4));
const core = { key: Buffer.alloc(32, 5) } as CoreContext;
const sealed = Buffer.alloc(141);
encryption.seal(samples.block[0] as Buffer, sealed, core);

/** What a record must be when it was taken. */
function must(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`Taken, although ${what}`);
}

/** Versions that lead back and come to an end. */
function mustAscend(points: readonly VersionPoint[], end = Number.POSITIVE_INFINITY): void {
  let before = { version: 0, head: { length: 0, fork: 0 } };
  for (const point of points) {
    must(point.version > before.version, 'versions are out of order');
    must(point.head.length > before.head.length, 'heads are out of order');
    must(point.version < end, 'a version is not before the one that refers to it');
    before = point;
  }
}

export const recordTargets: readonly Target[] = [
  target('entry record', samples.entry, (bytes) => {
    const { ino } = decodeEntry(bytes);
    must(Number.isSafeInteger(ino) && ino >= 1, 'the inode number is none');
  }),
  target('inode record', samples.inode, (bytes) => {
    const { size, inline } = decodeInode(5, bytes);
    must(size >= 0 && size <= 2 ** 50, 'the size is none');
    must(inline === null || inline.length === size, 'the content has another length');
  }),
  target('segment record', samples.segment, (bytes) => {
    let end = 0;
    for (const { start, length, chunk, skip } of decodeSegment(5, 0, bytes)) {
      must(start >= end && length > 0, 'extents overlap');
      end = start + length;
      must(end <= 1 << 20, 'an extent leaves the segment');
      must(chunk === null || skip + length <= chunk.length, 'an extent leaves its chunk');
    }
  }),
  target('commit record', samples.commit, (bytes) => {
    const { version, changes, skips } = decodeCommit(bytes);
    for (const { name } of changes?.entries ?? []) must(isValidName(name), 'a name is none');
    mustAscend(skips ?? [], version);
  }),
  target('collection record', samples.collection, (bytes) => {
    const { contiguous, kept } = decodeCollection(bytes);
    must(contiguous >= 1, 'no version is kept');
    mustAscend(kept, contiguous);
  }),
  target('garbage record', samples.garbage, (bytes) =>
    must(decodeGarbage(bytes).length === GROUP_BLOCKS / 8, 'the group has another size'),
  ),
  target('retention record', samples.retention, (bytes) => {
    const { keepMs, keepDailyMs } = decodeRetention(bytes);
    must(Number.isSafeInteger(keepMs) && Number.isSafeInteger(keepDailyMs), 'a time is none');
  }),
  target('snapshot record', samples.snapshot, (bytes) => mustAscend([decodeSnapshot(bytes)])),
  target('superblock', samples.superblock, (bytes) => decodeSuperblock(bytes)),
  target('keys', samples.keys, (bytes) => {
    if (bytes[0] === 0x15) must(isValidLabel(labelOfKey(bytes)), 'the label is none');
    if (bytes[0] === 0x16) must(garbageOfKey(bytes).group < 2 ** 32, 'the group is none');
    if (bytes[0] === 0x15 || bytes[0] === 0x16) return;
    const ino = inoOfKey(bytes);
    must(Number.isSafeInteger(ino) && ino >= 1, 'the inode number is none');
    if (bytes[0] === 0x11) must(isValidName(entryNameOfKey(bytes)), 'the name is none');
    if (bytes[0] === 0x12) must(segmentOfKey(bytes) < 2 ** 32, 'the segment is none');
  }),
  target('block', samples.block, (bytes, random) => {
    const chunk = { ...chunkAt(3), offset: random.below(150), length: random.below(150) };
    checkRead(chunk, 0, chunk.length);
    checkBlock(bytes, 3);
    must(sliceChunk(bytes, chunk, 0, chunk.length).length === chunk.length, 'bytes are missing');
  }),
  target('compressed chunk', samples.compressed, (bytes) => {
    const chunk = { ...chunkAt(3), length: 1000, compressedBytes: 0 };
    must(decompressChunk(bytes, chunk).length === 1000, 'bytes are missing');
  }),
  target('settings record', samples.settings, (bytes) => decodeSettings(bytes)),
  target('protection record', samples.protection, (bytes) => decodeProtection(bytes)),
  target('sealed block', [sealed], (bytes, random) => {
    encryption.open(random.below(9), bytes, core, random.below(2) === 0);
    must(bytes.equals(sealed) || bytes.length === 141, 'it is not what was sealed');
  }),
];
