import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Bytes in the write-ahead files of a store: about what RocksDB holds in memory until it writes its next files.
 *
 * @param storeDirectory The Corestore's.
 */
export async function writeAheadBytes(storeDirectory: string): Promise<number> {
  const folder = join(storeDirectory, 'db');
  let bytes = 0;
  for (const name of await readdir(folder)) {
    if (name.endsWith('.log')) bytes += await sizeIfThere(join(folder, name));
  }
  return bytes;
}

/** RocksDB may delete the file meanwhile. */
async function sizeIfThere(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
