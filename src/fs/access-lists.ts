/**
 * POSIX access lists (acl(5)). The kernel goes by them, and leaves to the file system what is here: a list and the mode
 * say the same of the owner, of the group class and of others, and new inodes inherit the default list of their directory.
 *
 * They are stored as the kernel hands them over, the values of two extended attributes: u32 version, then for each entry
 * u16 tag, u16 permissions, u32 user or group, all little-endian, in ascending order of the tags.
 */
import { DamagedError } from '../errors.js';
import { type Inode, S_IRWXUGO } from './inode.js';
import { PosixError } from './posix-error.js';
import type { Volume } from './volume.js';

export const ACCESS_LIST = 'system.posix_acl_access';
export const DEFAULT_LIST = 'system.posix_acl_default';

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

const TAG = { owner: 1, user: 2, owningGroup: 4, group: 8, mask: 16, others: 32 } as const;
const TAGS: readonly number[] = Object.values(TAG);

interface Entry {
  tag: number;
  /** Read 4, write 2, execute 1. */
  permissions: number;
  /** User or group number; without meaning except for `user` and `group`. */
  id: number;
}

export function isAccessList(name: string): boolean {
  return name === ACCESS_LIST || name === DEFAULT_LIST;
}

/** The entries, or null when it is no list that the kernel would take: it can come from another writer. */
function decode(bytes: Buffer): Entry[] | null {
  const count = (bytes.length - HEADER_BYTES) / ENTRY_BYTES;
  if (!Number.isInteger(count) || count < 3 || bytes.readUInt32LE(0) !== VERSION) return null;
  const entries: Entry[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    entries.push({
      tag: bytes.readUInt16LE(at),
      permissions: bytes.readUInt16LE(at + 2),
      id: bytes.readUInt32LE(at + 4),
    });
  }
  const countOf = (tag: number) => entries.filter((entry) => entry.tag === tag).length;
  const isSound =
    entries.every(
      ({ tag, permissions }, index) =>
        TAGS.includes(tag) && permissions <= 7 && tag >= (entries[index - 1]?.tag ?? 0),
    ) &&
    [TAG.owner, TAG.owningGroup, TAG.others].every((tag) => countOf(tag) === 1) &&
    // Named users and groups are limited by a mask.
    (countOf(TAG.mask) === 1 || (countOf(TAG.mask) === 0 && count === 3));
  return isSound ? entries : null;
}

function encode(entries: readonly Entry[]): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + entries.length * ENTRY_BYTES);
  bytes.writeUInt32LE(VERSION, 0);
  entries.forEach(({ tag, permissions, id }, index) => {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    bytes.writeUInt16LE(tag, at);
    bytes.writeUInt16LE(permissions, at + 2);
    bytes.writeUInt32LE(id, at + 4);
  });
  return bytes;
}

/** By how much the permissions of a tag are shifted in a mode; null for a tag that the mode does not show. */
function shiftOf(tag: number, entries: readonly Entry[]): number | null {
  if (tag === TAG.owner) return 6;
  if (tag === TAG.others) return 0;
  // The mode's middle bits are the mask, where there is one.
  const hasMask = entries.some((entry) => entry.tag === TAG.mask);
  return tag === (hasMask ? TAG.mask : TAG.owningGroup) ? 3 : null;
}

function permissionBitsOf(entries: readonly Entry[]): number {
  let bits = 0;
  for (const { tag, permissions } of entries) {
    const shift = shiftOf(tag, entries);
    if (shift !== null) bits |= permissions << shift;
  }
  return bits;
}

/** The entries with what `change` makes of those permissions that a mode shows, too. */
function changed(entries: readonly Entry[], change: (before: number, shift: number) => number) {
  return entries.map((entry) => {
    const shift = shiftOf(entry.tag, entries);
    return shift === null ? entry : { ...entry, permissions: change(entry.permissions, shift) };
  });
}

function withPermissionBits(mode: number, bits: number): number {
  return (mode & ~S_IRWXUGO) | bits;
}

/** A list as it is stored. Throws DamagedError: who may do what must not be guessed. */
export function checkedList(inode: Inode, name: string, value: Buffer): Buffer {
  requireSound(inode, name, decode(value));
  return value;
}

function requireSound(inode: Inode, name: string, entries: Entry[] | null): Entry[] {
  if (entries === null) throw new DamagedError(`Inode ${inode.ino} has a '${name}' that is none`);
  return entries;
}

/** What setting a list makes of an inode: its mode, and what is to be stored (null: the mode says it all). */
export function setList(
  inode: Inode,
  name: string,
  value: Buffer,
): { mode: number; stored: Buffer | null } {
  const entries = decode(value);
  if (entries === null) throw new PosixError('EINVAL');
  if (name === DEFAULT_LIST) {
    if (!inode.isDirectory) throw new PosixError('EACCES');
    return { mode: inode.mode, stored: value };
  }
  const mode = withPermissionBits(inode.mode, permissionBitsOf(entries));
  return { mode, stored: entries.length === 3 ? null : value };
}

/**
 * The access list of an inode whose mode is about to change; null when it has none. Also on a mount that does not go by
 * lists, so that they are right on the next that does. Throws NotInMemory.
 */
export function chmodList(volume: Volume, inode: Inode, mode: number): Buffer | null {
  if (inode.xattrCount === 0) return null;
  const value = volume.table.needXattrs(inode).values.get(ACCESS_LIST);
  const entries = value === undefined ? null : decode(value);
  return entries === null ? null : encode(changed(entries, (_, shift) => (mode >> shift) & 7));
}

/** What a new inode gets from its directory; null where that has no default list. Throws NotInMemory, DamagedError. */
export function inheritedLists(
  volume: Volume,
  parent: Inode,
  mode: number,
): { mode: number; access: Buffer | null; default: Buffer } | null {
  if (!volume.posixAcl || parent.xattrCount === 0) return null;
  const value = volume.table.needXattrs(parent).values.get(DEFAULT_LIST);
  if (value === undefined) return null;
  const parents = requireSound(parent, DEFAULT_LIST, decode(value));
  // Nobody gets more than the program asked for.
  const entries = changed(parents, (before, shift) => before & (mode >> shift));
  return {
    mode: withPermissionBits(mode, permissionBitsOf(entries)),
    access: entries.length === 3 ? null : encode(entries),
    default: value,
  };
}
