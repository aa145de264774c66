/** Emptying the kernel's caches, so that the next access asks the file system. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/**
 * Writes back what is dirty and drops cached pages, names and inodes of the whole machine.
 * Returns false where that is not allowed (needs root).
 */
export function dropCaches(): boolean {
  spawnSync('sync');
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3');
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT')
      return false;
    throw error;
  }
}
