/**
 * The loops of system calls that are measured, run in a process of their own: `node loops.js NAME JSON`. Prints one JSON
 * object. Only the loop and its fsync are timed: data is made before, and Node is started before. Calls are synchronous:
 * one program that does one thing after the other, as `cp` or `tar` does.
 */
import {
  chmodSync,
  closeSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { incompressible } from './loops-data.js';

/**
 * What to do: `path` is a file or a folder, `count` the number of calls or files, `size` the bytes of each, `seed` that of
 * the data.
 */
export interface LoopRequest {
  path: string;
  count: number;
  size: number;
  seed: number;
}

/** What was done: bytes moved and operations, in this time. */
export interface LoopResult {
  seconds: number;
  operations: number;
  bytes: number;
}

const FILES_PER_FOLDER = 100;

const loops = {
  /** Writes a new file in pieces, then one fsync. */
  sequentialWrite({ path: file, count, size, seed }: LoopRequest): LoopResult {
    const data = incompressible(count * size, seed);
    return timed(count, count * size, () => {
      const fd = openSync(file, 'w');
      for (let index = 0; index < count; index++) {
        writeAll(fd, data.subarray(index * size, (index + 1) * size), index * size);
      }
      fsyncSync(fd);
      closeSync(fd);
    });
  },

  /** Reads a file from start to end in pieces. */
  sequentialRead({ path: file, size }: LoopRequest): LoopResult {
    const buffer = Buffer.allocUnsafe(size);
    let operations = 0;
    let bytes = 0;
    return timedCount(() => {
      const fd = openSync(file, 'r');
      for (;;) {
        const count = readSync(fd, buffer, 0, size, null);
        if (count === 0) break;
        operations++;
        bytes += count;
      }
      closeSync(fd);
      return { operations, bytes };
    });
  },

  randomRead({ path: file, count, size }: LoopRequest): LoopResult {
    const buffer = Buffer.allocUnsafe(size);
    const fd = openSync(file, 'r');
    const offsets = randomOffsets(fstatSync(fd).size, size, count);
    const result = timed(count, count * size, () => {
      for (const offset of offsets) {
        if (readSync(fd, buffer, 0, size, offset) !== size)
          throw new Error(`Short read of '${file}'`);
      }
    });
    closeSync(fd);
    return result;
  },

  /** Overwrites pieces at random places, then one fsync. */
  randomWrite({ path: file, count, size, seed }: LoopRequest): LoopResult {
    const data = incompressible(count * size, seed);
    const fd = openSync(file, 'r+');
    const offsets = randomOffsets(fstatSync(fd).size, size, count);
    const result = timed(count, count * size, () => {
      offsets.forEach((offset, index) => {
        writeAll(fd, data.subarray(index * size, (index + 1) * size), offset);
      });
      fsyncSync(fd);
    });
    closeSync(fd);
    return result;
  },

  /** Creates files with some data each, in folders of a hundred. No fsync, as tools do it. */
  createFiles({ path: folder, count, size, seed }: LoopRequest): LoopResult {
    const data = incompressible(count * size, seed);
    return timed(count, count * size, () => {
      for (let index = 0; index < count; index++) {
        if (index % FILES_PER_FOLDER === 0) mkdirSync(folderOf(folder, index), { recursive: true });
        const fd = openSync(fileOf(folder, index), 'w');
        writeAll(fd, data.subarray(index * size, (index + 1) * size), 0);
        closeSync(fd);
      }
    });
  },

  statFiles({ path: folder, count }: LoopRequest): LoopResult {
    return timed(count, 0, () => {
      for (let index = 0; index < count; index++) lstatSync(fileOf(folder, index));
    });
  },

  /** Lists every folder and stats every name, as `find -size` or `du` does. */
  walkFiles({ path: folder }: LoopRequest): LoopResult {
    return timedCount(() => {
      let operations = 0;
      const visit = (directory: string) => {
        for (const name of readdirSync(directory)) {
          const target = `${directory}/${name}`;
          operations++;
          if (lstatSync(target).isDirectory()) visit(target);
        }
      };
      visit(folder);
      return { operations, bytes: 0 };
    });
  },

  readFiles({ path: folder, count, size }: LoopRequest): LoopResult {
    const buffer = Buffer.allocUnsafe(size + 1);
    return timed(count, count * size, () => {
      for (let index = 0; index < count; index++) {
        const fd = openSync(fileOf(folder, index), 'r');
        if (readSync(fd, buffer) !== size)
          throw new Error(`Short read of '${fileOf(folder, index)}'`);
        closeSync(fd);
      }
    });
  },

  removeFiles({ path: folder, count }: LoopRequest): LoopResult {
    return timed(count, 0, () => {
      for (let index = 0; index < count; index++) unlinkSync(fileOf(folder, index));
    });
  },

  /** Appends to a log and syncs after each, as a database's journal does. */
  appendAndSync({ path: file, count, size, seed }: LoopRequest): LoopResult {
    const data = incompressible(count * size, seed);
    const fd = openSync(file, 'a');
    const result = timed(count, count * size, () => {
      for (let index = 0; index < count; index++) {
        writeAll(fd, data.subarray(index * size, (index + 1) * size), null);
        fsyncSync(fd);
      }
    });
    closeSync(fd);
    return result;
  },

  /** Creates empty files, changes their modes, renames and removes them: four operations each, no data. */
  changeNames({ path: folder, count }: LoopRequest): LoopResult {
    mkdirSync(folder, { recursive: true });
    const names = Array.from({ length: count }, (_, index) => path.join(folder, `name-${index}`));
    return timed(count * 4, 0, () => {
      // Synced in between: else nothing of a file that comes and goes would be stored.
      for (const name of names) closeSync(openSync(name, 'w'));
      syncFolder(folder);
      for (const name of names) chmodSync(name, 0o600);
      syncFolder(folder);
      for (const name of names) renameSync(name, `${name}-renamed`);
      syncFolder(folder);
      for (const name of names) unlinkSync(`${name}-renamed`);
      syncFolder(folder);
    });
  },
} satisfies Record<string, (request: LoopRequest) => LoopResult>;

export type LoopName = keyof typeof loops;

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

function folderOf(folder: string, index: number): string {
  return path.join(folder, `folder-${Math.floor(index / FILES_PER_FOLDER)}`);
}

function fileOf(folder: string, index: number): string {
  return `${folderOf(folder, index)}/file-${index}`;
}

function timed(operations: number, bytes: number, run: () => void): LoopResult {
  const started = performance.now();
  run();
  return { seconds: (performance.now() - started) / 1000, operations, bytes };
}

function timedCount(run: () => { operations: number; bytes: number }): LoopResult {
  const started = performance.now();
  const done = run();
  return { seconds: (performance.now() - started) / 1000, ...done };
}

function writeAll(fd: number, data: Buffer, offset: number | null): void {
  const count = writeSync(fd, data, 0, data.length, offset);
  if (count !== data.length) throw new Error(`Short write: ${count} of ${data.length} bytes`);
}

function randomOffsets(fileSize: number, size: number, count: number): number[] {
  const places = Math.floor(fileSize / size);
  const words = new Uint32Array(new Uint8Array(incompressible(count * 4)).buffer);
  return Array.from(words, (word) => (word % places) * size);
}

const [name = '', request = ''] = process.argv.slice(2);
const loop = loops[name as LoopName] as ((request: LoopRequest) => LoopResult) | undefined;
if (loop === undefined) throw new Error(`Cannot run '${name}': there is no such loop`);
console.log(JSON.stringify(loop(JSON.parse(request) as LoopRequest)));
