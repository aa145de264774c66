/** A tree of files like a source repository's: the same for the same seed. */
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SeededRandom } from './seeded-random.js';
import { utimensat } from './syscalls.js';

export interface SourceTreeOptions {
  files: number;
  /** Bytes of all files together, about. */
  bytes: number;
  seed: number;
}

const WORDS =
  'const return function import export async await if else for of let string number offset length buffer'.split(
    ' ',
  );
const FILES_PER_FOLDER = 20;

/**
 * Writes a tree into an existing directory: nested folders, many small files and a few large ones, scripts that may be
 * run, symbolic and hard links, an empty file and an empty folder, old modification times with nanoseconds.
 */
export function writeSourceTree(
  directory: string,
  { files, bytes, seed }: SourceTreeOptions,
): void {
  const random = new SeededRandom(seed);
  const average = bytes / files;
  const folders: string[] = [];
  for (let index = 0; index < files; index++) {
    if (index % FILES_PER_FOLDER === 0) {
      const parent = index === 0 || random.below(2) === 0 ? directory : random.pick(folders);
      const folder = path.join(parent, `module-${index / FILES_PER_FOLDER}`);
      mkdirSync(folder);
      folders.push(folder);
    }
    const file = path.join(folders.at(-1) ?? directory, `file-${index}.ts`);
    // One in fifty is large: it holds half of all bytes.
    const large = index % 50 === 49;
    const size = Math.floor((large ? 25 : 0.5) * average * (0.2 + 1.6 * random.next()));
    writeFileSync(file, large ? random.bytes(size) : text(random, size));
    if (index % 17 === 0) chmodSync(file, 0o755);
    setOldTime(file, index);
  }
  const [first = directory] = folders;
  writeFileSync(path.join(directory, 'empty'), '');
  mkdirSync(path.join(directory, 'empty-folder'));
  symlinkSync('module-0/file-0.ts', path.join(directory, 'link'));
  symlinkSync('/nowhere/at/all', path.join(directory, 'dangling'));
  for (const name of ['link', 'dangling']) setOldTime(path.join(directory, name), 7);
  linkSync(path.join(first, 'file-0.ts'), path.join(directory, 'hard-link'));
  folders.forEach(setOldTime);
}

function text(random: SeededRandom, size: number): string {
  const pieces: string[] = [];
  for (let length = 0; length < size; ) {
    const word = `${random.pick(WORDS)}${random.below(10) === 0 ? `\n${random.below(1e9)} ` : ' '}`;
    pieces.push(word);
    length += word.length;
  }
  return pieces.join('').slice(0, size);
}

function setOldTime(file: string, index: number): void {
  const time = { sec: 1_600_000_000 + index * 61, nsec: (index * 1_234_567) % 1_000_000_000 };
  utimensat(file, time, time, false);
}
