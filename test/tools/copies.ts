/** tar, cp, zip and dd. */
import assert from 'node:assert/strict';
import {
  mkdirSync,
  readFileSync,
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
import { mknod } from '../support/syscalls.js';
import { withFolder } from '../support/temporary-folder.js';

export const copyChecks: DirectoryCheck[] = [
  {
    name: 'tar in and out keeps content and metadata',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        const tree = path.join(source, 'tree');
        mkdirSync(tree);
        writeSourceTree(tree, { files: 80, bytes: 1 << 20, seed: 7 });
        mknod(path.join(tree, 'fifo'), 0o010640);
        const archive = path.join(source, 'tree.tar');
        await command('tar', ['--format=posix', '-cf', archive, '-C', source, 'tree']);
        await command('tar', ['-xpf', archive, '-C', directory]);
        assertSameTree(path.join(directory, 'tree'), tree);
        dropCaches(directory);
        assertSameTree(path.join(directory, 'tree'), tree);
        await command('tar', ['--compare', '-f', archive, '-C', directory]);
        const second = path.join(directory, 'again.tar');
        await command('tar', ['--format=posix', '-cf', second, '-C', directory, 'tree']);
        await command('tar', ['--compare', '-f', second, '-C', source]);
      }),
  },
  {
    name: 'cp -a keeps content and metadata, within the directory and out of it',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        writeSourceTree(source, { files: 60, bytes: 1 << 20, seed: 8 });
        const [one, two] = [path.join(directory, 'one'), path.join(directory, 'two')];
        await command('cp', ['-a', source, one]);
        assertSameTree(one, source);
        await command('cp', ['-a', one, two]);
        assertSameTree(two, source);
        await command('cp', ['-a', two, path.join(source, 'back')]);
        assertSameTree(path.join(source, 'back'), one);
      }),
  },
  {
    name: 'cp --sparse=always makes holes, cp of a sparse file keeps them',
    run: async (directory) => {
      const [file, copy, again] = ['file', 'copy', 'again'].map((name) =>
        path.join(directory, name),
      ) as [string, string, string];
      writeFileSync(file, Buffer.alloc(16 << 20));
      withFile(file, 'r+', (fd) => writeSync(fd, randomBytes(100_000, 9), 0, 100_000, 5_000_000));
      await command('cp', ['--sparse=always', file, copy]);
      assert.ok(
        statSync(copy).blocks * 512 < 2 << 20,
        `the copy allocates ${statSync(copy).blocks * 512} bytes`,
      );
      await command('cmp', [file, copy]);
      truncateSync(copy, 200 << 20);
      await command('cp', ['--sparse=auto', copy, again]);
      assert.ok(
        statSync(again).blocks * 512 < 2 << 20,
        `the copy allocates ${statSync(again).blocks * 512} bytes`,
      );
      await command('cmp', [copy, again]);
    },
  },
  {
    name: 'cp --reflink=auto makes a copy of its own',
    run: async (directory) => {
      const [file, copy] = [path.join(directory, 'file'), path.join(directory, 'copy')];
      const bytes = randomBytes(5_000_003, 12);
      writeFileSync(file, bytes);
      await command('cp', ['-a', '--reflink=auto', file, copy]);
      withFile(copy, 'r+', (fd) => writeSync(fd, 'changed', 1_000_000));
      assert.ok(readFileSync(file).equals(bytes));
      bytes.write('changed', 1_000_000);
      dropCaches(directory);
      assert.ok(readFileSync(copy).equals(bytes));
    },
  },
  {
    name: 'tar --sparse keeps holes, in and out',
    run: async (directory) => {
      const file = path.join(directory, 'sparse');
      writeFileSync(file, 'start');
      truncateSync(file, 40 << 20);
      withFile(file, 'r+', (fd) => writeSync(fd, randomBytes(50_000, 13), 0, 50_000, 21_000_001));
      const archive = path.join(directory, 'archive.tar');
      await command('tar', ['--sparse', '-cf', archive, '-C', directory, 'sparse']);
      assert.ok(statSync(archive).size < 1 << 20, `${statSync(archive).size} bytes`);
      const out = path.join(directory, 'out');
      mkdirSync(out);
      await command('tar', ['-xpf', archive, '-C', out]);
      dropCaches(directory);
      await command('cmp', [file, path.join(out, 'sparse')]);
      assert.equal(statSync(path.join(out, 'sparse')).mode, statSync(file).mode);
      assert.ok(statSync(path.join(out, 'sparse')).blocks * 512 < 1 << 20, 'holes are kept');
    },
  },
  {
    name: 'zip and unzip keep content, modes, links and times',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        writeSourceTree(source, { files: 60, bytes: 1 << 20, seed: 14 });
        // A zip archive has no hard links, and no times of symbolic links.
        for (const name of ['hard-link', 'link', 'dangling']) rmSync(path.join(source, name));
        mkdirSync(path.join(source, 'ünïcödé 日本'));
        writeFileSync(path.join(source, 'ünïcödé 日本/ƒile'), 'text');
        const [archive, out] = [path.join(directory, 'a.zip'), path.join(directory, 'out')];
        await command('zip', ['-qr', archive, '.'], { cwd: source });
        await command('unzip', ['-tq', archive]);
        const env = { LC_ALL: 'C.UTF-8' };
        await command('unzip', ['-q', archive, '-d', out], { env });
        dropCaches(directory);
        assertSameTree(out, source, { timeStepNs: 1_000_000_000n });
        const script = `set -e
          cd "$1"/out
          ln -s empty link
          zip -qry ../b.zip .
          zip -qd ../b.zip 'module-0/*'
          unzip -q ../b.zip -d ../again
          rm -r module-0
          diff -r --no-dereference . ../again
          readlink ../again/link`;
        const printed = await command('sh', ['-c', script, 'sh', directory], { env });
        assert.equal(printed, 'empty\n');
      }),
  },
  {
    name: 'dd writes and reads in odd sizes',
    run: async (directory) => {
      const [source, file, out] = ['source', 'file', 'out'].map((name) =>
        path.join(directory, name),
      ) as [string, string, string];
      const bytes = randomBytes(3_000_017, 10);
      writeFileSync(source, bytes);
      await command('dd', [`if=${source}`, `of=${file}`, 'bs=777', 'conv=fsync', 'status=none']);
      dropCaches(directory);
      await command('dd', [`if=${file}`, `of=${out}`, 'bs=100003', 'status=none']);
      assert.ok(readFileSync(out).equals(bytes));
      await command('dd', [
        `if=${source}`,
        `of=${file}`,
        'bs=1000',
        'skip=10',
        'seek=20',
        'count=5',
        'conv=notrunc',
        'status=none',
      ]);
      bytes.copy(bytes, 20_000, 10_000, 15_000);
      assert.ok(readFileSync(file).equals(bytes));
    },
  },
];
