import { writeFile } from 'node:fs/promises';
import { umount2 } from './libc.js';

const MNT_FORCE = 1;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/**
 * Ends the connection to the kernel at once: every call on the mount fails from now on, and reading requests ends.
 * Root can by a forced unmount, which asks the file system nothing; the mounting user through the control file system,
 * where it is mounted. Returns whether one of them worked. `device` is "major:minor" of the mount.
 */
export async function abortConnection(directory: string, device: string | null): Promise<boolean> {
  if (device !== null) {
    try {
      await writeFile(`/sys/fs/fuse/connections/${device.split(':')[1]}/abort`, '1');
      return true;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (!['ENOENT', 'EACCES', 'EPERM', 'EROFS'].includes(code)) throw error;
    }
  }
  return forceUnmount(directory);
}

/** As root: ends the connection, and unmounts unless the directory is in use. Does not wait for this process. */
function forceUnmount(directory: string): boolean {
  if (process.geteuid?.() !== 0) return false;
  umount2(directory, MNT_FORCE | UMOUNT_NOFOLLOW);
  return true;
}

/** As root, for the exit of the process: ends the connection and detaches the directory. */
export function dropMountNow(directory: string): void {
  if (forceUnmount(directory)) umount2(directory, MNT_DETACH | UMOUNT_NOFOLLOW);
}
