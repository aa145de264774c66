/** Operations on attributes and extended attributes. */
import type { Answer, AttributeChanges, Caller, TimedAttributes } from '../../mount/file-system.js';
import { limits } from '../limits.js';
import { ACCESS_LIST, checkedList, chmodList, isAccessList, setList } from './access-lists.js';
import { dropSuidGid, type FileOperations, modeWithoutSuidGid } from './file-operations.js';
import { type Inode, S_IFMT, S_ISGID } from './inode.js';
import { withMemory } from './not-in-memory.js';
import { PosixError } from './posix-error.js';
import { isVirtual, virtualXattr } from './virtual-xattrs.js';
import type { Volume } from './volume.js';
import { XATTR_NAMESPACES } from './xattr-name.js';

const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

export class AttributeOperations {
  readonly #volume: Volume;
  readonly #files: FileOperations;

  constructor(volume: Volume, files: FileOperations) {
    this.#volume = volume;
    this.#files = files;
  }

  getattr(ino: number, caller: Caller): Answer<TimedAttributes> {
    const volume = this.#volume;
    return withMemory(() => volume.timedAttributes(volume.table.need(ino)), caller);
  }

  setattr(ino: number, changes: AttributeChanges, caller: Caller): Answer<TimedAttributes> {
    const volume = this.#volume;
    for (const time of [changes.atime, changes.mtime, changes.ctime]) requireStorable(time);
    return withMemory(() => {
      volume.requireWritable();
      const inode = volume.table.need(ino);
      if (changesNothing(changes)) requireMayDropBits(inode, changes, caller);
      // It can find that something is not in memory, so it comes before anything changes; truncate as well.
      const list = changes.mode === undefined ? null : chmodList(volume, inode, changes.mode);
      if (changes.size !== undefined) {
        if (!inode.isFile) throw new PosixError(inode.isDirectory ? 'EISDIR' : 'EINVAL');
        // Nothing may change before this: it can find that something is not in memory.
        if (changes.size !== inode.size) this.#files.truncate(inode, changes.size);
        else this.#files.resize(inode, changes.size);
      }
      this.#apply(inode, changes, caller);
      if (list !== null) volume.putXattr(inode, ACCESS_LIST, list);
      return volume.timedAttributes(inode, !mayBeTimesOfCache(changes));
    }, caller);
  }

  #apply(inode: Inode, changes: AttributeChanges, caller: Caller): void {
    const now = this.#volume.clock.now();
    const givesAway = changes.uid !== undefined || changes.gid !== undefined;
    const dropsBits = givesAway || changesNothing(changes) || changes.killSuidGid;
    if (!inode.isDirectory && dropsBits) dropSuidGid(inode, caller);
    if (changes.uid !== undefined) inode.uid = changes.uid;
    if (changes.gid !== undefined) inode.gid = changes.gid;
    if (changes.mode !== undefined) {
      inode.mode = (inode.mode & S_IFMT) | (changes.mode & ~S_IFMT & 0o7777);
    }
    // A kernel that owns the times says which of them a change moves: another value here would show up when it forgets.
    const ownsTimes = !(this.#volume.writebackCache && inode.isFile);
    if (changes.size !== undefined && ownsTimes) inode.setMtime(now);
    if (changes.atime !== undefined) inode.setAtime(changes.atime === 'now' ? now : changes.atime);
    if (changes.mtime !== undefined) inode.setMtime(changes.mtime === 'now' ? now : changes.mtime);
    if (changes.ctime !== undefined || ownsTimes) inode.setCtime(changes.ctime ?? now);
    this.#volume.committer.markInode(inode);
  }

  readlink(ino: number, caller: Caller): Answer<Buffer> {
    return withMemory(() => {
      const inode = this.#volume.table.need(ino);
      if (!inode.isSymlink) throw new PosixError('EINVAL');
      return inode.target;
    }, caller);
  }

