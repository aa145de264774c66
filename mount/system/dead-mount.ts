/** Mounts whose process is gone, and which the kernel still has. */
import { stat, statfs } from 'node:fs/promises';

/**
 * Whether a directory is such a mount. The kernel remembers attributes for long, and may answer `stat` of a dead mount itself;
 * `statfs` it passes on to whoever serves the mount. Throws errors of `stat`.
 */
export async function isDeadMount(directory: string): Promise<boolean> {
  try {
    await stat(directory);
  } catch (error) {
    if (isOfDeadMount(error)) return true;
    throw error;
  }
  // Whatever else is wrong with it, somebody is there who says so.
  return await statfs(directory).then(() => false, isOfDeadMount);
}

/** ECONNABORTED: its process was ending while it was asked. */
export function isOfDeadMount(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOTCONN' || code === 'ECONNABORTED';
}
