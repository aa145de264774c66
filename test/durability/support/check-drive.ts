/** Opens a drive that is not mounted, in this process, and looks at its records. */
import { type Drive, openDrive } from '../../../src/drive/drive.js';
import { Home } from '../../../src/drive/home.js';
import { checkTree, type TreeReport } from './check-tree.js';

/** Runs a function with a drive open, without a file system on it, and closes the drive. */
export async function withDrive<T>(
  home: string,
  name: string,
  run: (drive: Drive) => T | Promise<T>,
): Promise<T> {
  const options = { command: 'check', offline: true, log: () => undefined };
  const drive = await openDrive(new Home(home), name, options);
  try {
    return await run(drive);
  } finally {
    await drive.close();
  }
}

/** Checks the whole tree of a drive that is not mounted. */
export function checkDrive(home: string, name: string): Promise<TreeReport> {
  return withDrive(home, name, (drive) =>
    checkTree(drive.tree, [drive.content.statistics().blocks]),
  );
}

/** Lines for a failed assertion; empty for a sound drive without orphans. */
export function describeReport({ problems, orphans }: TreeReport): string[] {
  return [
    ...problems.slice(0, 20).map(({ ino, message }) => `inode ${ino ?? '-'}: ${message}`),
    ...orphans.map((ino) => `inode ${ino}: orphan record`),
  ];
}
