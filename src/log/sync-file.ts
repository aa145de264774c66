/** Files and folders on stable storage. */
import { type FileHandle, open } from 'node:fs/promises';

/** Makes creations and renames in a folder durable. */
export function syncDirectory(path: string): Promise<void> {
  return syncFile(path);
}

/** Makes what others wrote to a file durable. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** For reading; undefined when there is no such file. */
export async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
