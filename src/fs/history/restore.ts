/**
 * Puts a file or a directory of an older version back into the drive. Nothing of its data is copied: the new files
 * refer to the chunks that are there. It is made beside its place under another name and then renamed, so that it
 * appears whole, or not at all when the program ends meanwhile.
 */
import type { Caller } from '../../../mount/file-system.js';
import { AlreadyExistsError, NotFoundError, UsageError } from '../../errors.js';
import { decodeEntry, entryNameOfKey } from '../../tree/entry-record.js';
import type { InodeRecord } from '../../tree/inode-record.js';
import { nameOfKey, RecordKind, rangeOfInode, segmentOfKey } from '../../tree/keys.js';
import { decodeSegment } from '../../tree/segment-record.js';
import type { TreeView } from '../../tree/tree.js';
import { extentOf } from '../extents.js';
import { type Inode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../inode.js';
import type { NameOperations } from '../name-operations.js';
import { withMemory } from '../not-in-memory.js';
import type { Volume } from '../volume.js';
import { findPath, readInode, shownPath } from './drive-paths.js';

const ROOT_INO = 1;
const RENAME_EXCHANGE = 2;
const MODE_BITS = 0o7777;
/** Segments taken over between two looks at whether memory has room. */
const SEGMENTS_PER_LOOK = 64;

/** Whoever may run the command may do anything with the drive. */
const OWNER: Caller = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal };

export interface RestoreRequest {
  view: TreeView;
  /** The path in the older version, and where it is to be. */
  source: readonly string[];
  target: readonly string[];
  /** Replace what is at the target. */
  force: boolean;
}

export interface RestoreReport {
  /** Inodes that were made. */
  inodes: number;
  /** Sum of the sizes of regular files. */
  bytes: number;
}

/** A directory to be filled. */
interface Filling {
  from: number;
  to: number;
  record: InodeRecord;
}

export class Restorer {
  readonly #volume: Volume;
  readonly #names: NameOperations;
  readonly #view: TreeView;
  /** New inodes of files with several names, by their old number. */
  readonly #linked = new Map<number, number>();
  readonly #report: RestoreReport = { inodes: 0, bytes: 0 };
  static #count = 0;

  constructor(volume: Volume, names: NameOperations, view: TreeView) {
    this.#volume = volume;
    this.#names = names;
    this.#view = view;
  }

  /**
   * Throws NotFoundError, AlreadyExistsError, UsageError, ReadOnlyError, NoSpaceError, and what reading the tree
   * throws. Not committed yet.
   */
  async run({ source, target, force }: Omit<RestoreRequest, 'view'>): Promise<RestoreReport> {
    this.#volume.requireWritable();
    const found = await findPath(this.#view, source);
    if (found === null) {
      throw new NotFoundError(`Cannot restore '${shownPath(source)}': it is not in that version`);
    }
    const name = target[target.length - 1];
    if (name === undefined) {
      throw new UsageError('Cannot restore over the root of the drive: say with --to where');
    }
    const parent = await this.#findParent(target.slice(0, -1), source);
    const isThere = (await this.#peek(parent, name)) !== null;
    if (isThere && !force) {
      throw new AlreadyExistsError(
        `Cannot restore '${shownPath(target)}': it is there; replace it with --force, or restore elsewhere with --to`,
      );
    }
    const temporary = `.shoal-restoring-${process.pid}-${Restorer.#count++}`;
    try {
      await this.#copy(found.ino, parent, temporary);
      const flags = isThere ? RENAME_EXCHANGE : 0;
      await this.#names.rename(parent, temporary, parent, name, flags, OWNER);
    } catch (error) {
      await this.#remove(parent, temporary).catch((failure: unknown) => {
        this.#volume.log(`'${temporary}' is left of a restore that failed: ${String(failure)}`);
      });
      throw error;
    }
    if (isThere) await this.#remove(parent, temporary);
    void this.#volume.forgetName(parent, name);
    return this.#report;
  }

  /** The directory to restore into; those that are gone are made as they were. Throws NotFoundError. */
  async #findParent(path: readonly string[], source: readonly string[]): Promise<number> {
    const { table } = this.#volume;
    let ino = ROOT_INO;
    for (const [depth, name] of path.entries()) {
      const above = ino;
      const entry = await this.#peek(above, name);
      if (entry === null) {
        const wasThere = path.slice(0, depth + 1).every((each, i) => each === source[i]);
        const old = wasThere ? await findPath(this.#view, path.slice(0, depth + 1)) : null;
        if (old === null) {
          throw new NotFoundError(
            `Cannot restore to '${shownPath(path)}': there is no such directory`,
          );
        }
        const record = await readInode(this.#view, old.ino);
        ino = await this.#make(above, name, record);
        await this.#takeAttributes(old.ino, ino, record);
        void this.#volume.forgetName(above, name);
      } else ino = entry;
      const inode = await withMemory(() => table.need(ino), null);
      if (!inode.isDirectory) {
        throw new NotFoundError(`Cannot restore to '${shownPath(path)}': it is no directory`);
      }
    }
    return ino;
  }

  /** The inode that a name leads to now. */
  async #peek(parent: number, name: string): Promise<number | null> {
    const { table } = this.#volume;
    return await withMemory(() => {
      return table.needEntry(table.need(parent), name)?.ino ?? null;
    }, null);
  }

