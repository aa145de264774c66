/** Emptying the kernel's caches, so that the next access asks the file system. */
import { spawnSync } from 'node:child_process';

/**
 * Writes back what is dirty in the file system of a directory, and drops the clean pages, names and inodes that the
 * kernel holds, of the whole machine. Returns false where that is not allowed (needs root).
 *
 * Done by other processes: where a file system of the machine hangs, they hang in the kernel and cannot be killed, and
 * this one still can. Only one file system is synced, for the same reason.
 */
export function dropCaches(directory: string): boolean {
  const sync = spawnSync('sync', ['-f', directory]);
  if (sync.status !== 0) throw new Error(`Cannot sync '${directory}': ${String(sync.stderr)}`);
  return dropCleanCaches();
}

/** Like {@link dropCaches}, without writing back before: for a file system that cannot write now. */
export function dropCleanCaches(): boolean {
  if (process.getuid?.() !== 0) return false;
  return spawnSync('sh', ['-c', 'echo 3 2>/dev/null >/proc/sys/vm/drop_caches']).status === 0;
}
