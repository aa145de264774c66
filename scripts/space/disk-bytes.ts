import { spawnSync } from 'node:child_process';

/** Disk that a folder takes, as `du` says: a tool that is not part of what is measured. */
export function diskBytes(folder: string): number {
  const { status, stdout, stderr } = spawnSync('du', ['-s', '--block-size=1', folder], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`Cannot measure '${folder}': ${stderr}`);
  return Number(stdout.split('\t')[0]);
}
