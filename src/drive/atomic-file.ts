/** Small files that are whole or absent, whatever happens while they are written. */
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FormatVersionError, StoreError } from '../errors.js';
import { syncDirectory } from '../log/sync-file.js';

/** A settings file larger than this is not one of ours. */
const FILE_BYTES_MAX = 256 << 10;

/** Replaces a file: temporary file, fsync, rename, fsync of the folder. Readable by its owner only. */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await file.close();
    await unlink(temporary);
    throw error;
  }
  await file.close();
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/**
 * Reads a JSON object that says its `formatVersion`. Null when there is no such file. Throws FormatVersionError for a
 * newer one, StoreError for one that is no such object.
 */
export async function readVersionedJson(
  path: string,
  knownVersion: number,
): Promise<Record<string, unknown> | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const value = text.length <= FILE_BYTES_MAX ? parseObject(text) : null;
  const version = value?.formatVersion;
  if (value === null || typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw new StoreError(`Cannot read '${path}': it is damaged; restore it from a copy`);
  }
  if (version > knownVersion) {
    throw new FormatVersionError(
      `Cannot read '${path}': it has format version ${version}, this program knows ${knownVersion}; update Shoal`,
    );
  }
  return value;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return value as Record<string, unknown>;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
