/**
 * Makes a damaged tree usable again: takes away what leads nowhere, corrects counts, and makes new records for what
 * lost its own, so that nothing that can still be read is lost. Works in rounds of checking and one commit each:
 * mending one thing shows what hangs on it.
 */
import { DamagedError, UnavailableError } from '../../errors.js';
import { limits } from '../../limits.js';
import type { CommitRecord } from '../../tree/commit-record.js';
import { decodeCommit, encodeCommit, skipsAfter } from '../../tree/commit-record.js';
import { decodeEntry, encodeEntry } from '../../tree/entry-record.js';
import { decodeInode, encodeInode, type InodeRecord } from '../../tree/inode-record.js';
import {
  commitKey,
  entryKey,
  inodeKey,
  inoOfKey,
  isKeyOfInode,
  RecordKind,
  superblockKey,
} from '../../tree/keys.js';
import { encodeSuperblock, type Superblock } from '../../tree/superblock.js';
import type { Head, Tree, TreeChange, TreeRecord } from '../../tree/tree.js';
import type { TreeWalker } from '../../tree/tree-walker.js';
import { S_IFDIR, S_IFMT } from '../inode.js';
import { checkFiles, type FilesReport } from './check-files.js';
import { lostSegments } from './lost-segments.js';
import { type MissingInode, typeOfRest } from './missing-inodes.js';
import { olderRecords } from './older-records.js';
import type { Fix, TreeProblem } from './tree-problem.js';

const ROOT_INO = 1;
const LOST_AND_FOUND = 'lost+found';
const LOST_AND_FOUND_TRIES = 10;
const INO_COUNTER_BITS = 40;

/** A tree that can be written anew without reading the old one. */
export interface RewritableTree extends Tree {
  rewrite(records: AsyncIterable<TreeRecord>): Promise<unknown>;
}

export interface MendOptions {
  /** Open for writing, and nobody else writes. */
  tree: RewritableTree;
  /** Of the same log. */
  walker: TreeWalker;
  /** In place of one that is lost. */
  superblock: Superblock;
  chunkLogLengths: readonly number[];
  /** Owner of what has lost its own. */
  uid: number;
  gid: number;
  nowMs: number;
  /** Told of everything that is changed, before it is. */
  onChange: (line: string) => void;
}

/** Throws DamagedError, NoSpaceError, StoreError; what was committed before stays, each commit is whole. */
export async function mendTree(options: MendOptions): Promise<void> {
  const { tree, walker, chunkLogLengths } = options;
  let taken: ReadonlyMap<number, number> = new Map();
  for (let round = 0; round < limits.check_rounds_max; round++) {
    const report = await checkFiles({
      walker,
      head: tree.head,
      chunkLogLengths,
      makeChunkCheck: null,
    });
    await tellTaken(options, report, taken);
    taken = new Map();
    const mender = new Round(options, report);
    if (report.tree.lost.some(({ isDamaged }) => isDamaged)) taken = await mender.rewrite();
    else if (!(await mender.fix())) return;
  }
}

/** Says what was taken from older versions, now that it has its names again. */
async function tellTaken(
  { onChange }: MendOptions,
  { names }: FilesReport,
  taken: ReadonlyMap<number, number>,
): Promise<void> {
  await names.find(taken.keys(), () => 0);
  for (const [ino, count] of taken) {
    const path = ino === ROOT_INO ? '.' : (names.pathsOf(ino)[0] ?? `(inode ${ino})`);
    onChange(`put back ${count} records of '${path}' as an older version had them`);
  }
}

class Round {
  readonly #options: MendOptions;
  readonly #report: FilesReport;
  readonly #changes: TreeChange[] = [];
  readonly #recounted = new Set<number>();
  #nextIno: number;
  #lostAndFound: number | null = null;

