/** The inode record: everything `stat` shows, and small contents. Layout in `docs/format.md`. */
import { limits } from '../limits.js';
import {
  decodeRecord,
  encodeRecord,
  readBytes,
  readInt,
  readUint,
  readVersion,
  writeByte,
  writeBytes,
  writeInt,
  writeUint,
} from './codec.js';

const INODE_VERSION = 1;
const FLAG_INLINE = 1;
const U32_MAX = 0xffff_ffff;
const NSEC_MAX = 999_999_999;
const S_IFMT = 0o170000;
const KNOWN_TYPES = new Set([0o010000, 0o020000, 0o040000, 0o060000, 0o100000, 0o120000, 0o140000]);

export interface InodeRecord {
  /** Type and permissions as in `st_mode`. */
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  /** Bytes; for a directory the number of its entries. */
  size: number;
  /** Bytes that extents or inline content occupy. */
  allocatedBytes: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
  btimeSec: number;
  btimeNsec: number;
  /** Device number in the kernel's encoding. */
  rdev: number;
  /** No segment record has this number or a higher one. */
  segmentsEnd: number;
  /** Extended attributes in records of their own. */
  xattrCount: number;
  /** Directory that holds this directory; 0 for everything else. */
  parent: number;
  /** Content of a small file or target of a symbolic link; null when it lies in extents. */
  inline: Buffer | null;
}

export function encodeInode(inode: InodeRecord): Buffer {
  return encodeRecord((state) => {
    writeByte(state, INODE_VERSION);
    writeUint(state, inode.inline === null ? 0 : FLAG_INLINE);
    writeUint(state, inode.mode);
    writeUint(state, inode.uid);
    writeUint(state, inode.gid);
    writeUint(state, inode.nlink);
    writeUint(state, inode.size);
    writeUint(state, inode.allocatedBytes);
    writeInt(state, inode.atimeSec);
    writeUint(state, inode.atimeNsec);
    writeInt(state, inode.mtimeSec);
    writeUint(state, inode.mtimeNsec);
    writeInt(state, inode.ctimeSec);
    writeUint(state, inode.ctimeNsec);
    writeInt(state, inode.btimeSec);
    writeUint(state, inode.btimeNsec);
    writeUint(state, inode.rdev);
    writeUint(state, inode.segmentsEnd);
    writeUint(state, inode.xattrCount);
    writeUint(state, inode.parent);
    if (inode.inline !== null) {
      writeUint(state, inode.inline.length);
      writeBytes(state, inode.inline);
    }
  });
}

/** Throws DamagedError. */
export function decodeInode(ino: number, bytes: Buffer): InodeRecord {
  return decodeRecord(`inode ${ino}`, bytes, (state) => {
    readVersion(state, INODE_VERSION);
    const flags = readUint(state, 'flags', FLAG_INLINE);
    const mode = readUint(state, 'mode', 0o177777);
    if (!KNOWN_TYPES.has(mode & S_IFMT))
      throw new Error(`mode ${mode.toString(8)} has no known type`);
    const record: InodeRecord = {
      mode,
      uid: readUint(state, 'uid', U32_MAX),
      gid: readUint(state, 'gid', U32_MAX),
      nlink: readUint(state, 'nlink', U32_MAX),
      size: readUint(state, 'size', limits.file_bytes_max),
      allocatedBytes: readUint(state, 'allocated bytes', limits.file_bytes_max),
      atimeSec: readInt(state, 'atime'),
      atimeNsec: readUint(state, 'atime nanoseconds', NSEC_MAX),
      mtimeSec: readInt(state, 'mtime'),
      mtimeNsec: readUint(state, 'mtime nanoseconds', NSEC_MAX),
      ctimeSec: readInt(state, 'ctime'),
      ctimeNsec: readUint(state, 'ctime nanoseconds', NSEC_MAX),
      btimeSec: readInt(state, 'btime'),
      btimeNsec: readUint(state, 'btime nanoseconds', NSEC_MAX),
      rdev: readUint(state, 'rdev', U32_MAX),
      segmentsEnd: readUint(state, 'segments', limits.file_bytes_max / limits.segment_bytes),
      xattrCount: readUint(state, 'xattr count', U32_MAX),
      parent: readUint(state, 'parent'),
      inline: null,
    };
    if (flags & FLAG_INLINE) {
      const length = readUint(state, 'inline length', limits.symlink_target_bytes_max);
      if (length !== record.size)
        throw new Error(`inline length ${length} is not size ${record.size}`);
      record.inline = readBytes(state, 'inline content', length);
    }
    return record;
  });
}
