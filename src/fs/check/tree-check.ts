/**
 * Checks that the records of a whole tree fit together: every inode has its names, every name its inode, all counts
 * are right, and all content is in the chunk logs. One pass over the tree in the order of its keys; memory grows with
 * the number of inodes, not with the size of files.
 */
import { DamagedError } from '../../errors.js';
import { limits } from '../../limits.js';
import { decodeCollection } from '../../tree/collection-record.js';
import { type CommitRecord, decodeCommit } from '../../tree/commit-record.js';
import { decodeEntry, entryNameOfKey } from '../../tree/entry-record.js';
import { decodeGarbage } from '../../tree/garbage-record.js';
import { decodeInode } from '../../tree/inode-record.js';
import {
  entryKey,
  garbageOfKey,
  inoOfKey,
  isKeyOfInode,
  nameOfKey,
  RecordKind,
  segmentKey,
  segmentOfKey,
  xattrKey,
} from '../../tree/keys.js';
import { decodeProtection } from '../../tree/protection-record.js';
import { decodeRetention } from '../../tree/retention-record.js';
import { decodeSegment, type ExtentRecord } from '../../tree/segment-record.js';
import { decodeSettings } from '../../tree/settings-record.js';
import { decodeSnapshot, labelOfKey } from '../../tree/snapshot-record.js';
import { decodeSuperblock } from '../../tree/superblock.js';
import type { LostRecords, TreeRecord } from '../../tree/tree.js';
import { S_IFMT } from '../inode.js';
import { CheckedInodes } from './checked-inodes.js';
import { LostRanges } from './lost-ranges.js';
import { MissingInodes } from './missing-inodes.js';
import { ProblemList } from './problem-list.js';
import { TreeCounts } from './tree-counts.js';
import type { Fix, TreeReport } from './tree-problem.js';

export interface TreeCheckOptions {
  /** Lengths in blocks of the writers' chunk logs. */
  chunkLogLengths: readonly number[];
  /** Called with the extents of every segment of a file. */
  onExtents?: (ino: number, segment: number, extents: readonly ExtentRecord[]) => void;
}

export class TreeCheck {
  readonly inodes = new CheckedInodes();
  readonly missing = new MissingInodes();
  readonly #options: TreeCheckOptions;
  readonly #problems = new ProblemList();
  readonly #orphans: number[] = [];
  readonly #lost = new LostRanges();
  /** Whether these were there, readable or not. */
  #sawSuperblock = false;
  #sawCommit = false;
  #commit: CommitRecord | null = null;

  constructor(options: TreeCheckOptions) {
    this.#options = options;
  }

  /** The newest commit; null while it was not seen. */
  get commit(): CommitRecord | null {
    return this.#commit;
  }

  /** Records come in the order of their keys, so an inode is known before what belongs to it. */
  add({ key, value }: TreeRecord): void {
    try {
      this.#addKind(key, value);
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      this.#addDamaged(key, error);
    }
  }

