/** git: a repository that lives in the directory. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { command } from '../support/command.js';
import { dropCaches } from '../support/drop-caches.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';
import { writeSourceTree } from '../support/source-tree.js';

const ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Author',
  GIT_AUTHOR_EMAIL: 'author@example.org',
  GIT_COMMITTER_NAME: 'Author',
  GIT_COMMITTER_EMAIL: 'author@example.org',
};

function git(cwd: string, ...args: string[]): Promise<string> {
  return command('git', ['-c', 'init.defaultBranch=main', '-c', 'gc.auto=0', ...args], {
    cwd,
    env: ENVIRONMENT,
  });
}

export const gitChecks: DirectoryCheck[] = [
  {
    name: 'git init, add, commit, status, fsck, branch, merge, stash, worktree, gc',
    run: async (directory) => {
      const work = path.join(directory, 'work');
      mkdirSync(work);
      writeSourceTree(work, { files: 120, bytes: 2 << 20, seed: 5 });
      await git(work, 'init', '--quiet');
      await git(work, 'add', '--all');
      await git(work, 'commit', '--quiet', '-m', 'Everything');
      assert.equal(await git(work, 'status', '--porcelain'), '');
      dropCaches(directory);
      assert.equal(await git(work, 'status', '--porcelain'), '');
      appendFileSync(path.join(work, 'module-0/file-0.ts'), 'changed\n');
      // A hard link of the changed file is changed with it.
      const changed = (await git(work, 'status', '--porcelain')).trim().split('\n');
      assert.deepEqual(changed.map((line) => line.trim()).sort(), [
        'M hard-link',
        'M module-0/file-0.ts',
      ]);
      await git(work, 'checkout', '--quiet', '-b', 'side');
      await git(work, 'commit', '--quiet', '--all', '-m', 'Change');
      await git(work, 'checkout', '--quiet', 'main');
      writeFileSync(path.join(work, 'new'), 'new\n');
      await git(work, 'add', 'new');
      await git(work, 'commit', '--quiet', '-m', 'New');
      await git(work, 'merge', '--quiet', '--no-edit', 'side');
      assert.ok(
        readFileSync(path.join(work, 'module-0/file-0.ts'), 'latin1').endsWith('changed\n'),
      );
      appendFileSync(path.join(work, 'new'), 'more\n');
      await git(work, 'stash', '--quiet');
      assert.equal(readFileSync(path.join(work, 'new'), 'latin1'), 'new\n');
      await git(work, 'stash', 'pop', '--quiet');
      assert.equal(readFileSync(path.join(work, 'new'), 'latin1'), 'new\nmore\n');
      await git(work, 'worktree', 'add', '--quiet', path.join(directory, 'second'), 'side');
      assert.equal(await git(path.join(directory, 'second'), 'status', '--porcelain'), '');
      await git(work, 'gc', '--quiet', '--prune=now');
      await git(work, 'fsck', '--strict', '--full');
      assert.equal((await git(work, 'status', '--porcelain')).trim(), 'M new');
    },
  },
  {
    name: 'git clone inside the directory, commit and push back',
    run: async (directory) => {
      const [origin, bare, clone] = ['origin', 'bare.git', 'clone'].map((name) =>
        path.join(directory, name),
      ) as [string, string, string];
      mkdirSync(origin);
      writeSourceTree(origin, { files: 60, bytes: 1 << 20, seed: 6 });
      await git(origin, 'init', '--quiet');
      await git(origin, 'add', '--all');
      await git(origin, 'commit', '--quiet', '-m', 'Everything');
      await git(directory, 'clone', '--quiet', '--bare', origin, bare);
      await git(directory, 'clone', '--quiet', '--no-hardlinks', bare, clone);
      assert.equal(await git(clone, 'status', '--porcelain'), '');
      writeFileSync(path.join(clone, 'from-the-clone'), 'text\n');
      await git(clone, 'add', '--all');
      await git(clone, 'commit', '--quiet', '-m', 'From the clone');
      await git(clone, 'push', '--quiet', 'origin', 'main');
      await git(origin, 'pull', '--quiet', bare, 'main');
      assert.equal(readFileSync(path.join(origin, 'from-the-clone'), 'latin1'), 'text\n');
      for (const repository of [origin, bare, clone])
        await git(repository, 'fsck', '--strict', '--full');
    },
  },
];
