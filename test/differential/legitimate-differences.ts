/**
 * Where a mount and the file system it is compared with may differ. Nothing else may. docs/posix.md shows this table;
 * a test keeps the two together.
 */
import type { Field, InodeState } from './inode-state.js';

export interface LegitimateDifference {
  what: string;
  why: string;
}

/** A difference that is met when two inodes are compared. */
export interface AcceptedDifference extends LegitimateDifference {
  fields: readonly Field[];
  /** Whether these two values may differ as they do. */
  accepts: (plain: InodeState, mounted: InodeState, settled: boolean) => boolean;
}

const EXT4_BLOCK_BYTES = 4096n;
/** The same in units of st_blocks. */
const EXT4_BLOCK = EXT4_BLOCK_BYTES / 512n;
/** Extended attributes take a block on ext4, which counts as one of the file. */
const XATTR_BLOCKS = 8n;
/**
 * A hole that reaches the end of a file takes all of the ext4 block in which the file ends, on a drive only its own
 * bytes. The rest of that block is space reserved behind the end.
 */
const LAST_BLOCK = EXT4_BLOCK;
/** A file with many extents has blocks that hold their list. */
const EXTENT_LIST_BLOCKS = 64n;

export const LEGITIMATE_DIFFERENCES: readonly AcceptedDifference[] = [
  {
    fields: ['modification time', 'change time'],
    what: 'times of a fifo after a write into it',
    why: 'what goes through a fifo stays in the kernel, which does not tell a FUSE file system of it',
    accepts: ({ stat }) => stat.isFIFO(),
  },
  {
    fields: ['size'],
    what: 'size of a directory',
    why: 'POSIX leaves it open; ext4 shows the bytes of its blocks, a drive always 4096',
    accepts: ({ stat }) => stat.isDirectory(),
  },
  {
    fields: ['access time'],
    what: 'access time after a read',
    why: 'the machine decides with its mount options (relatime, noatime) when reading updates it; that utimensat sets it is checked by the conformance tests',
    accepts: () => true,
  },
  {
    fields: ['allocated blocks'],
    what: 'unit of allocated blocks (st_blocks)',
    why: 'ext4 allocates 4 KiB blocks, a drive exact bytes; ext4 also counts blocks of attributes, long extent lists and directories; a hole that is copied stays one on a drive. A hole that reaches the end takes the whole last block of ext4, on a drive no byte more than it names, so of space reserved behind the end up to 4 KiB more stay. What the kernel has not written out yet is not counted on a mount. Checked: once it is, a file has blocks if it has data, and not more than ext4 gives it; that reserved space is counted is checked by the conformance tests',
    accepts: (plain, mounted, settled) =>
      !plain.stat.isFile() ||
      !settled ||
      // A file that is something else on the mount is told of as that.
      !mounted.stat.isFile() ||
      acceptableBlocks(plain, mounted),
  },
];

/** Differences that would come up if the tester asked for them. It does not. */
export const NOT_ASKED: readonly LegitimateDifference[] = [
  {
    what: 'times after truncate to the size a file has',
    why: 'Linux promises new times when the size changes (truncate(2)); ext4 also sets them when it does not, FUSE does not',
  },
  {
    what: 'change time after an extended attribute is set to the value it has',
    why: 'ext4 does nothing then, a drive sets the time, as for any other value',
  },
  {
    what: 'files above 16 TiB',
    why: 'ext4 refuses them with EFBIG; the limit of a drive is 1 PiB',
  },
  {
    what: 'files without a name that touch more than 131,072 different MiB together (O_TMPFILE, and what is removed within the second after it was made)',
    why: 'ext4 takes what the disk has room for; on a drive where such files have their data is in memory only, and above that a write fails with ENOSPC. With a name it does not count',
  },
  {
    what: 'extended attributes of more than 4 KiB together',
    why: 'ext4 refuses them with ENOSPC; a drive takes values of 64 KiB each, as Linux allows, and 16 MiB on one file',
  },
  {
    what: 'POSIX ACLs (system.posix_acl_access, system.posix_acl_default)',
    why: 'without --acl a mount refuses them with EOPNOTSUPP; see below',
  },
  {
    what: 'direct I/O at odd offsets or lengths',
    why: 'ext4 refuses it with EINVAL; FUSE has no alignment to keep',
  },
  {
    what: 'fallocate with COLLAPSE_RANGE, INSERT_RANGE, UNSHARE_RANGE',
    why: 'the kernel refuses these on FUSE with EOPNOTSUPP before the file system is asked',
  },
  {
    what: 'RENAME_WHITEOUT, chattr flags, quotas, fiemap',
    why: 'means of particular file systems, not of POSIX',
  },
  {
    what: 'where holes begin and end',
    why: 'a matter of the block size. Checked: what SEEK_DATA skips on a mount reads as zeros',
  },
  {
    what: 'the order of readdir',
    why: 'POSIX leaves it open. Checked: while a directory changes, each name that stays is listed exactly once',
  },
  {
    what: 'device nodes that are opened',
    why: 'mounts are nodev, the folder compared with may not be; that they are made and kept is checked by the conformance tests',
  },
];

function acceptableBlocks(plain: InodeState, mounted: InodeState): boolean {
  const [wanted, got] = [plain['allocated blocks'], mounted['allocated blocks']];
  const blocksOfData = ((plain.size + EXT4_BLOCK_BYTES - 1n) / EXT4_BLOCK_BYTES) * EXT4_BLOCK;
  const hasAllItsData = wanted === blocksOfData;
  if (got > wanted + (hasAllItsData ? 0n : LAST_BLOCK)) return false;
  return got > 0n || wanted <= XATTR_BLOCKS + EXTENT_LIST_BLOCKS || mounted.isHole();
}
