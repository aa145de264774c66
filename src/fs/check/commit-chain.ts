/** The commits of a drive, from the newest back to the first: each names the head before it. */
import { DamagedError, UnavailableError } from '../../errors.js';
import { limits } from '../../limits.js';
import { type CommitRecord, decodeCommit } from '../../tree/commit-record.js';
import { commitKey } from '../../tree/keys.js';
import type { Head } from '../../tree/tree.js';
import type { TreeWalker } from '../../tree/tree-walker.js';

export interface ChainReport {
  /** Commits looked at. */
  commits: number;
  /** Why the chain ends before the first commit; null when it does not. */
  problem: string | null;
  /** An older commit is not on this machine. */
  isAbsent: boolean;
}

/** Never throws for what is damaged. */
export async function checkCommits(
  walker: TreeWalker,
  newest: Head,
  signal?: AbortSignal,
): Promise<ChainReport> {
  let head = newest;
  let later: CommitRecord | null = null;
  for (let commits = 0; ; commits++) {
    signal?.throwIfAborted();
    if (commits === limits.check_commits_max) return { commits, problem: null, isAbsent: false };
    try {
      const bytes = await walker.get(head, commitKey);
      if (bytes === null) throw new DamagedError('it has no commit record');
      const commit = decodeCommit(bytes);
      checkOrder(commit, head, later);
      if (commit.previous.length === 0) {
        return { commits: commits + 1, problem: null, isAbsent: false };
      }
      later = commit;
      head = commit.previous;
    } catch (error) {
      if (error instanceof UnavailableError) return { commits, problem: null, isAbsent: true };
      if (!(error instanceof DamagedError)) throw error;
      const which = later === null ? 'The newest commit' : `Commit ${later.version - 1}`;
      const problem = `${which} (the first ${head.length} blocks of the tree) is damaged: ${error.message}`;
      return { commits, problem, isAbsent: false };
    }
  }
}

function checkOrder(commit: CommitRecord, head: Head, later: CommitRecord | null): void {
  if (commit.previous.length >= head.length) {
    throw new DamagedError('the head before it is not before it');
  }
  if (later !== null && commit.version !== later.version - 1) {
    throw new DamagedError(`it says that it is commit ${commit.version}`);
  }
  if (commit.previous.length === 0 && commit.version !== 1) {
    throw new DamagedError(`it is the first and says that it is commit ${commit.version}`);
  }
}