  constructor(options: MendOptions, report: FilesReport) {
    this.#options = options;
    this.#report = report;
    this.#nextIno = Math.max(report.check.commit?.nextIno ?? 0, nextInoOf(report));
  }

  /**
   * Writes the tree anew of all records that can be read; of those that are lost it takes what older versions have.
   * Returns how many those were, by inode.
   */
  async rewrite(): Promise<ReadonlyMap<number, number>> {
    const { tree, walker, onChange } = this.#options;
    const { lost } = this.#report.tree;
    onChange(`wrote the tree anew, without the records that are lost in ${lost.length} places`);
    const { head } = tree;
    const { inodes } = this.#report.check;
    const commit = encodeCommit(await this.#commit());
    const taken = new Map<number, number>();
    async function* records(): AsyncGenerator<TreeRecord> {
      for await (const found of walker.walk(head)) {
        if (!('error' in found)) {
          if (found.key[0] !== RecordKind.commit) yield found;
          continue;
        }
        const older = await olderRecords(walker, head, found);
        yield* lostSegments(found, inodes, older);
        for (const record of older) {
          if (record.key[0] === RecordKind.commit) continue;
          yield record;
          const ino = isKeyOfInode(record.key) ? inoOfKey(record.key) : 0;
          if (ino > 0) taken.set(ino, (taken.get(ino) ?? 0) + 1);
        }
      }
      yield { key: commitKey, value: commit };
    }
    await tree.rewrite(records());
    return taken;
  }

  /** False when there is nothing to do. */
  async fix(): Promise<boolean> {
    let isCommitWrong = false;
    for (const problem of this.#report.problems) {
      if (problem.fix === null) continue;
      if (problem.fix.kind === 'commit') isCommitWrong = true;
      else await this.#apply(problem, problem.fix);
    }
    if (this.#changes.length === 0 && !isCommitWrong) return false;
    // The totals are right once nothing else is to be changed.
    if (this.#changes.length === 0) this.#say('corrected the totals in the commit record');
    this.#changes.push({ key: commitKey, value: encodeCommit(await this.#commit()) });
    await this.#options.tree.write(this.#changes);
    return true;
  }

  async #apply(problem: TreeProblem, fix: Fix): Promise<void> {
    switch (fix.kind) {
      case 'drop':
        this.#say(`removed a record of ${this.#nameOf(problem)}: ${problem.message}`);
        this.#changes.push({ key: fix.key, value: null });
        break;
      case 'drop-name':
        this.#say(`removed the name '${this.#path(fix.parent, fix.name)}': ${problem.message}`);
        this.#changes.push({ key: entryKey(fix.parent, fix.name), value: null });
        break;
      case 'retype':
        this.#say(`corrected the type of '${this.#path(fix.parent, fix.name)}'`);
        this.#putEntry(fix.parent, fix.name, fix.ino, fix.type);
        break;
      case 'rebuild':
        this.#rebuild(fix.ino);
        break;
      case 'recount':
        await this.#recount(fix.ino);
        break;
      case 'adopt':
        await this.#adopt(fix.ino);
        break;
      case 'unname':
        this.#unname(fix.ino, fix.keep);
        break;
      case 'superblock':
        this.#say('wrote the superblock anew');
        this.#changes.push({
          key: superblockKey,
          value: encodeSuperblock(this.#options.superblock),
        });
        break;
      case 'commit':
        break;
    }
  }

  #rebuild(ino: number): void {
    const missing = this.#report.check.missing.get(ino);
    if (missing === undefined) return;
    const type = ino === ROOT_INO ? S_IFDIR : (typeOfRest(missing) as number);
    const isDirectory = type === S_IFDIR;
    const whose = this.#report.names.pathsOf(ino)[0] ?? `inode ${ino}`;
    const loses = 'its owner, permissions and times are lost';
    this.#say(
      isDirectory
        ? `made the directory '${whose}' anew: ${loses}`
        : `made the file '${whose}' anew of ${missing.extentBytes} bytes that are left: ${loses}, and its end may be`,
    );
    const record = isDirectory ? this.#newDirectory(missing.entries) : this.#newFile(missing);
    record.parent = isDirectory ? (missing.names[0]?.parent ?? ROOT_INO) : 0;
    record.xattrCount = missing.xattrs.length;
    this.#changes.push({ key: inodeKey(ino), value: encodeInode(record) });
  }

  async #recount(ino: number): Promise<void> {
    // One inode can have several counts wrong.
    if (this.#recounted.has(ino)) return;
    this.#recounted.add(ino);
    const { inodes } = this.#report.check;
    const row = inodes.find(ino);
    const bytes = await this.#get(inodeKey(ino));
    if (row < 0 || bytes === null) return;
    const record = decodeInode(ino, bytes);
    const names = inodes.get(row, 'names');
    record.xattrCount = inodes.get(row, 'xattrs');
    if (inodes.isDirectory(row)) {
      record.size = inodes.get(row, 'entries');
      record.nlink = 2 + inodes.get(row, 'subdirectories');
      if (names === 1) record.parent = inodes.get(row, 'namedIn');
    } else record.nlink = names;
    if (inodes.isFile(row)) {
      const inlineBytes = inodes.get(row, 'inlineBytes');
      record.allocatedBytes = inlineBytes > 0 ? inlineBytes - 1 : inodes.get(row, 'extentBytes');
      record.segmentsEnd = Math.max(record.segmentsEnd, inodes.get(row, 'segmentsSeen'));
      record.size = Math.max(record.size, inodes.get(row, 'dataEnd'));
    }
    this.#say(`corrected the counts of ${this.#nameOf({ ino })}`);
    this.#changes.push({ key: inodeKey(ino), value: encodeInode(record) });
  }

  async #adopt(ino: number): Promise<void> {
    const { inodes } = this.#report.check;
    const parent = await this.#findLostAndFound();
    const name = `#${ino}`;
    const type = inodes.get(inodes.find(ino), 'mode') & S_IFMT;
    this.#say(`gave inode ${ino}, which had no name, the name '${LOST_AND_FOUND}/${name}'`);
    this.#putEntry(parent, name, ino, type);
  }

  /** The directory for what has no name; made when there is none. Its counts are corrected in the next round. */
  async #findLostAndFound(): Promise<number> {
    if (this.#lostAndFound !== null) return this.#lostAndFound;
    for (let i = 0; i < LOST_AND_FOUND_TRIES; i++) {
      const name = i === 0 ? LOST_AND_FOUND : `${LOST_AND_FOUND}.${i}`;
      const bytes = await this.#get(entryKey(ROOT_INO, name));
      if (bytes !== null && decodeEntry(bytes).type !== S_IFDIR) continue;
      if (bytes === null) this.#lostAndFound = this.#makeDirectory(name);
      else this.#lostAndFound = decodeEntry(bytes).ino;
      return this.#lostAndFound;
    }
    throw new Error(`Every name like '${LOST_AND_FOUND}' is taken`);
  }

  #makeDirectory(name: string): number {
    const ino = this.#nextIno++;
    const record = this.#newDirectory(0);
    record.parent = ROOT_INO;
    this.#changes.push({ key: inodeKey(ino), value: encodeInode(record) });
    this.#putEntry(ROOT_INO, name, ino, S_IFDIR);
    return ino;
  }

  #unname(ino: number, keep: number | null): void {
    let isKept = false;
    for (const { parent, name } of this.#report.names.namesOf(ino)) {
      if (parent === keep && !isKept) {
        isKept = true;
        continue;
      }
      this.#say(`removed the name '${this.#path(parent, name)}' of a directory that has others`);
      this.#changes.push({ key: entryKey(parent, name), value: null });
    }
  }

  #putEntry(parent: number, name: string, ino: number, type: number): void {
    this.#changes.push({ key: entryKey(parent, name), value: encodeEntry({ ino, type }) });
  }

  /** Counts are as they were found; the round in which nothing else is changed gets them right. */
  async #commit(): Promise<CommitRecord> {
    const { tree } = this.#report;
    const { last, head } = await this.#lastCommit();
    return {
      version: (last?.version ?? 0) + 1,
      timeMs: this.#options.nowMs,
      previous: head,
      nextIno: this.#nextIno,
      inodeCount: tree.inodes,
      fileBytes: tree.fileBytes,
      changes: null,
      // As the drive's other commits: the superblock may be what is damaged.
      skips: last === null || last.skips === null ? null : skipsAfter(last, head),
    };
  }

  /** The newest state of which the commit record can be read: the chain of commits goes on from there. */
  async #lastCommit(): Promise<{ last: CommitRecord | null; head: Head }> {
    const { tree, walker } = this.#options;
    const { head } = tree;
    const { commit } = this.#report.check;
    if (commit !== null) return { last: commit, head };
    for await (const older of walker.olderHeads(head)) {
      try {
        const bytes = await walker.get(older, commitKey);
        if (bytes !== null) return { last: decodeCommit(bytes), head: older };
      } catch (error) {
        // An older one may be readable.
        if (!(error instanceof DamagedError || error instanceof UnavailableError)) throw error;
      }
    }
    return { last: null, head: { length: 0, fork: 0 } };
  }

  #newDirectory(entries: number): InodeRecord {
    return { ...this.#newInode(S_IFDIR | 0o700), size: entries, nlink: 2 };
  }

  #newFile(missing: MissingInode): InodeRecord {
    return {
      ...this.#newInode(0o100600),
      nlink: Math.max(1, missing.nameCount),
      size: missing.dataEnd,
      allocatedBytes: missing.extentBytes,
      segmentsEnd: missing.segmentsEnd,
    };
  }

  #newInode(mode: number): InodeRecord {
    const { uid, gid, nowMs } = this.#options;
    const sec = Math.floor(nowMs / 1000);
    const nsec = Math.floor((nowMs - sec * 1000) * 1e6);
    return {
      mode,
      uid,
      gid,
      nlink: 1,
      size: 0,
      allocatedBytes: 0,
      atimeSec: sec,
      atimeNsec: nsec,
      mtimeSec: sec,
      mtimeNsec: nsec,
      ctimeSec: sec,
      ctimeNsec: nsec,
      btimeSec: sec,
      btimeNsec: nsec,
      rdev: 0,
      segmentsEnd: 0,
      xattrCount: 0,
      parent: 0,
      inline: null,
    };
  }

  #get(key: Buffer): Promise<Buffer | null> {
    return this.#options.walker.get(this.#options.tree.head, key);
  }

  #path(parent: number, name: string): string {
    return this.#report.names.pathIn(parent, name);
  }

  #nameOf({ ino, name }: Pick<TreeProblem, 'ino' | 'name'>): string {
    if (ino === null) return 'the drive';
    if (ino === ROOT_INO && name === undefined) return 'the root directory';
    if (name !== undefined) return `'${this.#path(ino, name)}'`;
    const path = this.#report.names.pathsOf(ino)[0];
    return path === undefined ? `inode ${ino}` : `'${path}'`;
  }

  #say(line: string): void {
    this.#options.onChange(line);
  }
}

/** Above all numbers of the first writer that are in use. */
function nextInoOf({ check }: FilesReport): number {
  const { inodes, missing } = check;
  let highest = ROOT_INO;
  for (let row = 0; row < inodes.length; row++) {
    const ino = inodes.get(row, 'ino');
    if (ino < 2 ** INO_COUNTER_BITS) highest = Math.max(highest, ino);
  }
  for (const [ino] of missing) if (ino < 2 ** INO_COUNTER_BITS) highest = Math.max(highest, ino);
  return highest + 1;
}
