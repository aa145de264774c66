/**
 * Carries out planned operations in its working directory.
 *
 *   node worker.js PLAN JOURNAL ANNOUNCED
 *
 * PLAN is a JSON list of operations. JOURNAL, which lies outside the directory, gets a line before each operation and
 * one after it. When operation ANNOUNCED begins, a line is printed. Ends at the first operation that fails.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { removexattr, setxattr } from '../../support/xattr.js';
import { contentOf, type Operation, type Sync, WRITE_BYTES_MAX } from './workload.js';

const HELD_FILES_MAX = 4;

const [plan, journalPath, announced] = process.argv.slice(2);
const held: number[] = [];
run(String(plan), String(journalPath), Number(announced));

function run(planPath: string, journalFile: string, announcedIndex: number): void {
  const operations = JSON.parse(readFileSync(planPath, 'utf8')) as Operation[];
  const journal = openSync(journalFile, 'w');
  for (const [index, operation] of operations.entries()) {
    if (index === announcedIndex) writeSync(1, `at ${index}\n`);
    writeSync(journal, `start ${index}\n`);
    try {
      carryOut(operation);
    } catch (error) {
      writeSync(journal, `error ${(error as NodeJS.ErrnoException).code}\n`);
      return;
    }
    writeSync(journal, `done ${index}\n`);
  }
}

function carryOut(operation: Operation): void {
  const { path } = operation;
  switch (operation.kind) {
    case 'put': {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;
      writeFile(path, flags, 0, operation);
      break;
    }
    case 'write':
      writeFile(path, constants.O_WRONLY, operation.at, operation);
      break;
    case 'truncate':
      truncateSync(path, operation.size);
      break;
    case 'rename':
      renameSync(path, operation.to);
      break;
    case 'link':
      linkSync(path, operation.to);
      break;
    case 'symlink':
      symlinkSync(operation.target, path);
      break;
    case 'unlink':
      if (operation.keepOpen) hold(openSync(path, 'r'));
      unlinkSync(path);
      break;
    case 'mkdir':
      mkdirSync(path);
      break;
    case 'rmdir':
      rmdirSync(path);
      break;
    case 'setxattr':
      setxattr(path, operation.name, contentOf(operation.seed, operation.bytes));
      break;
    case 'removexattr':
      removexattr(path, operation.name);
      break;
    case 'syncDirectory':
      syncFile(path);
      break;
  }
}

function writeFile(
  path: string,
  flags: number,
  at: number,
  what: { seed: number; bytes: number; sync: Sync },
): void {
  const extra = what.sync === 'O_SYNC' ? constants.O_SYNC : 0;
  const descriptor = openSync(path, flags | extra, 0o644);
  try {
    const content = contentOf(what.seed, what.bytes);
    for (let done = 0; done < content.length; ) {
      const count = Math.min(WRITE_BYTES_MAX, content.length - done);
      done += writeSync(descriptor, content, done, count, at + done);
    }
    if (what.sync === 'fsync') fsyncSync(descriptor);
    if (what.sync === 'fdatasync') fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Keeps a deleted file open, so that a crash leaves an orphan. */
function hold(descriptor: number): void {
  held.push(descriptor);
  const oldest = held.length > HELD_FILES_MAX ? held.shift() : undefined;
  if (oldest !== undefined) closeSync(oldest);
}
