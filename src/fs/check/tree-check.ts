/**
 * Checks that the records of a whole tree fit together: every inode has its names, every name its inode, all counts
 * are right, and all content is in the chunk logs. One pass over the tree in the order of its keys; memory grows with
 * the number of inodes, not with the size of files.
 */
import { DamagedError } from '../../errors.js';
import { limits } from '../../limits.js';
import { type CommitRecord, decodeCommit } from '../../tree/commit-record.js';
import { decodeEntry, entryNameOfKey } from '../../tree/entry-record.js';
import { decodeInode } from '../../tree/inode-record.js';
import {
  commitKey,
  entryKey,
  inodeKey,
  inoOfKey,
  nameOfKey,
  orphanKey,
  RecordKind,
  rangeOfInode,
  rangeOfKind,
  segmentKey,
  segmentOfKey,
  superblockKey,
  xattrKey,
} from '../../tree/keys.js';
import { decodeSegment, type ExtentRecord } from '../../tree/segment-record.js';
import { decodeSuperblock } from '../../tree/superblock.js';
import type { LostRecords, TreeRecord } from '../../tree/tree.js';
import { S_IFMT } from '../inode.js';
import { CheckedInodes } from './checked-inodes.js';
import { LostRanges } from './lost-ranges.js';
import { type MissingInode, MissingInodes, typeOfRest } from './missing-inodes.js';
import type { Fix, TreeProblem, TreeReport } from './tree-problem.js';

