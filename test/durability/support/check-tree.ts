/**
 * Checks that the records of a whole tree fit together: every inode has its names, every name its inode, all counts
 * are right, and all content is in the chunk logs. One pass over the tree in the order of its keys; memory grows with
 * the number of inodes, not with the size of files.
 */
import { DamagedError } from '../../../src/errors.js';
import { limits } from '../../../src/limits.js';
import { type CommitRecord, decodeCommit } from '../../../src/tree/commit-record.js';
import { decodeEntry, entryNameOfKey } from '../../../src/tree/entry-record.js';
import { decodeInode, type InodeRecord } from '../../../src/tree/inode-record.js';
import { inoOfKey, nameOfKey, RecordKind, segmentOfKey } from '../../../src/tree/keys.js';
import { decodeSegment } from '../../../src/tree/segment-record.js';
import { decodeSuperblock } from '../../../src/tree/superblock.js';
import type { TreeRecord, TreeView } from '../../../src/tree/tree.js';

const ROOT_INO = 1;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
/** Inode numbers carry the writer in the bits above these. */
const INO_COUNTER_BITS = 40;
const PROBLEMS_LISTED_MAX = 10_000;

/** Something that does not fit. */
export interface TreeProblem {
  /** The inode it is about; null for what belongs to the whole drive. */
  ino: number | null;
  message: string;
}

/** What a check found. */
export interface TreeReport {
  /** The first ones. */
  problems: TreeProblem[];
  problemCount: number;
  /** Files that were deleted while open. Right after a crash there may be some; the next mount deletes them. */
  orphans: number[];
  inodes: number;
  /** Sum of the sizes of all regular files in bytes. */
  fileBytes: number;
}

/** An inode's record, and what was counted of the records that belong to it. */
interface CheckedInode {
  record: Omit<InodeRecord, 'inline'>;
  /** Bytes of inline content; null for none. */
  inlineBytes: number | null;
  names: number;
  /** Directory that holds its last name seen. */
  namedIn: number;
  entries: number;
  subdirectories: number;
  extentBytes: number;
  /** End of the last byte that lies in a chunk. */
  dataEnd: number;
  xattrs: number;
  orphan: boolean;
}

/**
 * Reads every record of a tree. `chunkLogLengths` are the lengths in blocks of the writers' chunk logs.
 * Throws UnavailableError, StoreError, and DamagedError where the tree itself cannot be read.
 */
export async function checkTree(
  view: TreeView,
  chunkLogLengths: readonly number[],
): Promise<TreeReport> {
  const check = new TreeCheck(chunkLogLengths);
  for await (const record of view.range(Buffer.alloc(0), Buffer.of(0xff, 0xff))) check.add(record);
  return check.finish();
}

class TreeCheck {
  readonly #chunkLogLengths: readonly number[];
  readonly #problems: TreeProblem[] = [];
  #problemCount = 0;
  readonly #inodes = new Map<number, CheckedInode>();
  readonly #orphans: number[] = [];
  /** Directories whose way to the root was looked at. */
  readonly #placed = new Set<number>();
  #hasSuperblock = false;
  #commit: CommitRecord | null = null;

  constructor(chunkLogLengths: readonly number[]) {
    this.#chunkLogLengths = chunkLogLengths;
  }

  /** Records come in the order of their keys, so an inode is known before what belongs to it. */
  add({ key, value }: TreeRecord): void {
    try {
      this.#addKind(key, value);
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      this.#report(inoOrNull(key), error.message);
    }
  }

