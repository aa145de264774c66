import { readdir, readFile, readlink } from 'node:fs/promises';

/** A process that keeps a directory busy. */
export interface UsingProcess {
  pid: number;
  /** The name of the program, as in `ps`. */
  command: string;
  /** How it holds the directory, for people: "working directory, open file 'a/b'". */
  what: string;
}

/** Open files of one process that are named; more are counted. */
const FILES_NAMED_MAX = 3;

/**
 * The processes that hold something in `directory`: working directory, root, program, open or mapped file.
 *
 * Only /proc is read, and only link texts, so that the mount itself is never touched: it may be this process that
 * serves it. Processes of other users are invisible unless root asks. Never rejects. `directory` is absolute, without symbolic links.
 */
export async function processesUsing(directory: string): Promise<UsingProcess[]> {
  const found: UsingProcess[] = [];
  for (const entry of (await orUnknown(readdir('/proc'))) ?? []) {
    if (!/^\d+$/.test(entry)) continue;
    const what = await holdsOf(`/proc/${entry}`, directory);
    if (what.length > 0) {
      found.push({ pid: Number(entry), command: await commandOf(entry), what: what.join(', ') });
    }
  }
  return found;
}

async function holdsOf(proc: string, directory: string): Promise<string[]> {
  const what: string[] = [];
  const inside = (path: string | null) =>
    path !== null && (path === directory || path.startsWith(`${directory}/`));
  if (inside(await linkText(`${proc}/cwd`))) what.push('working directory');
  if (inside(await linkText(`${proc}/root`))) what.push('root directory');
  if (inside(await linkText(`${proc}/exe`))) what.push('program');
  what.push(...describe('open', directory, (await openFiles(proc)).filter(inside)));
  what.push(...describe('mapped', directory, (await mappedFiles(proc)).filter(inside)));
  return what;
}

function describe(how: string, directory: string, paths: string[]): string[] {
  const names = [...new Set(paths)].map((path) =>
    path === directory ? `${how} directory` : `${how} file '${path.slice(directory.length + 1)}'`,
  );
  if (names.length <= FILES_NAMED_MAX) return names;
  return [...names.slice(0, FILES_NAMED_MAX), `${names.length - FILES_NAMED_MAX} more ${how}`];
}

async function openFiles(proc: string): Promise<string[]> {
  const paths: string[] = [];
  for (const fd of (await orUnknown(readdir(`${proc}/fd`))) ?? []) {
    const path = await linkText(`${proc}/fd/${fd}`);
    if (path !== null) paths.push(path);
  }
  return paths;
}

async function mappedFiles(proc: string): Promise<string[]> {
  const paths: string[] = [];
  for (const line of ((await orUnknown(readFile(`${proc}/maps`, 'utf8'))) ?? '').split('\n')) {
    // address, permissions, offset, device, inode, then the path with newlines written as \012
    const path = /^\S+ \S+ \S+ \S+ \d+\s+(\/.*)$/.exec(line)?.[1];
    if (path !== undefined) paths.push(path.replaceAll('\\012', '\n'));
  }
  return paths;
}

async function commandOf(pid: string): Promise<string> {
  return (await orUnknown(readFile(`/proc/${pid}/comm`, 'utf8')))?.trim() ?? 'unknown';
}

async function linkText(path: string): Promise<string | null> {
  return orUnknown(readlink(path));
}

/**
 * Null for what may not be seen, ended while we looked, has a path longer than a link's text may be, or cannot be read just
 * now: who asks is told of what is known, and must not fail because of a process that may have nothing to do with it.
 */
async function orUnknown<T>(wanted: Promise<T>): Promise<T | null> {
  return await wanted.catch(() => null);
}
