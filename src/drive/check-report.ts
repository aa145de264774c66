/** What `shoal check` tells. */
import type { FilesReport } from '../fs/check/check-files.js';
import type { TreeProblem } from '../fs/check/tree-problem.js';

/** Something damaged. */
export interface CheckProblem {
  /** The files or directories it is about; empty when it is about the drive. */
  paths: string[];
  ino: number | null;
  /** Bytes [start, end) of the file that cannot be read; null when it is about something else. */
  range: { start: number; end: number } | null;
  message: string;
}

/** Blocks of a log in the local store. */
export interface BlockFigures {
  /** Here and sound. */
  sound: number;
  damaged: number;
  /** Never fetched: no damage. Of the chunk log only those that a file needs. */
  notHere: number;
}

export interface CheckReport {
  name: string;
  /** Commits of the drive. */
  version: number;
  inodes: number;
  fileBytes: number;
  /** Commits that were looked at. */
  commits: number;
  treeBlocks: BlockFigures;
  chunkBlocks: BlockFigures;
  /** Bytes in the sound blocks of the chunk log. */
  chunkBytes: number;
  /** Files that were deleted while open, which the next mount deletes. */
  orphans: number;
  /** What was done, in order; empty without a repair. */
  repairs: string[];
  repairCount: number;
  /** What is damaged (after a repair: still). */
  problems: CheckProblem[];
  problemCount: number;
  /** Why what was written last to a mounted drive cannot be committed; null when it was. */
  uncommitted: string | null;
}

/** Names what a problem is about. */
export function namedProblem(problem: TreeProblem, names: FilesReport['names']): CheckProblem {
  const { ino, name, range = null, message } = problem;
  return { paths: pathsOf(problem, names), ino: name === undefined ? ino : null, range, message };
}

function pathsOf({ ino, name }: TreeProblem, names: FilesReport['names']): string[] {
  if (ino === null) return [];
  if (name !== undefined) return [names.pathIn(ino, name)];
  return ino === 1 ? ['.'] : names.pathsOf(ino);
}

/** Lists fewer problems, so that the report takes at most so many bytes as JSON. */
export function cutReport(report: CheckReport, bytesMax: number): CheckReport {
  let problems = report.problems;
  while (problems.length > 0 && JSON.stringify(problems).length > bytesMax) {
    problems = problems.slice(0, problems.length >> 1);
  }
  return { ...report, problems };
}
