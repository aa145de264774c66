/** Operations on names: look up, create, link, rename, remove. */
import type { Answer, Caller, Entry, NegativeEntry, OpenAnswer } from '../../mount/file-system.js';
import { limits } from '../limits.js';
import { ACCESS_LIST, DEFAULT_LIST, inheritedLists } from './access-lists.js';
import type { Timestamp } from './clock.js';
import type { FileOperations } from './file-operations.js';
import { type Inode, S_IFDIR, S_IFLNK, S_IFMT } from './inode.js';
import { requireNoPath } from './kept-inodes.js';
import { withMemory } from './not-in-memory.js';
import { PosixError } from './posix-error.js';
import type { Volume } from './volume.js';

const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const O_EXCL = 0o200;

/** What a caller asks for, and the umask that is not applied yet (or once more). */
interface WantedMode {
  mode: number;
  umask: number;
}

/** One side of a rename: a name in a directory, and what it leads to. */
interface Place {
  parent: Inode;
  name: string;
  inode: Inode | null;
}

export class NameOperations {
  readonly #volume: Volume;
  readonly #files: FileOperations;

  constructor(volume: Volume, files: FileOperations) {
    this.#volume = volume;
    this.#files = files;
  }

  lookup(parent: number, name: string, caller: Caller): Answer<Entry | NegativeEntry> {
    const volume = this.#volume;
    return withMemory(() => {
      const directory = volume.table.need(parent);
      requireNoPath(directory);
      if (name === '.') return volume.entryOf(directory);
      if (name === '..') return volume.entryOf(volume.table.need(directory.parent));
      const { inode } = this.#find(parent, name);
      return volume.entryAt(parent, name, inode);
    }, caller);
  }

  mknod(
    parent: number,
    name: string,
    mode: number,
    rdev: number,
    caller: Caller,
    umask = 0,
  ): Answer<Entry> {
    return withMemory(() => {
      const inode = this.#make(parent, name, { mode, umask }, caller);
      inode.rdev = rdev;
      return this.#volume.entryOf(inode);
    }, caller);
  }

  mkdir(parent: number, name: string, mode: number, caller: Caller, umask = 0): Answer<Entry> {
    return withMemory(() => {
      const wanted = { mode: (mode & ~S_IFMT) | S_IFDIR, umask };
      const inode = this.#make(parent, name, wanted, caller);
      this.#volume.table.need(parent).nlink++;
      return this.#volume.entryOf(inode);
    }, caller);
  }

  symlink(parent: number, name: string, target: Buffer, caller: Caller): Answer<Entry> {
    if (target.length > limits.symlink_target_bytes_max) throw new PosixError('ENAMETOOLONG');
    const kept = Buffer.from(target);
    return withMemory(() => {
      const inode = this.#make(parent, name, { mode: S_IFLNK | 0o777, umask: 0 }, caller);
      inode.inline = kept;
      inode.size = kept.length;
      return this.#volume.entryOf(inode);
    }, caller);
  }

  create(
    parent: number,
    name: string,
    mode: number,
    flags: number,
    caller: Caller,
    umask = 0,
  ): Answer<{ entry: Entry; open: OpenAnswer }> {
    return withMemory(() => {
      const existing = this.#find(parent, name).inode;
      if (existing !== null && (flags & O_EXCL) !== 0) throw new PosixError('EEXIST');
      const inode = existing ?? this.#make(parent, name, { mode, umask }, caller);
      const open = this.#files.openInode(inode, flags);
      return { entry: this.#volume.entryAt(parent, name, inode), open };
    }, caller);
  }

  tmpfile(
    parent: number,
    mode: number,
    flags: number,
    caller: Caller,
    umask = 0,
  ): Answer<{ entry: Entry; open: OpenAnswer }> {
    const volume = this.#volume;
    return withMemory(() => {
      const directory = this.#aliveDirectory(parent);
      const inode = this.#newInode(directory, { mode, umask }, caller, volume.clock.now());
      const open = this.#files.openInode(inode, flags);
      return { entry: volume.entryOf(inode), open };
    }, caller);
  }

  link(ino: number, newParent: number, newName: string, caller: Caller): Answer<Entry> {
    const volume = this.#volume;
    return withMemory(() => {
      const { committer } = volume;
      const inode = volume.table.need(ino);
      const target = this.#find(newParent, newName);
      this.#requireAlive(target.parent);
      if (target.inode !== null) throw new PosixError('EEXIST');
      if (inode.isDirectory) throw new PosixError('EPERM');
      if (inode.nlink >= limits.link_count_max) throw new PosixError('EMLINK');
      committer.admit(limits.new_file_record_bytes);
      const now = volume.clock.now();
      inode.nlink++;
      inode.setCtime(now);
      committer.markInode(inode);
      volume.addName(target.parent, newName, inode, now);
      return volume.entryOf(inode);
    }, caller);
  }

  unlink(parent: number, name: string, caller: Caller): Answer<void> {
    const volume = this.#volume;
    return withMemory(() => {
      volume.requireWritable();
      const place = this.#find(parent, name);
      const { inode } = place;
      if (inode === null) throw new PosixError('ENOENT');
      if (inode.isDirectory) throw new PosixError('EISDIR');
      const now = volume.clock.now();
      volume.removeName(place.parent, name, now);
      volume.dropLink(inode, now);
    }, caller);
  }

  rmdir(parent: number, name: string, caller: Caller): Answer<void> {
    const volume = this.#volume;
    return withMemory(() => {
      volume.requireWritable();
      const place = this.#find(parent, name);
      const { inode } = place;
      if (inode === null) throw new PosixError('ENOENT');
      if (!inode.isDirectory) throw new PosixError('ENOTDIR');
      if (inode.size > 0) throw new PosixError('ENOTEMPTY');
      const now = volume.clock.now();
      volume.removeName(place.parent, name, now);
      place.parent.dropSubdirectory();
      volume.dropLink(inode, now);
    }, caller);
  }

  rename(
    parent: number,
    name: string,
    newParent: number,
    newName: string,
    flags: number,
    caller: Caller,
  ): Answer<void> {
    if (flags !== 0 && flags !== RENAME_NOREPLACE && flags !== RENAME_EXCHANGE) {
      throw new PosixError('EINVAL');
    }
    const volume = this.#volume;
    return withMemory(() => {
      volume.requireWritable();
      const from = this.#find(parent, name);
      const to = this.#find(newParent, newName);
      if (from.inode === null) throw new PosixError('ENOENT');
      this.#requireAlive(to.parent);
      const now = volume.clock.now();
      if (flags === RENAME_EXCHANGE) {
        this.#requireAlive(from.parent);
        this.#exchange(from as Place & { inode: Inode }, to, now);
        return;
      }
      if (to.inode !== null) {
        if (flags === RENAME_NOREPLACE) throw new PosixError('EEXIST');
        if (to.inode === from.inode) return;
        requireReplaceable(from.inode, to.inode);
      }
      this.#move(from as Place & { inode: Inode }, to, now);
    }, caller);
  }

  #move(from: Place & { inode: Inode }, to: Place, now: Timestamp): void {
    const volume = this.#volume;
    const { inode } = from;
    volume.removeName(from.parent, from.name, now);
    if (to.inode === null) volume.addName(to.parent, to.name, inode, now);
    else volume.replaceName(to.parent, to.name, inode, now);
    if (inode.isDirectory) {
      from.parent.dropSubdirectory();
      // A directory that replaces one takes its place in the count of the parent.
      if (to.inode === null) to.parent.nlink++;
      inode.parent = to.parent.ino;
    }
    inode.setCtime(now);
    volume.committer.markInode(inode);
    if (to.inode !== null) volume.dropLink(to.inode, now);
  }

