/** Everything that can be seen of a directory tree, as plain data: to record it once and compare it later. */
import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { lgetxattr, llistxattr } from '../support/xattr.js';

/** One file. Numbers that may exceed 2^53, and times, are decimal text. */
export interface ListedFile {
  /** Path below the root, bytes as hexadecimal digits. */
  path: string;
  /** As octal digits. */
  mode: string;
  uid: number;
  gid: number;
  nlink: number;
  /** Files with the same number are links of one. */
  inode: string;
  /** Bytes; of a file or a symbolic link. */
  size: string | null;
  /** In units of 512 bytes; of a file. */
  blocks: string | null;
  mtimeNs: string;
  rdev: string;
  /** SHA-256 of a file's content, or a symbolic link's target. */
  content: string | null;
  xattrs: Record<string, string>;
}

/** Lists a tree, without its root, in the order of the paths' bytes. */
export function listTree(root: string): ListedFile[] {
  const files: ListedFile[] = [];
  const walk = (directory: Buffer, below: Buffer): void => {
    for (const name of readdirSync(directory, { encoding: 'buffer' })) {
      const full = Buffer.concat([directory, Buffer.from('/'), name]);
      const path = below.length === 0 ? name : Buffer.concat([below, Buffer.from('/'), name]);
      const stats = lstatSync(full, { bigint: true });
      files.push(listFile(full, path, stats));
      if (stats.isDirectory()) walk(full, path);
    }
  };
  walk(Buffer.from(root), Buffer.alloc(0));
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function listFile(full: Buffer, path: Buffer, stats: BigIntStats): ListedFile {
  const hasContent = stats.isFile() || stats.isSymbolicLink();
  const xattrs: Record<string, string> = {};
  for (const name of llistxattr(full).sort()) xattrs[name] = lgetxattr(full, name).toString('hex');
  return {
    path: path.toString('hex'),
    mode: stats.mode.toString(8),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    nlink: Number(stats.nlink),
    inode: String(stats.ino),
    size: hasContent ? String(stats.size) : null,
    blocks: stats.isFile() ? String(stats.blocks) : null,
    mtimeNs: String(stats.mtimeNs),
    rdev: String(stats.rdev),
    content: contentOf(full, stats),
    xattrs,
  };
}

function contentOf(full: Buffer, stats: BigIntStats): string | null {
  if (stats.isSymbolicLink()) return readlinkSync(full, 'buffer').toString('hex');
  if (!stats.isFile()) return null;
  return createHash('sha256').update(readFileSync(full)).digest('hex');
}
