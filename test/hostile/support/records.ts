/** Records as somebody with the signing key may write them: fields as one likes. */
import { Inode, S_IFDIR, S_IFMT, S_IFREG } from '../../../src/fs/inode.js';
import { encodeEntry } from '../../../src/tree/entry-record.js';
import { encodeInode, type InodeRecord } from '../../../src/tree/inode-record.js';
import { entryKey, inodeKey, xattrKey } from '../../../src/tree/keys.js';
import type { TreeChange } from '../../../src/tree/tree.js';

export const ROOT_INO = 1;

export interface HostileInode extends Partial<Omit<InodeRecord, 'inline'>> {
  inline?: Buffer | string | null;
}

/** An inode's record; a directory in the root directory unless told otherwise. */
export function inode(ino: number, fields: HostileInode): TreeChange {
  return { key: inodeKey(ino), value: encodedInode(ino, fields) };
}

function encodedInode(ino: number, fields: HostileInode): Buffer {
  const record = new Inode(ino);
  record.mode = S_IFREG | 0o644;
  record.nlink = 1;
  const inline = typeof fields.inline === 'string' ? Buffer.from(fields.inline) : fields.inline;
  Object.assign(record, { size: inline?.length ?? 0 }, fields, { inline: inline ?? null });
  if (record.isDirectory && fields.parent === undefined) record.parent = ROOT_INO;
  return encodeInode(record);
}

/**
 * The same with a size that our encoder refuses: eight bytes, as they are, in place of a number that it takes.
 */
export function inodeOfSize(ino: number, size: bigint, fields: HostileInode = {}): TreeChange {
  const placeholder = 0xfedc_ba98;
  const value = encodedInode(ino, { ...fields, size: placeholder });
  const short = Buffer.alloc(5, 0xfe);
  short.writeUInt32LE(placeholder, 1);
  const at = value.indexOf(short);
  const long = Buffer.alloc(9, 0xff);
  long.writeBigUInt64LE(size, 1);
  const rest = value.subarray(at + short.length);
  return { key: inodeKey(ino), value: Buffer.concat([value.subarray(0, at), long, rest]) };
}

export function directory(ino: number, fields: HostileInode = {}): TreeChange {
  return inode(ino, { mode: S_IFDIR | 0o755, nlink: 2, ...fields });
}

/** A name that leads to an inode; `mode` tells the type it is said to have. */
export function entry(parent: number, name: string, ino: number, mode = S_IFREG): TreeChange {
  return { key: entryKey(parent, name), value: encodeEntry({ ino, type: mode & S_IFMT }) };
}

export function xattr(ino: number, name: string, value: Buffer | string): TreeChange {
  return { key: xattrKey(ino, name), value: Buffer.from(value) };
}
