import { writeFile } from 'node:fs/promises';
import { mountLimits } from '../limits.js';

/**
 * Raises the kernel's read-ahead of one mount from 128 KiB, so that sequential reads arrive in requests of the agreed
 * size. Only root may; for others it stays. `device` is "major:minor" of the mount.
 */
export async function raiseReadAhead(device: string): Promise<void> {
  try {
    await writeFile(
      `/sys/class/bdi/${device}/read_ahead_kb`,
      String(mountLimits.readahead_bytes_max / 1024),
    );
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    // Not root, or a system without a writable /sys: slower, not wrong.
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOENT'].includes(code)) throw error;
  }
}