  #exchange(from: Place & { inode: Inode }, to: Place, now: Timestamp): void {
    const volume = this.#volume;
    const other = to.inode;
    if (other === null) throw new PosixError('ENOENT');
    volume.replaceName(from.parent, from.name, other, now);
    volume.replaceName(to.parent, to.name, from.inode, now);
    if (from.inode.isDirectory !== other.isDirectory && from.parent !== to.parent) {
      const toFrom = other.isDirectory ? 1 : -1;
      from.parent.nlink += toFrom;
      to.parent.nlink -= toFrom;
    }
    if (from.inode.isDirectory) from.inode.parent = to.parent.ino;
    if (other.isDirectory) other.parent = from.parent.ino;
    for (const inode of [from.inode, other]) {
      inode.setCtime(now);
      volume.committer.markInode(inode);
    }
  }

  /** Throws NotInMemory, ENOTDIR. */
  #find(parent: number, name: string): Place {
    const { table } = this.#volume;
    const directory = table.need(parent);
    const entry = table.needEntry(directory, name);
    const inode = entry === null ? null : table.needNamed(directory, name, entry);
    return { parent: directory, name, inode };
  }

  #make(parent: number, name: string, wanted: WantedMode, caller: Caller): Inode {
    const volume = this.#volume;
    volume.requireWritable();
    const place = this.#find(parent, name);
    this.#requireAlive(place.parent);
    if (place.inode !== null) throw new PosixError('EEXIST');
    const now = volume.clock.now();
    const inode = this.#newInode(place.parent, wanted, caller, now);
    if (!inode.isDirectory) inode.nlink = 1;
    volume.addName(place.parent, name, inode, now);
    return inode;
  }

  /** Where the directory has a default list, that and not the umask says what the new inode lacks. */
  #newInode(parent: Inode, { mode, umask }: WantedMode, caller: Caller, now: Timestamp): Inode {
    const volume = this.#volume;
    const given = (mode & S_IFMT) === S_IFLNK ? null : inheritedLists(volume, parent, mode);
    const inode = volume.newInode(parent, given?.mode ?? mode & ~umask, caller, now);
    if (given !== null) {
      if (given.access !== null) volume.putXattr(inode, ACCESS_LIST, given.access);
      if (inode.isDirectory) volume.putXattr(inode, DEFAULT_LIST, given.default);
    }
    volume.committer.markInode(inode);
    return inode;
  }

  #aliveDirectory(ino: number): Inode {
    this.#volume.requireWritable();
    const directory = this.#volume.table.need(ino);
    if (!directory.isDirectory) throw new PosixError('ENOTDIR');
    this.#requireAlive(directory);
    return directory;
  }

  /** A directory that was removed while somebody is in it takes no new names. */
  #requireAlive(directory: Inode): void {
    if (directory.nlink === 0) throw new PosixError('ENOENT');
  }
}

function requireReplaceable(moved: Inode, replaced: Inode): void {
  if (replaced.isDirectory) {
    if (!moved.isDirectory) throw new PosixError('EISDIR');
    if (replaced.size > 0) throw new PosixError('ENOTEMPTY');
  } else if (moved.isDirectory) {
    throw new PosixError('ENOTDIR');
  }
}
