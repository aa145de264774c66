/** Opens a drive that is not mounted, in this process, and looks at its records. */
import { type Drive, openDrive } from '../../../src/drive/drive.js';
import { Home } from '../../../src/drive/home.js';
import { TreeCheck } from '../../../src/fs/check/tree-check.js';
import type { TreeReport } from '../../../src/fs/check/tree-problem.js';
import type { TreeView } from '../../../src/tree/tree.js';

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

/**
 * Checks that the records of a tree fit together, as `shoal check` does. `chunkLogLengths` are the lengths in blocks of
 * the writers' chunk logs. Throws where the tree cannot be read.
 */
export async function checkTree(
  view: TreeView,
  chunkLogLengths: readonly number[],
): Promise<TreeReport> {
  const check = new TreeCheck({ chunkLogLengths });
  for await (const record of view.range(Buffer.alloc(0), Buffer.of(0xff, 0xff))) check.add(record);
  return check.finish();
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