const ROOT_INO = 1;
/** Inode numbers carry the writer in the bits above these. */
const INO_COUNTER_BITS = 40;

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
  readonly #problems: TreeProblem[] = [];
  #problemCount = 0;
  readonly #orphans: number[] = [];
  readonly #lost = new LostRanges();
  /** Rows of directories whose way to the root was looked at. */
  readonly #placed = new Set<number>();
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
    else this.#report(null, `Records ${this.#lost.describe(lost)} are lost: ${lost.error.message}`);
  }

  #addDamaged(key: Buffer, error: Error): void {
    const ino = inoOrNull(key);
    const { message } = error;
    const drop: Fix = { kind: 'drop', key };
    switch (key[0]) {
      case RecordKind.superblock:
        this.#sawSuperblock = true;
        this.#report(null, message, { kind: 'superblock' });
        break;
      case RecordKind.commit:
        this.#sawCommit = true;
        this.#report(null, message, { kind: 'commit' });
        break;
      case RecordKind.inode:
        if (ino === null) this.#report(null, message, drop);
        else this.missing.of(ino).reason = message;
        break;
      case RecordKind.segment:
        this.#addDamagedSegment(key, ino, message);
        break;
      case RecordKind.entry:
        this.#reportName(ino, nameOfKey(key), message, drop);
        break;
      default:
        this.#report(ino, message, drop);
    }
  }

  /** It stays: without it the file would read as zeros there. */
  #addDamagedSegment(key: Buffer, ino: number | null, message: string): void {
    const index = segmentOrNull(key);
    if (ino === null || index === null) {
      this.#report(ino, message, { kind: 'drop', key });
      return;
    }
    const row = this.inodes.find(ino);
    const start = index * limits.segment_bytes;
    const end = Math.min(start + limits.segment_bytes, this.#sizeOf(row));
    if (row >= 0) this.#sawSegment(row, index);
    else this.missing.of(ino).segmentsEnd = index + 1;
    this.#lost.addSegment(ino);
    this.#add({ ino, message, range: { start, end }, fix: null });
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
      default:
        this.#report(null, `Key ${key.toString('hex')} is of no known kind`);
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
      this.#reportName(parent, name, 'It is in what is no directory', fix);
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
      this.#reportName(parent, name, `It has another type than inode ${entry.ino}`, fix);
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
        this.#report(ino, `Segment ${index} belongs to what is no regular file`, drop);
      }
      if (inodes.get(row, 'inlineBytes') > 0) {
        this.#report(ino, `Segment ${index} is there besides inline content`);
      }
      this.#sawSegment(row, index);
    } else this.missing.of(ino).segmentsEnd = index + 1;
    if (extents.length === 0) this.#report(ino, `Segment ${index} has no extent`, drop);
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
    this.#add({ ino, range, message, fix: null });
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
      this.#report(ino, `${what} has no usable name`, drop);
    } else if (value.length > limits.xattr_value_bytes_max) {
      this.#report(ino, `${what} has ${value.length} bytes`, drop);
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
    let fileBytes = 0;
    for (const [ino, missing] of this.missing) this.#finishMissing(ino, missing);
    for (let row = 0; row < inodes.length; row++) {
      this.#finishInode(inodes.get(row, 'ino'), row);
      if (inodes.isFile(row)) fileBytes += inodes.get(row, 'size');
    }
    this.#finishCommit(fileBytes);
    return {
      problems: this.#problems,
      problemCount: this.#problemCount,
      orphans: this.#orphans,
      inodes: inodes.length,
      fileBytes,
      lost: this.#lost.ranges,
      version: this.#commit?.version ?? 0,
    };
  }

  #finishMissing(ino: number, missing: MissingInode): void {
    const key = inodeKey(ino);
    const lost = this.#lost.at(key);
    if (missing.reason === null && lost !== null) {
      if (!lost.isDamaged) {
        missing.isAbsent = true;
        return;
      }
      missing.reason = lost.error.message;
    }
    const reason = missing.reason ?? 'Its inode record is missing';
    if (missing.isOrphan) {
      const fix: Fix = { kind: 'drop', key: orphanKey(ino) };
      this.#report(ino, 'There is an orphan record and no inode', fix);
    }
    if (typeOfRest(missing) !== null || ino === ROOT_INO) {
      this.#report(ino, reason, { kind: 'rebuild', ino });
      return;
    }
    if (missing.reason !== null && missing.nameCount === 0) {
      this.#report(ino, reason, { kind: 'drop', key });
    }
    for (const { parent, name } of missing.names) {
      const message = `It leads to inode ${ino}: ${reason}`;
      this.#reportName(parent, name, message, { kind: 'drop-name', parent, name });
    }
    for (const name of missing.xattrs) {
      const fix: Fix = { kind: 'drop', key: xattrKey(ino, name) };
      const what = `Extended attribute ${JSON.stringify(name)}`;
      this.#report(ino, `${what} belongs to no inode`, fix);
    }
  }

  #finishInode(ino: number, row: number): void {
    const { inodes } = this;
    this.#finishNumber(ino);
    const names = inodes.get(row, 'names');
    // Its records go one after the other.
    if (inodes.get(row, 'isOrphan') === 1) {
      if (names === 0) return;
      const fix: Fix = { kind: 'drop', key: orphanKey(ino) };
      this.#report(ino, `It has ${names} names and an orphan record`, fix);
      return;
    }
    if (!this.#mayLack(RecordKind.xattr, ino)) {
      this.#expect(
        ino,
        'extended attributes',
        inodes.get(row, 'xattrCount'),
        inodes.get(row, 'xattrs'),
      );
    }
    if (inodes.isDirectory(row)) this.#finishDirectory(ino, row);
    else if (!this.#mayLackNames()) {
      this.#expect(ino, 'links', inodes.get(row, 'nlink'), names);
      if (names === 0) this.#reportNameless(ino);
    }
    if (inodes.isFile(row)) this.#finishFile(ino, row);
  }

  #finishNumber(ino: number): void {
    const writer = Math.floor(ino / 2 ** INO_COUNTER_BITS);
    if (writer >= this.#options.chunkLogLengths.length) {
      this.#report(ino, `There is no writer ${writer}`);
    }
    // Each writer has a counter of its own; the commit record has that of the one who committed.
    const next = this.#commit?.nextIno ?? Number.POSITIVE_INFINITY;
    if (writer !== 0 || ino < next) return;
    this.#report(ino, `Its number will be given again, at ${next}`, { kind: 'commit' });
  }

  #finishDirectory(ino: number, row: number): void {
    const { inodes } = this;
    const names = inodes.get(row, 'names');
    if (!this.#mayLack(RecordKind.entry, ino)) {
      this.#expect(ino, 'entries', inodes.get(row, 'size'), inodes.get(row, 'entries'));
    } else if (inodes.get(row, 'size') > inodes.get(row, 'entries')) {
      const lacking = inodes.get(row, 'size') - inodes.get(row, 'entries');
      this.#report(ino, `${lacking} of its names cannot be read`);
    }
    const { kind, keep } = { kind: 'unname' as const, keep: inodes.get(row, 'parent') };
    if (ino === ROOT_INO) {
      if (names > 0) this.#report(ino, 'The root directory has a name', { kind, ino, keep: null });
    } else if (names > 1) {
      this.#report(ino, `It is a directory with ${names} names`, { kind, ino, keep });
    } else if (names === 0) {
      if (!this.#mayLackNames()) this.#reportNameless(ino);
      return;
    } else {
      this.#expect(ino, 'parent', keep, inodes.get(row, 'namedIn'));
      this.#expectBelowRoot(ino);
    }
    if (this.#mayLack(RecordKind.entry, ino) || this.#hasMissing()) return;
    this.#expect(ino, 'links', inodes.get(row, 'nlink'), 2 + inodes.get(row, 'subdirectories'));
  }

  /** Directories could name each other in a ring. */
  #expectBelowRoot(ino: number): void {
    const path = new Set<number>();
    let at = ino;
    while (at !== ROOT_INO && at !== 0 && !path.has(at) && !this.#placed.has(at)) {
      path.add(at);
      const row = this.inodes.find(at);
      // Above a directory that is missing nothing is known; that one is reported.
      at = row < 0 ? 0 : this.inodes.get(row, 'namedIn');
    }
    for (const above of path) this.#placed.add(above);
    if (!path.has(at)) return;
    const fix: Fix = { kind: 'unname', ino, keep: null };
    this.#report(ino, 'It is in a ring of directories, not below the root', fix);
  }

  #finishFile(ino: number, row: number): void {
    const { inodes } = this;
    const allocated = inodes.get(row, 'allocatedBytes');
    const inlineBytes = inodes.get(row, 'inlineBytes');
    const found = inlineBytes > 0 ? inlineBytes - 1 : inodes.get(row, 'extentBytes');
    const size = inodes.get(row, 'size');
    if (!this.#mayLack(RecordKind.segment, ino)) {
      this.#expect(ino, 'allocated bytes', allocated, found);
    } else if (allocated > found && !this.#lost.hasSegment(ino)) {
      const range = this.#lost.segmentsOf(ino, inodes.get(row, 'segmentsEnd'));
      const message = `${allocated - found} bytes of it cannot be found`;
      const end = Math.min(range.end, size);
      this.#add({ ino, range: { start: range.start, end }, message, fix: null });
    }
    const seen = inodes.get(row, 'segmentsSeen');
    if (seen > inodes.get(row, 'segmentsEnd')) {
      const message = `Segment ${seen - 1} is behind the last one, ${inodes.get(row, 'segmentsEnd') - 1}`;
      this.#report(ino, message, { kind: 'recount', ino });
    }
    const dataEnd = inodes.get(row, 'dataEnd');
    if (dataEnd > size) {
      const message = `It has data up to byte ${dataEnd}, and its size is ${size}`;
      this.#report(ino, message, { kind: 'recount', ino });
    }
  }

  #finishCommit(fileBytes: number): void {
    if (!this.#sawSuperblock && !this.#lost.mayHold(superblockKey)) {
      this.#report(null, 'There is no superblock', { kind: 'superblock' });
    }
    const hasRoot = this.inodes.find(ROOT_INO) >= 0 || this.missing.get(ROOT_INO) !== undefined;
    if (!hasRoot && !this.#lost.mayHold(inodeKey(ROOT_INO))) {
      this.missing.of(ROOT_INO);
      this.#report(ROOT_INO, 'There is no root directory', { kind: 'rebuild', ino: ROOT_INO });
    }
    if (this.#commit === null) {
      if (!this.#sawCommit && !this.#lost.mayHold(commitKey)) {
        this.#report(null, 'There is no commit record', { kind: 'commit' });
      }
      return;
    }
    const { from, to } = rangeOfKind(RecordKind.inode);
    if (this.#lost.mayHoldSome(from, to) || this.#hasMissing()) return;
    this.#expect(null, 'inodes', this.#commit.inodeCount, this.inodes.length);
    this.#expect(null, 'bytes of files', this.#commit.fileBytes, fileBytes);
  }

  #hasMissing(): boolean {
    for (const [, missing] of this.missing)
      if (missing.nameCount + missing.entries > 0) return true;
    return false;
  }

  /** Whether lost records may be some of this inode's. */
  #mayLack(kind: Parameters<typeof rangeOfInode>[0], ino: number): boolean {
    if (kind === RecordKind.segment && this.#lost.hasSegment(ino)) return true;
    if (this.#lost.isEmpty) return false;
    const { from, to } = rangeOfInode(kind, ino);
    return this.#lost.mayHoldSome(from, to);
  }

  #mayLackNames(): boolean {
    if (this.#lost.isEmpty) return false;
    const { from, to } = rangeOfKind(RecordKind.entry);
    return this.#lost.mayHoldSome(from, to);
  }

  #sizeOf(row: number): number {
    return row < 0 ? limits.file_bytes_max : this.inodes.get(row, 'size');
  }

  #expect(ino: number | null, what: string, recorded: number, counted: number): void {
    if (recorded === counted) return;
    const message = `Its record says ${what}: ${recorded}, but there is: ${counted}`;
    this.#report(ino, message, ino === null ? { kind: 'commit' } : { kind: 'recount', ino });
  }

  #reportNameless(ino: number): void {
    this.#report(ino, 'It has neither a name nor an orphan record', { kind: 'adopt', ino });
  }

  #reportName(parent: number | null, name: string, message: string, fix: Fix): void {
    this.#add({ ino: parent, name, message: `Entry ${JSON.stringify(name)}: ${message}`, fix });
  }

  #report(ino: number | null, message: string, fix: Fix | null = null): void {
    this.#add({ ino, message, fix });
  }

  #add(problem: TreeProblem): void {
    this.#problemCount++;
    if (this.#problems.length < limits.check_problems_max) this.#problems.push(problem);
  }
}

/** For a line about a record that does not decode. */
function inoOrNull(key: Buffer): number | null {
  try {
    return key[0] === undefined || key[0] < RecordKind.inode ? null : inoOfKey(key);
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
