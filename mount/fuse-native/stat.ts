/** What `stat` shows, in the numbers that the package can carry. */
import type { Attributes, FileSystemStatistics } from '../file-system.js';
import type { PackageStat, PackageStatfs } from './fuse-native-package.js';

const UINT32 = 2 ** 32;

export function packageStat(attributes: Attributes): PackageStat {
  const { atimeSec, atimeNsec, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec } = attributes;
  return {
    mode: attributes.mode,
    ino: shownIno(attributes.ino),
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    nlink: attributes.nlink,
    rdev: attributes.rdev,
    blksize: attributes.blockSize,
    blocks: attributes.blocks,
    atime: milliseconds(atimeSec, atimeNsec),
    mtime: milliseconds(mtimeSec, mtimeNsec),
    ctime: milliseconds(ctimeSec, ctimeNsec),
  };
}

/** The package carries 32 bits of an inode number. The upper ones are 0 until a drive has many writers. */
export function shownIno(ino: number): number {
  return ino % UINT32;
}

/** Times before 1970 would be shown as times in a far future. */
function milliseconds(sec: number, nsec: number): number {
  return Math.max(0, sec * 1000 + Math.floor(nsec / 1e6));
}

/** Milliseconds as the time of a change. */
export function timeOf(milliseconds: number): { sec: number; nsec: number } {
  const sec = Math.floor(milliseconds / 1000);
  return { sec, nsec: (milliseconds - sec * 1000) * 1e6 };
}

/** Each figure has 32 bits: a large disk is counted in larger blocks. */
export function packageStatfs(statistics: FileSystemStatistics): PackageStatfs {
  let { blockSize } = statistics;
  while ((statistics.blocks * statistics.blockSize) / blockSize >= UINT32) blockSize *= 2;
  const inBlocks = (blocks: number) => Math.floor((blocks * statistics.blockSize) / blockSize);
  const files = Math.min(statistics.files, UINT32 - 1);
  const filesFree = Math.min(statistics.filesFree, UINT32 - 1);
  return {
    bsize: blockSize,
    frsize: blockSize,
    blocks: inBlocks(statistics.blocks),
    bfree: inBlocks(statistics.blocksFree),
    bavail: inBlocks(statistics.blocksAvailable),
    files,
    ffree: filesFree,
    favail: filesFree,
    namemax: statistics.nameBytesMax,
  };
}
