/** A drive with very many small files: where they are, and how large. The same for the same number of files. */
import { join } from 'node:path';

export const FILES_PER_DIRECTORY = 100;
export const DIRECTORIES_PER_GROUP = 100;

const FILE_BYTES_MIN = 100;
const FILE_BYTES_MAX = 4096;

/** Names of groups of directories have four characters, those of directories three, those of files twelve. */
export function groupName(directory: number): string {
  return `grp${Math.floor(directory / DIRECTORIES_PER_GROUP)}`;
}

export function directoryName(directory: number): string {
  return `d${String(directory % DIRECTORIES_PER_GROUP).padStart(2, '0')}`;
}

export function fileName(file: number): string {
  return `file-${String(file % FILES_PER_DIRECTORY).padStart(3, '0')}.txt`;
}

export function directoryOf(file: number): number {
  return Math.floor(file / FILES_PER_DIRECTORY);
}

export function directoryPath(root: string, directory: number): string {
  return join(root, groupName(directory), directoryName(directory));
}

export function filePath(root: string, file: number): string {
  return join(directoryPath(root, directoryOf(file)), fileName(file));
}

/** From 100 bytes to 4 KiB, each power of two as often: half of them fit into their inode's record. */
export function fileBytes(file: number): number {
  // A multiplicative hash: neighbours differ.
  const share = (Math.imul(file + 1, 0x9e3779b1) >>> 0) / 2 ** 32;
  return Math.floor(FILE_BYTES_MIN * (FILE_BYTES_MAX / FILE_BYTES_MIN) ** share);
}
