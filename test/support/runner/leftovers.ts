/**
 * What a test file must not leave behind: mounts, processes, files. Processes are known by a mark in their
 * environment, which daemons inherit too, so that nobody else's process is ever touched.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { killIfThere } from '../command.js';

/** The environment variable that marks the processes of a test file. */
export const MARK = 'SHOAL_TEST_MARK';

/** Mount points of FUSE file systems below a folder, innermost first. */
export function mountsBelow(folder: string): string[] {
  return below(folder, /^fuse(\.|$)/);
}

/** As {@link mountsBelow}, of file systems of any type: a small disk that a killed test left could not be removed. */
export function anyMountsBelow(folder: string): string[] {
  return below(folder, /^/);
}

/** Processes that carry a mark (in a variable), except this one: pid and command line. */
export function markedProcesses(
  mark: string,
  variable: string = MARK,
): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const environment = readOrEmpty(`/proc/${pid}/environ`);
    if (!environment.split('\0').includes(`${variable}=${mark}`)) continue;
    const command = readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    // A zombie has no command line: it has ended.
    if (command !== '') found.push({ pid, command });
  }
  return found;
}

/** Kills the processes that carry a mark (in a variable). */
export function killMarked(mark: string, variable: string = MARK): void {
  for (const { pid } of markedProcesses(mark, variable)) killIfThere(pid);
}

/** Detaches a mount that was left behind. */
export function detach(directory: string): void {
  const result = spawnSync('fusermount3', ['-u', '-z', directory]);
  if (result.status !== 0) spawnSync('umount', ['-l', directory]);
}

function below(folder: string, types: RegExp): string[] {
  const mounts: string[] = [];
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, directory, type] = line.split(' ');
    if (directory === undefined || type === undefined || !types.test(type)) continue;
    mounts.push(unescapeMountPath(directory));
  }
  return mounts
    .filter((directory) => directory.startsWith(folder + path.sep))
    .sort((a, b) => b.length - a.length);
}

/** /proc/mounts writes blanks and backslashes as octal. */
function unescapeMountPath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** A process may end, or belong to somebody else, while it is looked at. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return '';
    throw error;
  }
}