  async #copy(from: number, parent: number, name: string): Promise<void> {
    const stack: Filling[] = [];
    await this.#copyOne(from, parent, name, stack);
    for (let filling = stack.pop(); filling !== undefined; filling = stack.pop()) {
      const { from: to, to: end } = rangeOfInode(RecordKind.entry, filling.from);
      for await (const { key, value } of this.#view.range(to, end)) {
        await this.#copyOne(decodeEntry(value).ino, filling.to, entryNameOfKey(key), stack);
      }
      // Filling it has changed its times.
      await this.#takeAttributes(filling.from, filling.to, filling.record);
    }
  }

  async #copyOne(from: number, parent: number, name: string, stack: Filling[]): Promise<void> {
    const linked = this.#linked.get(from);
    if (linked !== undefined) {
      this.#known((await this.#names.link(linked, parent, name, OWNER)).attributes.ino);
      return;
    }
    const record = await readInode(this.#view, from);
    const ino = await this.#make(parent, name, record);
    this.#report.inodes++;
    if ((record.mode & S_IFMT) === S_IFDIR) {
      stack.push({ from, to: ino, record });
      return;
    }
    if (record.nlink > 1) this.#linked.set(from, ino);
    if ((record.mode & S_IFMT) === S_IFREG) await this.#takeContent(from, ino, record);
    await this.#takeAttributes(from, ino, record);
  }

  /** A new inode of the same type. */
  async #make(parent: number, name: string, record: InodeRecord): Promise<number> {
    const room = this.#volume.committer.room.wait();
    if (room !== undefined) await room;
    const { mode } = record;
    const type = mode & S_IFMT;
    const names = this.#names;
    if (type === S_IFDIR) {
      return this.#known((await names.mkdir(parent, name, mode & MODE_BITS, OWNER)).attributes.ino);
    }
    if (type === S_IFLNK) {
      const target = record.inline ?? Buffer.alloc(0);
      return this.#known((await names.symlink(parent, name, target, OWNER)).attributes.ino);
    }
    const made = await names.mknod(parent, name, mode, record.rdev, OWNER);
    return this.#known(made.attributes.ino);
  }

  /** The kernel was not told of the inode, whatever the operation that made it thinks. */
  #known(ino: number): number {
    this.#volume.table.forget(ino, 1);
    return ino;
  }

  /** Lets the new file have the extents of the old one. */
  async #takeContent(from: number, ino: number, record: InodeRecord): Promise<void> {
    const volume = this.#volume;
    this.#report.bytes += record.size;
    await this.#change(ino, (inode) => {
      const before = inode.size;
      inode.size = record.size;
      inode.inline = record.inline;
      inode.allocatedBytes = record.inline === null ? 0 : record.allocatedBytes;
      volume.resized(before, inode);
    });
    if (record.inline !== null) return;
    const { from: first, to: end } = rangeOfInode(RecordKind.segment, from);
    let taken = 0;
    for await (const { key, value } of this.#view.range(first, end)) {
      const index = segmentOfKey(key);
      const extents = decodeSegment(from, index, value).map(extentOf);
      await this.#change(ino, (inode) => {
        const segment = volume.table.segmentForWriting(inode, index);
        segment.extents = extents;
        for (const { length } of extents) inode.allocatedBytes += length;
      });
      if (++taken % SEGMENTS_PER_LOOK > 0) continue;
      const room = volume.committer.room.wait();
      if (room !== undefined) await room;
    }
  }

  async #takeAttributes(from: number, ino: number, record: InodeRecord): Promise<void> {
    const volume = this.#volume;
    const xattrs = new Map<string, Buffer>();
    if (record.xattrCount > 0) {
      const { from: first, to: end } = rangeOfInode(RecordKind.xattr, from);
      for await (const { key, value } of this.#view.range(first, end)) {
        xattrs.set(nameOfKey(key), value);
      }
    }
    await this.#change(ino, (inode) => {
      // What it has inherited from the directory it is in now goes.
      const inherited = [...volume.table.needXattrs(inode).values.keys()];
      for (const name of inherited) if (!xattrs.has(name)) volume.putXattr(inode, name, null);
      for (const [name, value] of xattrs) volume.putXattr(inode, name, value);
      const { mode, uid, gid, atimeSec, atimeNsec, mtimeSec, mtimeNsec } = record;
      Object.assign(inode, { mode, uid, gid, atimeSec, atimeNsec, mtimeSec, mtimeNsec });
      inode.setCtime(volume.clock.now());
    });
  }

  /** Changes an inode in one go and marks it for the commit. */
  async #change(ino: number, change: (inode: Inode) => void): Promise<void> {
    const { table, committer } = this.#volume;
    await withMemory(() => {
      const inode = table.need(ino);
      change(inode);
      committer.markInode(inode);
    }, null);
  }

  /** Deletes what a name leads to, with all that is in it. */
  async #remove(parent: number, name: string): Promise<void> {
    const { table } = this.#volume;
    const ino = await this.#peek(parent, name);
    if (ino === null) return;
    const stack: { parent: number; name: string; ino: number; isEmpty: boolean }[] = [
      { parent, name, ino, isEmpty: false },
    ];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const { ino: current } = at;
      const inode = await withMemory(() => table.need(current), null);
      if (!inode.isDirectory) await this.#names.unlink(at.parent, at.name, OWNER);
      else if (at.isEmpty) await this.#names.rmdir(at.parent, at.name, OWNER);
      else {
        stack.push({ ...at, isEmpty: true });
        const { entries } = await withMemory(() => table.needAllEntries(table.need(current)), null);
        for (const [child, entry] of entries) {
          if (entry === null) continue;
          stack.push({ parent: current, name: child, ino: entry.ino, isEmpty: false });
        }
      }
    }
  }
}
