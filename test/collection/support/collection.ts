/** What tests of collection share. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { CheckReport } from '../../../src/drive/check-report.js';
import type { DriveMount } from '../../support/drive-mount.js';

const SMALL_FILE_BYTES = 3000;

/** Writes a small file anew many times, each a version of the drive. Returns what it has in the end. */
export async function rewrite(mount: DriveMount, name: string, times: number): Promise<Buffer> {
  let content = Buffer.alloc(0);
  for (let i = 0; i < times; i++) {
    content = randomBytes(SMALL_FILE_BYTES);
    // The kernel hands over what it holds of a file when it is closed.
    writeFileSync(path.join(mount.directory, name), content);
    await mount.commit();
  }
  return content;
}

/** What a check finds: sound blocks of the tree, those that are not here, and problems. */
export async function checkedBlocks(
  mount: DriveMount,
): Promise<{ tree: number; notHere: number; problems: string[] }> {
  const { stdout } = await mount.machine.tryShoal(['check', mount.name, '--json']);
  const report = JSON.parse(stdout) as CheckReport;
  const { sound, notHere } = report.treeBlocks;
  return { tree: sound, notHere, problems: report.problems.map(({ message }) => message) };
}

/** What the drive's store takes on the disk. */
export function storeBytes({ machine, name }: DriveMount): number {
  const folder = path.join(machine.home, 'drives', name, 'store');
  const printed = execFileSync('du', ['-sk', folder], { encoding: 'utf8' });
  return 1024 * Number.parseInt(printed, 10);
}
