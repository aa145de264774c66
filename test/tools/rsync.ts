/** rsync: in, again without a transfer, with everything it can keep, back out. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { withFile } from '../conformance/behaviour.js';
import { command } from '../support/command.js';
import { assertSameTree } from '../support/compare-trees.js';
import { dropCaches } from '../support/drop-caches.js';
import { randomBytes } from '../support/random-bytes.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';
import { writeSourceTree } from '../support/source-tree.js';
import { withFolder } from '../support/temporary-folder.js';
import { setxattr } from '../support/xattr.js';

/** The figures of `rsync --stats`. */
async function rsync(
  ...args: string[]
): Promise<{ transferred: number; created: number; deleted: number }> {
  const printed = await command('rsync', ['--stats', ...args]);
  const figure = (label: string) => {
    const text = new RegExp(`${label}: ([\\d,]+)`).exec(printed)?.[1];
    if (text === undefined)
      throw new Error(`Cannot find '${label}' in what rsync printed: ${printed}`);
    return Number(text.replaceAll(',', ''));
  };
  return {
    transferred: figure('Number of regular files transferred'),
    created: figure('Number of created files'),
    deleted: figure('Number of deleted files'),
  };
}

export const rsyncChecks: DirectoryCheck[] = [
  {
    name: 'rsync -a of a source tree; the second run transfers nothing, the next only what changed',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        writeSourceTree(source, { files: 400, bytes: 6 << 20, seed: 1 });
        const target = path.join(directory, 'tree');
        const first = await rsync('-a', `${source}/`, target);
        assert.ok(first.transferred >= 400);
        dropCaches(directory);
        const again = await rsync('-a', `${source}/`, target);
        assert.deepEqual(again, { transferred: 0, created: 0, deleted: 0 });
        await command('diff', ['-r', '--no-dereference', source, target]);
        appendFileSync(path.join(source, 'module-0/file-1.ts'), 'one more line\n');
        rmSync(path.join(source, 'module-0/file-2.ts'));
        const changed = await rsync('-a', '--delete', `${source}/`, target);
        assert.deepEqual(changed, { transferred: 1, created: 0, deleted: 1 });
        await rsync('-aH', '--checksum', `${source}/`, target);
        await command('diff', ['-r', '--no-dereference', source, target]);
      }),
  },
  {
    name: 'rsync -aHAX keeps links, modes, owners, times and attributes, and brings them back',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        writeSourceTree(source, { files: 60, bytes: 1 << 20, seed: 2 });
        setxattr(path.join(source, 'module-0/file-3.ts'), 'user.note', Buffer.from('kept'));
        const target = path.join(directory, 'tree');
        const copied = await rsync('-aHAX', `${source}/`, target);
        assert.ok(copied.transferred >= 60);
        assertSameTree(target, source);
        const again = await rsync('-aHAX', '--itemize-changes', `${source}/`, target);
        assert.deepEqual(again, { transferred: 0, created: 0, deleted: 0 });
        dropCaches(directory);
        const back = path.join(path.dirname(source), `${path.basename(source)}-back`);
        try {
          await rsync('-aHAX', `${target}/`, back);
          assertSameTree(back, source);
        } finally {
          rmSync(back, { recursive: true, force: true });
        }
      }),
  },
  {
    name: 'rsync --sparse keeps holes, --inplace changes a large file where it is',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        const [large, sparse] = [path.join(source, 'large'), path.join(source, 'sparse')];
        writeFileSync(large, randomBytes(8 << 20, 3));
        writeFileSync(sparse, 'start');
        truncateSync(sparse, 64 << 20);
        const target = path.join(directory, 'tree');
        mkdirSync(target);
        await rsync('-a', '--sparse', `${source}/`, target);
        assert.ok(statSync(path.join(target, 'sparse')).blocks * 512 < 4 << 20, 'holes are kept');
        const { ino } = statSync(path.join(target, 'large'));
        withFile(large, 'r+', (fd) => writeSync(fd, randomBytes(5000, 4), 0, 5000, 3_000_000));
        // Size and second are the same as before: rsync would not look inside.
        const changed = await rsync('-aI', '--inplace', '--no-whole-file', `${source}/`, target);
        assert.equal(changed.transferred, 2);
        assert.equal(statSync(path.join(target, 'large')).ino, ino);
        await command('diff', ['-r', source, target]);
      }),
  },
  {
    name: 'rsync --append-verify completes a part, and does not trust one that differs',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        const [whole, target] = [path.join(source, 'whole'), path.join(directory, 'whole')];
        const bytes = randomBytes(3 << 20, 11);
        writeFileSync(whole, bytes);
        for (const damage of [null, 500_000]) {
          rmSync(target, { force: true });
          const part = Buffer.from(bytes.subarray(0, 1_500_001));
          if (damage !== null) part[damage] = (part[damage] ?? 0) ^ 1;
          writeFileSync(target, part);
          const { ino } = statSync(target);
          await rsync('-a', '--append-verify', '--no-whole-file', whole, target);
          dropCaches(directory);
          await command('cmp', [whole, target]);
          assert.equal(statSync(target).ino, ino, 'it is changed where it is');
          assert.equal(statSync(target).mtimeMs, statSync(whole).mtimeMs);
        }
      }),
  },
];
