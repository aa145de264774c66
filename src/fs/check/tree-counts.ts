/** What of a tree can be judged only when all of its records were seen: names, counts and totals. */
import type { CommitRecord } from '../../tree/commit-record.js';
import {
  commitKey,
  inodeKey,
  orphanKey,
  RecordKind,
  rangeOfInode,
  rangeOfKind,
  superblockKey,
  xattrKey,
} from '../../tree/keys.js';
import type { CheckedInodes } from './checked-inodes.js';
import type { LostRanges } from './lost-ranges.js';
import { type MissingInode, type MissingInodes, typeOfRest } from './missing-inodes.js';
import type { ProblemList } from './problem-list.js';
import type { Fix } from './tree-problem.js';

const ROOT_INO = 1;
/** Inode numbers carry the writer in the bits above these. */
const INO_COUNTER_BITS = 40;

/** A tree of which all records were seen. */
export interface CountedTree {
  inodes: CheckedInodes;
  missing: MissingInodes;
  lost: LostRanges;
  problems: ProblemList;
  commit: CommitRecord | null;
  /** Whether these were there, readable or not. */
  sawSuperblock: boolean;
  sawCommit: boolean;
  writers: number;
}

export class TreeCounts {
  readonly #tree: CountedTree;
  /** Directories whose way to the root was looked at. */
  readonly #placed = new Set<number>();

  constructor(tree: CountedTree) {
    this.#tree = tree;
  }

  /** Adds to the problems. Returns the sum of the sizes of all regular files. */
  check(): number {
    const { inodes, missing } = this.#tree;
    let fileBytes = 0;
    for (const [ino, each] of missing) this.#finishMissing(ino, each);
    for (let row = 0; row < inodes.length; row++) {
      this.#finishInode(inodes.get(row, 'ino'), row);
      if (inodes.isFile(row)) fileBytes += inodes.get(row, 'size');
    }
    this.#finishCommit(fileBytes);
    return fileBytes;
  }

