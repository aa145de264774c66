/** A tree of small files that do not compress, 100 in a folder. */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SeededRandom } from '../../test/support/seeded-random.js';

const FILES_PER_FOLDER = 100;
const FILE_BYTES_MIN = 200;
const FILE_BYTES_MAX = 16_384;

/** The same tree for the same number of files. Returns the bytes of all of them. */
export function writeSmallFiles(folder: string, files: number): number {
  const random = new SeededRandom(1);
  let bytes = 0;
  for (let index = 0; index < files; index++) {
    const parent = path.join(folder, `folder-${Math.floor(index / FILES_PER_FOLDER)}`);
    if (index % FILES_PER_FOLDER === 0) mkdirSync(parent);
    // Each power of two as often.
    const size = Math.floor(FILE_BYTES_MIN * (FILE_BYTES_MAX / FILE_BYTES_MIN) ** random.next());
    writeFileSync(path.join(parent, `file-${index}`), random.bytes(size));
    bytes += size;
  }
  return bytes;
}

/** Bytes and number of the regular files below a folder. */
export function contentOf(folder: string): { bytes: number; files: number } {
  let bytes = 0;
  let files = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files++;
    bytes += statSync(path.join(entry.parentPath, entry.name)).size;
  }
  return { bytes, files };
}
