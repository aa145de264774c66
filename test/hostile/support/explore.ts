/**
 * Looks at everything below a directory as tools do, and prints what it found, as JSON. A program of its own: the
 * directory may be served by the process that starts it.
 *
 *   node explore.js DIRECTORY
 */
import {
  closeSync,
  type Dirent,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { command } from '../../support/command.js';
import { errnoName } from '../../support/syscalls.js';
import { lgetxattr, llistxattr } from '../../support/xattr.js';

/** What was found under a name; an error's name in place of what could not be had. */
export interface Found {
  stat: string;
  /** Bytes; -1 without a stat. */
  size: number;
  ino: number;
  nlink: number;
  /** Of a directory: its names, in latin1. */
  names?: string[] | string;
  /** Of a file: how much of its first bytes could be read, and these. */
  content?: string;
  target?: string;
  xattrs?: string[] | string;
  xattrBytes?: number;
}

const READ_BYTES = 100_000;
const NAMES_MAX = 100_000;
const EXPLORE_MS_MAX = 120_000;

/** Runs this program on a directory. Rejects when it does not end in time. */
export async function explore(directory: string): Promise<Record<string, Found>> {
  const program = fileURLToPath(import.meta.url);
  const options = { deadlineMs: EXPLORE_MS_MAX };
  return JSON.parse(await command(process.execPath, [program, directory], options));
}

function errorName(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException;
  return errno === undefined ? String(code ?? error) : errnoName(-errno);
}

function tried<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return errorName(error);
  }
}

function read(file: Buffer): string {
  const fd = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(READ_BYTES);
    const count = readSync(fd, bytes, 0, READ_BYTES, 0);
    return `${count}:${bytes.toString('latin1', 0, Math.min(20, count))}`;
  } finally {
    closeSync(fd);
  }
}

function look(top: Buffer): Record<string, Found> {
  const found: Record<string, Found> = {};
  const pending: Buffer[] = [top];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const file = at;
    const shown = file.subarray(top.length).toString('latin1');
    const stat = tried(() => lstatSync(file));
    if (typeof stat === 'string') {
      found[shown] = { stat, size: -1, ino: 0, nlink: 0 };
      continue;
    }
    const { size, ino, nlink } = stat;
    const entry: Found = { stat: 'ok', size, ino, nlink };
    found[shown] = entry;
    if (Object.keys(found).length > NAMES_MAX) throw new Error('There is no end to it');
    const list = tried(() => llistxattr(file));
    entry.xattrs = list;
    entry.xattrBytes = 0;
    for (const name of typeof list === 'string' ? [] : list) {
      const value = tried(() => lgetxattr(file, name));
      entry.xattrBytes += typeof value === 'string' ? 0 : value.length;
    }
    if (stat.isSymbolicLink()) entry.target = tried(() => readlinkSync(file));
    if (stat.isFile()) entry.content = tried(() => read(file));
    if (!stat.isDirectory()) continue;
    const names = tried(() => readdirSync(file, { withFileTypes: true, encoding: 'buffer' }));
    if (typeof names === 'string') {
      entry.names = names;
      continue;
    }
    const bytes = names.map((name: Dirent<Buffer> | Dirent) => Buffer.from(name.name));
    entry.names = bytes.map((name) => name.toString('latin1')).sort();
    for (const name of bytes) pending.push(Buffer.concat([file, Buffer.from('/'), name]));
  }
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(look(Buffer.from(path.resolve(process.argv[2] ?? '.')))));
}
