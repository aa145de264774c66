/** The disk that folders take, from what their files say. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../limits.js';

/** Bytes of disk that the files below a folder take; those whose name `counts`. */
export async function diskUsage(
  directory: string,
  counts: (name: string) => boolean = () => true,
): Promise<number> {
  let bytes = 0;
  let files = 0;
  const pending = [directory];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const paths: string[] = [];
    for (const entry of await listIfThere(next)) {
      if (++files > limits.store_files_max) return bytes;
      const path = join(next, entry.name);
      if (entry.isDirectory()) pending.push(path);
      else if (counts(entry.name)) paths.push(path);
    }
    for (const size of await Promise.all(paths.map(allocatedBytes))) bytes += size;
  }
  return bytes;
}

async function listIfThere(path: string) {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** A running store makes and removes files all the time. */
async function allocatedBytes(path: string): Promise<number> {
  try {
    return (await lstat(path)).blocks * 512;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