  /** Records that are lost; between those that are added before and after. */
  addLost(lost: LostRecords): void {
    this.#lost.add(lost);
    if (!lost.isDamaged) return;
    if (lost.key !== null) this.#addDamaged(lost.key, lost.error);
    else
      this.#problems.report(
        null,
        `Records ${this.#lost.describe(lost)} are lost: ${lost.error.message}`,
      );
  }

  #addDamaged(key: Buffer, error: Error): void {
    const ino = inoOrNull(key);
    const { message } = error;
    const drop: Fix = { kind: 'drop', key };
    switch (key[0]) {
      case RecordKind.superblock:
        this.#sawSuperblock = true;
        this.#problems.report(null, message, { kind: 'superblock' });
        break;
      case RecordKind.commit:
        this.#sawCommit = true;
        this.#problems.report(null, message, { kind: 'commit' });
        break;
      case RecordKind.inode:
        if (ino === null) this.#problems.report(null, message, drop);
        else this.missing.of(ino).reason = message;
        break;
      case RecordKind.segment:
        this.#addDamagedSegment(key, ino, message);
        break;
      case RecordKind.entry:
        this.#problems.reportName(ino, nameOfKey(key), message, drop);
        break;
      default:
        this.#problems.report(ino, message, drop);
    }
  }

  /** It stays: without it the file would read as zeros there. */
  #addDamagedSegment(key: Buffer, ino: number | null, message: string): void {
    const index = segmentOrNull(key);
    if (ino === null || index === null) {
      this.#problems.report(ino, message, { kind: 'drop', key });
      return;
    }
    const row = this.inodes.find(ino);
    const start = index * limits.segment_bytes;
    const end = Math.min(start + limits.segment_bytes, this.#sizeOf(row));
    if (row >= 0) this.#sawSegment(row, index);
    else this.missing.of(ino).segmentsEnd = index + 1;
    this.#lost.addSegment(ino);
    this.#problems.add({ ino, message, range: { start, end }, fix: null });
  }

  #addKind(key: Buffer, value: Buffer): void {
    switch (key[0]) {
      case RecordKind.superblock:
        decodeSuperblock(value);
        this.#sawSuperblock = true;
        break;
      case RecordKind.commit:
        this.#commit = decodeCommit(value);
        this.#sawCommit = true;
        break;
      case RecordKind.inode:
        this.#addInode(inoOfKey(key), value);
        break;
      case RecordKind.entry:
        this.#addEntry(inoOfKey(key), entryNameOfKey(key), value);
        break;
      case RecordKind.segment:
        this.#addSegment(inoOfKey(key), segmentOfKey(key), value);
        break;
      case RecordKind.xattr:
        this.#addXattr(inoOfKey(key), nameOfKey(key), value);
        break;
      case RecordKind.orphan:
        this.#addOrphan(inoOfKey(key));
        break;
      case RecordKind.settings:
        decodeSettings(value);
        break;
      case RecordKind.protection:
        decodeProtection(value);
        break;
      case RecordKind.collection:
        decodeCollection(value);
        break;
      case RecordKind.snapshot:
        labelOfKey(key);
        decodeSnapshot(value);
        break;
      case RecordKind.garbage:
        garbageOfKey(key);
        decodeGarbage(value);
        break;
      case RecordKind.retention:
        decodeRetention(value);
        break;
      default:
        this.#problems.report(null, `Key ${key.toString('hex')} is of no known kind`);
    }
  }

  #addInode(ino: number, value: Buffer): void {
    this.inodes.add(ino, decodeInode(ino, value));
  }

  #addEntry(parent: number, name: string, value: Buffer): void {
    const { inodes } = this;
    const entry = decodeEntry(value);
    const directory = inodes.find(parent);
    if (directory < 0) this.missing.of(parent).entries++;
    else if (!inodes.isDirectory(directory)) {
      const fix: Fix = { kind: 'drop', key: entryKey(parent, name) };
      this.#problems.reportName(parent, name, 'It is in what is no directory', fix);
      return;
    } else inodes.increase(directory, 'entries');
    const row = inodes.find(entry.ino);
    if (row < 0) {
      this.missing.addName(entry.ino, parent, name, entry.type);
      return;
    }
    inodes.increase(row, 'names');
    inodes.set(row, 'namedIn', parent);
    const type = inodes.get(row, 'mode') & S_IFMT;
    if (entry.type !== type) {
      const fix: Fix = { kind: 'retype', parent, name, ino: entry.ino, type };
      this.#problems.reportName(parent, name, `It has another type than inode ${entry.ino}`, fix);
    }
    if (inodes.isDirectory(row) && directory >= 0) inodes.increase(directory, 'subdirectories');
  }

  #addSegment(ino: number, index: number, value: Buffer): void {
    const { inodes } = this;
    const extents = decodeSegment(ino, index, value);
    const row = inodes.find(ino);
    const drop: Fix = { kind: 'drop', key: segmentKey(ino, index) };
    if (row >= 0) {
      if (!inodes.isFile(row)) {
        this.#problems.report(ino, `Segment ${index} belongs to what is no regular file`, drop);
      }
      if (inodes.get(row, 'inlineBytes') > 0) {
        this.#problems.report(ino, `Segment ${index} is there besides inline content`);
      }
      this.#sawSegment(row, index);
    } else this.missing.of(ino).segmentsEnd = index + 1;
    if (extents.length === 0) this.#problems.report(ino, `Segment ${index} has no extent`, drop);
    for (const extent of extents) this.#addExtent(ino, row, index, extent);
    this.#options.onExtents?.(ino, index, extents);
  }

  #addExtent(ino: number, row: number, index: number, extent: ExtentRecord): void {
    const { start, length, chunk } = extent;
    const at = index * limits.segment_bytes + start;
    const dataEnd = chunk === null ? 0 : at + length;
    if (row >= 0) {
      this.inodes.increase(row, 'extentBytes', length);
      const end = Math.max(this.inodes.get(row, 'dataEnd'), dataEnd);
      this.inodes.set(row, 'dataEnd', end);
    } else {
      const missing = this.missing.of(ino);
      missing.extentBytes += length;
      missing.dataEnd = Math.max(missing.dataEnd, dataEnd);
    }
    if (chunk === null) return;
    const blocks = this.#options.chunkLogLengths[chunk.writer];
    if (blocks !== undefined && chunk.block < blocks) return;
    const where = `block ${chunk.block} of writer ${chunk.writer}`;
    const range = { start: at, end: at + length };
    const message = `It refers to ${where}, which is not in the log`;
    this.#problems.add({ ino, range, message, fix: null });
  }

  #sawSegment(row: number, index: number): void {
    this.inodes.set(row, 'segmentsSeen', index + 1);
  }

  #addXattr(ino: number, name: string, value: Buffer): void {
    const what = `Extended attribute ${JSON.stringify(name)}`;
    const drop: Fix = { kind: 'drop', key: xattrKey(ino, name) };
    const row = this.inodes.find(ino);
    if (row < 0) this.missing.addXattr(ino, name);
    else this.inodes.increase(row, 'xattrs');
    if (name.length === 0 || name.length > limits.name_bytes_max || name.includes('\0')) {
      this.#problems.report(ino, `${what} has no usable name`, drop);
    } else if (value.length > limits.xattr_value_bytes_max) {
      this.#problems.report(ino, `${what} has ${value.length} bytes`, drop);
    }
  }

  #addOrphan(ino: number): void {
    this.#orphans.push(ino);
    const row = this.inodes.find(ino);
    if (row < 0) this.missing.of(ino).isOrphan = true;
    else this.inodes.set(row, 'isOrphan', 1);
  }

  finish(): TreeReport {
    const { inodes } = this;
    const fileBytes = new TreeCounts({
      inodes,
      missing: this.missing,
      lost: this.#lost,
      problems: this.#problems,
      commit: this.#commit,
      sawSuperblock: this.#sawSuperblock,
      sawCommit: this.#sawCommit,
      writers: this.#options.chunkLogLengths.length,
    }).check();
    return {
      problems: this.#problems.listed,
      problemCount: this.#problems.count,
      orphans: this.#orphans,
      inodes: inodes.length,
      fileBytes,
      lost: this.#lost.ranges,
      version: this.#commit?.version ?? 0,
    };
  }

  #sizeOf(row: number): number {
    return row < 0 ? limits.file_bytes_max : this.inodes.get(row, 'size');
  }
}

/** For a line about a record that does not decode. */
function inoOrNull(key: Buffer): number | null {
  try {
    return isKeyOfInode(key) ? inoOfKey(key) : null;
  } catch (error) {
    if (error instanceof DamagedError) return null;
    throw error;
  }
}

function segmentOrNull(key: Buffer): number | null {
  try {
    return segmentOfKey(key);
  } catch (error) {
    if (error instanceof DamagedError) return null;
    throw error;
  }
}