  #addKind(key: Buffer, value: Buffer): void {
    switch (key[0]) {
      case RecordKind.superblock:
        decodeSuperblock(value);
        this.#hasSuperblock = true;
        break;
      case RecordKind.commit:
        this.#commit = decodeCommit(value);
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
    const { inline, ...record } = decodeInode(ino, value);
    this.#inodes.set(ino, {
      record,
      inlineBytes: inline === null ? null : inline.length,
      names: 0,
      namedIn: 0,
      entries: 0,
      subdirectories: 0,
      extentBytes: 0,
      dataEnd: 0,
      xattrs: 0,
      orphan: false,
    });
  }

  #addEntry(parent: number, name: string, value: Buffer): void {
    const entry = decodeEntry(value);
    const what = `Entry ${JSON.stringify(name)}`;
    const directory = this.#inodes.get(parent);
    if (directory === undefined) this.#report(parent, `${what} is in a directory without an inode`);
    else if (!isDirectory(directory)) this.#report(parent, `${what} is in what is no directory`);
    else directory.entries++;
    const inode = this.#inodes.get(entry.ino);
    if (inode === undefined) {
      this.#report(parent, `${what} leads to inode ${entry.ino}, which is missing`);
      return;
    }
    inode.names++;
    inode.namedIn = parent;
    if (entry.type !== (inode.record.mode & S_IFMT)) {
      this.#report(parent, `${what} has another type than inode ${entry.ino}`);
    }
    if (isDirectory(inode) && directory !== undefined) directory.subdirectories++;
  }

  #addSegment(ino: number, index: number, value: Buffer): void {
    const what = `Segment ${index}`;
    const inode = this.#inodes.get(ino);
    if (inode === undefined) {
      this.#report(ino, `${what} belongs to no inode`);
      return;
    }
    const extents = decodeSegment(ino, index, value);
    if (!isFile(inode)) this.#report(ino, `${what} belongs to what is no regular file`);
    if (inode.inlineBytes !== null) this.#report(ino, `${what} is there besides inline content`);
    if (extents.length === 0) this.#report(ino, `${what} has no extent`);
    if (index >= inode.record.segmentsEnd) {
      this.#report(ino, `${what} is behind the last one, ${inode.record.segmentsEnd - 1}`);
    }
    for (const { start, length, chunk } of extents) {
      inode.extentBytes += length;
      if (chunk === null) continue;
      inode.dataEnd = Math.max(inode.dataEnd, index * limits.segment_bytes + start + length);
      const blocks = this.#chunkLogLengths[chunk.writer];
      if (blocks === undefined || chunk.block >= blocks) {
        const where = `block ${chunk.block} of writer ${chunk.writer}`;
        this.#report(ino, `${what} refers to ${where}, which is not in the log`);
      }
    }
  }

  #addXattr(ino: number, name: string, value: Buffer): void {
    const what = `Extended attribute ${JSON.stringify(name)}`;
    const inode = this.#inodes.get(ino);
    if (inode === undefined) this.#report(ino, `${what} belongs to no inode`);
    else inode.xattrs++;
    if (name.length === 0 || name.length > limits.name_bytes_max || name.includes('\0')) {
      this.#report(ino, `${what} has no usable name`);
    }
    if (value.length > limits.xattr_value_bytes_max) {
      this.#report(ino, `${what} has ${value.length} bytes`);
    }
  }

  #addOrphan(ino: number): void {
    this.#orphans.push(ino);
    const inode = this.#inodes.get(ino);
    if (inode === undefined) this.#report(ino, 'There is an orphan record and no inode');
    else inode.orphan = true;
  }

  finish(): TreeReport {
    let fileBytes = 0;
    for (const [ino, inode] of this.#inodes) {
      this.#finishInode(ino, inode);
      if (isFile(inode)) fileBytes += inode.record.size;
    }
    this.#finishCommit(fileBytes);
    return {
      problems: this.#problems,
      problemCount: this.#problemCount,
      orphans: this.#orphans,
      inodes: this.#inodes.size,
      fileBytes,
    };
  }

  #finishInode(ino: number, inode: CheckedInode): void {
    const { record } = inode;
    this.#finishNumber(ino);
    // Its records go one after the other.
    if (inode.orphan) {
      if (inode.names > 0) this.#report(ino, `It has ${inode.names} names and an orphan record`);
      return;
    }
    this.#expect(ino, 'extended attributes', record.xattrCount, inode.xattrs);
    if (isDirectory(inode)) this.#finishDirectory(ino, inode);
    else {
      this.#expect(ino, 'links', record.nlink, inode.names);
      if (inode.names === 0) this.#report(ino, 'It has neither a name nor an orphan record');
    }
    if (isFile(inode)) this.#finishFile(ino, inode);
  }

  #finishNumber(ino: number): void {
    const writer = Math.floor(ino / 2 ** INO_COUNTER_BITS);
    if (writer >= this.#chunkLogLengths.length) this.#report(ino, `There is no writer ${writer}`);
    // Each writer has a counter of its own; the commit record has that of the one who committed.
    const next = this.#commit?.nextIno ?? 0;
    if (writer === 0 && ino >= next)
      this.#report(ino, `Its number will be given again, at ${next}`);
  }

  #finishDirectory(ino: number, inode: CheckedInode): void {
    const { record } = inode;
    this.#expect(ino, 'entries', record.size, inode.entries);
    if (ino === ROOT_INO) {
      if (inode.names > 0) this.#report(ino, 'The root directory has a name');
    } else if (inode.names > 1) {
      this.#report(ino, `It is a directory with ${inode.names} names`);
    } else if (inode.names === 0) {
      this.#report(ino, 'It has neither a name nor an orphan record');
      return;
    } else {
      this.#expect(ino, 'parent', record.parent, inode.namedIn);
      this.#expectBelowRoot(ino);
    }
    this.#expect(ino, 'links', record.nlink, 2 + inode.subdirectories);
  }

  /** Directories could name each other in a ring. */
  #expectBelowRoot(ino: number): void {
    const path = new Set<number>();
    let at = ino;
    while (at !== ROOT_INO && !path.has(at) && !this.#placed.has(at)) {
      path.add(at);
      at = this.#inodes.get(at)?.namedIn ?? 0;
    }
    for (const above of path) this.#placed.add(above);
    if (path.has(at)) this.#report(ino, 'It is in a ring of directories, not below the root');
  }

  #finishFile(ino: number, inode: CheckedInode): void {
    const { record, inlineBytes } = inode;
    this.#expect(ino, 'allocated bytes', record.allocatedBytes, inlineBytes ?? inode.extentBytes);
    if (inode.dataEnd > record.size) {
      this.#report(ino, `It has data up to byte ${inode.dataEnd}, and its size is ${record.size}`);
    }
  }

  #finishCommit(fileBytes: number): void {
    if (!this.#hasSuperblock) this.#report(null, 'There is no superblock');
    if (!this.#inodes.has(ROOT_INO)) this.#report(ROOT_INO, 'There is no root directory');
    if (this.#commit === null) {
      this.#report(null, 'There is no commit record');
      return;
    }
    this.#expect(null, 'inodes', this.#commit.inodeCount, this.#inodes.size);
    this.#expect(null, 'bytes of files', this.#commit.fileBytes, fileBytes);
  }

  #expect(ino: number | null, what: string, recorded: number, counted: number): void {
    if (recorded === counted) return;
    this.#report(ino, `Its record says ${what}: ${recorded}, but there is: ${counted}`);
  }

  #report(ino: number | null, message: string): void {
    this.#problemCount++;
    if (this.#problems.length < PROBLEMS_LISTED_MAX) this.#problems.push({ ino, message });
  }
}

function isDirectory(inode: CheckedInode): boolean {
  return (inode.record.mode & S_IFMT) === S_IFDIR;
}

function isFile(inode: CheckedInode): boolean {
  return (inode.record.mode & S_IFMT) === S_IFREG;
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
