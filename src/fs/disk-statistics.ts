import { statfsSync } from 'node:fs';
import type { FileSystemStatistics } from '../../mount/file-system.js';
import { limits } from '../limits.js';

const BLOCK_BYTES = 4096;

/** What `statfs` says of a drive: the figures of the disk that `directory` is on. */
export function diskStatistics(directory: string): FileSystemStatistics {
  const disk = statfsSync(directory);
  const scale = disk.bsize / BLOCK_BYTES;
  return {
    blockSize: BLOCK_BYTES,
    blocks: Math.floor(disk.blocks * scale),
    blocksFree: Math.floor(disk.bfree * scale),
    blocksAvailable: Math.floor(disk.bavail * scale),
    files: disk.files,
    filesFree: disk.ffree,
    nameBytesMax: limits.name_bytes_max,
  };
}
