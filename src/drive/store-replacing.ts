/** One database of a store takes the place of another, also when that is cut short. */
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../log/sync-file.js';

/** Folder of the database in a store. */
export const DATABASE = 'db';
/** Where the old one waits while the new one takes its place. */
export const REPLACED = 'db.replaced';

/** After a crash in between: puts the old database back unless the new one is there. */
export async function finishReplacing(directory: string): Promise<void> {
  const old = join(directory, REPLACED);
  if (!(await exists(old))) return;
  if (await exists(join(directory, DATABASE))) await rm(old, { recursive: true });
  else await rename(old, join(directory, DATABASE));
  await syncDirectory(directory);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