  getxattr(ino: number, name: string, caller: Caller): Answer<Buffer> {
    this.#requireNamespace(name);
    if (isVirtual(name)) return virtualXattr(this.#volume, ino, name, caller);
    const { table } = this.#volume;
    return withMemory(() => {
      const inode = table.need(ino);
      // The common case needs no look-up of values.
      const value = inode.xattrCount === 0 ? undefined : table.needXattrs(inode).values.get(name);
      if (value === undefined) throw new PosixError('ENODATA');
      return isAccessList(name) ? checkedList(inode, name, value) : value;
    }, caller);
  }

  listxattr(ino: number, caller: Caller): Answer<string[]> {
    const { table } = this.#volume;
    return withMemory(() => {
      const inode = table.need(ino);
      if (inode.xattrCount === 0) return [];
      const stored = [...table.needXattrs(inode).values.keys()];
      // Of a drive that was written before these names had a meaning of their own.
      const names = stored.filter((name) => {
        return !isVirtual(name) && (caller.uid === 0 || !name.startsWith('trusted.'));
      });
      return this.#volume.posixAcl ? names : names.filter((name) => !isAccessList(name));
    }, caller);
  }

  setxattr(
    ino: number,
    name: string,
    value: Buffer,
    flags: number,
    caller: Caller,
    killsSgid = false,
  ): Answer<void> {
    this.#requireNamespace(name);
    if (isVirtual(name)) throw new PosixError('EPERM');
    if (value.length > limits.xattr_value_bytes_max) throw new PosixError('ERANGE');
    const kept = Buffer.from(value);
    return withMemory(() => {
      this.#volume.requireWritable();
      const inode = this.#volume.table.need(ino);
      const xattrs = this.#volume.table.needXattrs(inode);
      const exists = xattrs.values.has(name);
      const replaced = xattrs.values.get(name)?.length ?? 0;
      if (exists && (flags & XATTR_CREATE) !== 0) throw new PosixError('EEXIST');
      if (!exists && (flags & XATTR_REPLACE) !== 0) throw new PosixError('ENODATA');
      if (!exists && listBytes(xattrs.values) + name.length + 1 > limits.xattr_list_bytes_max) {
        throw new PosixError('ENOSPC');
      }
      const bytes = valueBytes(xattrs.values) - replaced + kept.length;
      if (bytes > limits.xattrs_bytes_max) throw new PosixError('ENOSPC');
      this.#volume.committer.admit(limits.new_file_record_bytes + kept.length);
      if (!isAccessList(name)) {
        this.#putXattr(inode, name, kept);
        return;
      }
      const { mode, stored } = setList(inode, name, kept);
      inode.mode = killsSgid ? mode & ~S_ISGID : mode;
      this.#putXattr(inode, name, stored);
    }, caller);
  }

  removexattr(ino: number, name: string, caller: Caller): Answer<void> {
    this.#requireNamespace(name);
    if (isVirtual(name)) throw new PosixError('EPERM');
    return withMemory(() => {
      this.#volume.requireWritable();
      const inode = this.#volume.table.need(ino);
      const xattrs = this.#volume.table.needXattrs(inode);
      if (xattrs.values.has(name)) this.#putXattr(inode, name, null);
      // There is no list to remove where the mode says it all.
      else if (!isAccessList(name)) throw new PosixError('ENODATA');
    }, caller);
  }

  #putXattr(inode: Inode, name: string, value: Buffer | null): void {
    this.#volume.putXattr(inode, name, value);
    inode.setCtime(this.#volume.clock.now());
    this.#volume.committer.markInode(inode);
  }

  #requireNamespace(name: string): void {
    if (this.#volume.posixAcl && isAccessList(name)) return;
    requireNamespace(name);
  }
}

/** A chown that leaves owner and group as they are (-1): the kernel leaves out both. It takes bits away all the same. */
function changesNothing({ uid, gid, mode, size, atime, mtime }: AttributeChanges): boolean {
  return [uid, gid, mode, size, atime, mtime].every((change) => change === undefined);
}

/**
 * Linux takes such a chown for a chmod when it takes bits away, but FUSE leaves out the check. What a write takes away
 * comes without a time of change, and whoever may write may do that. Throws EPERM.
 */
function requireMayDropBits(inode: Inode, changes: AttributeChanges, caller: Caller): void {
  const isWrite = inode.isFile && changes.ctime === undefined;
  if (isWrite || inode.isDirectory || caller.uid === 0 || caller.uid === inode.uid) return;
  if (modeWithoutSuidGid(inode, caller) !== inode.mode) throw new PosixError('EPERM');
}

/** The format's signed numbers reach half as far as its others. */
const SECONDS_MAX = 2 ** 52 - 1;

function requireStorable(time: { sec: number } | 'now' | undefined): void {
  if (time === undefined || time === 'now') return;
  if (Math.abs(time.sec) > SECONDS_MAX) throw new PosixError('EINVAL');
}

function requireNamespace(name: string): void {
  if (name.length > limits.name_bytes_max) throw new PosixError('ERANGE');
  if (XATTR_NAMESPACES.includes(name)) throw new PosixError('EINVAL');
  if (!XATTR_NAMESPACES.some((prefix) => name.startsWith(prefix))) {
    throw new PosixError('EOPNOTSUPP');
  }
}

function valueBytes(values: ReadonlyMap<string, Buffer>): number {
  let bytes = 0;
  for (const value of values.values()) bytes += value.length;
  return bytes;
}

function listBytes(values: ReadonlyMap<string, Buffer>): number {
  let bytes = 0;
  for (const name of values.keys()) bytes += name.length + 1;
  return bytes;
}

/** A kernel that caches writes tells their times like this, and does not read the answer. */
function mayBeTimesOfCache(changes: AttributeChanges): boolean {
  const { size, mode, uid, gid } = changes;
  return size === undefined && mode === undefined && uid === undefined && gid === undefined;
}