  #finishMissing(ino: number, missing: MissingInode): void {
    const key = inodeKey(ino);
    const lost = this.#tree.lost.at(key);
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
      this.#tree.problems.report(ino, 'There is an orphan record and no inode', fix);
    }
    if (typeOfRest(missing) !== null || ino === ROOT_INO) {
      this.#tree.problems.report(ino, reason, { kind: 'rebuild', ino });
      return;
    }
    if (missing.reason !== null && missing.nameCount === 0) {
      this.#tree.problems.report(ino, reason, { kind: 'drop', key });
    }
    for (const { parent, name } of missing.names) {
      const message = `It leads to inode ${ino}: ${reason}`;
      this.#tree.problems.reportName(parent, name, message, { kind: 'drop-name', parent, name });
    }
    for (const name of missing.xattrs) {
      const fix: Fix = { kind: 'drop', key: xattrKey(ino, name) };
      const what = `Extended attribute ${JSON.stringify(name)}`;
      this.#tree.problems.report(ino, `${what} belongs to no inode`, fix);
    }
  }

  #finishInode(ino: number, row: number): void {
    const { inodes } = this.#tree;
    this.#finishNumber(ino);
    const names = inodes.get(row, 'names');
    // Its records go one after the other.
    if (inodes.get(row, 'isOrphan') === 1) {
      if (names === 0) return;
      const fix: Fix = { kind: 'drop', key: orphanKey(ino) };
      this.#tree.problems.report(ino, `It has ${names} names and an orphan record`, fix);
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
    if (writer >= this.#tree.writers) {
      this.#tree.problems.report(ino, `There is no writer ${writer}`);
    }
    // Each writer has a counter of its own; the commit record has that of the one who committed.
    const next = this.#tree.commit?.nextIno ?? Number.POSITIVE_INFINITY;
    if (writer !== 0 || ino < next) return;
    this.#tree.problems.report(ino, `Its number will be given again, at ${next}`, {
      kind: 'commit',
    });
  }

  #finishDirectory(ino: number, row: number): void {
    const { inodes } = this.#tree;
    const names = inodes.get(row, 'names');
    if (!this.#mayLack(RecordKind.entry, ino)) {
      this.#expect(ino, 'entries', inodes.get(row, 'size'), inodes.get(row, 'entries'));
    } else if (
      this.#hides(RecordKind.entry, ino) &&
      inodes.get(row, 'size') > inodes.get(row, 'entries')
    ) {
      const lacking = inodes.get(row, 'size') - inodes.get(row, 'entries');
      this.#tree.problems.report(ino, `${lacking} of its names cannot be read`);
    }
    const { kind, keep } = { kind: 'unname' as const, keep: inodes.get(row, 'parent') };
    if (ino === ROOT_INO) {
      if (names > 0)
        this.#tree.problems.report(ino, 'The root directory has a name', { kind, ino, keep: null });
    } else if (names > 1) {
      this.#tree.problems.report(ino, `It is a directory with ${names} names`, { kind, ino, keep });
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
      const row = this.#tree.inodes.find(at);
      // Above a directory that is missing nothing is known; that one is reported.
      at = row < 0 ? 0 : this.#tree.inodes.get(row, 'namedIn');
    }
    for (const above of path) this.#placed.add(above);
    if (!path.has(at)) return;
    const fix: Fix = { kind: 'unname', ino, keep: null };
    this.#tree.problems.report(ino, 'It is in a ring of directories, not below the root', fix);
  }

  #finishFile(ino: number, row: number): void {
    const { inodes } = this.#tree;
    const allocated = inodes.get(row, 'allocatedBytes');
    const inlineBytes = inodes.get(row, 'inlineBytes');
    const found = inlineBytes > 0 ? inlineBytes - 1 : inodes.get(row, 'extentBytes');
    const size = inodes.get(row, 'size');
    if (!this.#mayLack(RecordKind.segment, ino)) {
      this.#expect(ino, 'allocated bytes', allocated, found);
    } else if (
      allocated > found &&
      this.#hides(RecordKind.segment, ino) &&
      !this.#tree.lost.hasSegment(ino)
    ) {
      const range = this.#tree.lost.segmentsOf(ino, inodes.get(row, 'segmentsEnd'));
      const message = `${allocated - found} bytes of it cannot be found`;
      const end = Math.min(range.end, size);
      this.#tree.problems.add({ ino, range: { start: range.start, end }, message, fix: null });
    }
    const seen = inodes.get(row, 'segmentsSeen');
    if (seen > inodes.get(row, 'segmentsEnd')) {
      const message = `Segment ${seen - 1} is behind the last one, ${inodes.get(row, 'segmentsEnd') - 1}`;
      this.#tree.problems.report(ino, message, { kind: 'recount', ino });
    }
    const dataEnd = inodes.get(row, 'dataEnd');
    if (dataEnd > size) {
      const message = `It has data up to byte ${dataEnd}, and its size is ${size}`;
      this.#tree.problems.report(ino, message, { kind: 'recount', ino });
    }
  }

  #finishCommit(fileBytes: number): void {
    if (!this.#tree.sawSuperblock && !this.#tree.lost.mayHold(superblockKey)) {
      this.#tree.problems.report(null, 'There is no superblock', { kind: 'superblock' });
    }
    const hasRoot =
      this.#tree.inodes.find(ROOT_INO) >= 0 || this.#tree.missing.get(ROOT_INO) !== undefined;
    if (!hasRoot && !this.#tree.lost.mayHold(inodeKey(ROOT_INO))) {
      this.#tree.missing.of(ROOT_INO);
      this.#tree.problems.report(ROOT_INO, 'There is no root directory', {
        kind: 'rebuild',
        ino: ROOT_INO,
      });
    }
    if (this.#tree.commit === null) {
      if (!this.#tree.sawCommit && !this.#tree.lost.mayHold(commitKey)) {
        this.#tree.problems.report(null, 'There is no commit record', { kind: 'commit' });
      }
      return;
    }
    const { from, to } = rangeOfKind(RecordKind.inode);
    if (this.#tree.lost.mayHoldSome(from, to) || this.#hasMissing()) return;
    this.#expect(null, 'inodes', this.#tree.commit.inodeCount, this.#tree.inodes.length);
    this.#expect(null, 'bytes of files', this.#tree.commit.fileBytes, fileBytes);
  }

  #hasMissing(): boolean {
    for (const [, missing] of this.#tree.missing)
      if (missing.nameCount + missing.entries > 0) return true;
    return false;
  }

  /** Whether lost records may be some of this inode's. */
  #mayLack(kind: Parameters<typeof rangeOfInode>[0], ino: number): boolean {
    if (kind === RecordKind.segment && this.#tree.lost.hasSegment(ino)) return true;
    if (this.#tree.lost.isEmpty) return false;
    const { from, to } = rangeOfInode(kind, ino);
    return this.#tree.lost.mayHoldSome(from, to);
  }

  /** Whether some of this inode's records are damaged, and not only elsewhere. */
  #hides(kind: Parameters<typeof rangeOfInode>[0], ino: number): boolean {
    const { from, to } = rangeOfInode(kind, ino);
    return this.#tree.lost.hidesSome(from, to);
  }

  #mayLackNames(): boolean {
    if (this.#tree.lost.isEmpty) return false;
    const { from, to } = rangeOfKind(RecordKind.entry);
    return this.#tree.lost.mayHoldSome(from, to);
  }

  #expect(ino: number | null, what: string, recorded: number, counted: number): void {
    if (recorded === counted) return;
    const message = `Its record says ${what}: ${recorded}, but there is: ${counted}`;
    this.#tree.problems.report(
      ino,
      message,
      ino === null ? { kind: 'commit' } : { kind: 'recount', ino },
    );
  }

  #reportNameless(ino: number): void {
    this.#tree.problems.report(ino, 'It has neither a name nor an orphan record', {
      kind: 'adopt',
      ino,
    });
  }
}
