/** Editors, sed, locks, and looking around. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { command, hasProgram, tryCommand } from '../support/command.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';

/** What vim does with `backupcopy=no`, and many editors like it: keep the old file, write a new one, sync, rename. */
const SAVE_BY_RENAME = `
set -e
cd "$1"
for text in one two three; do
  printf '%s\\n' "$text" > .file.swp
  sync .file.swp
  mv file file~
  printf '%s\\n' "$text" > file
  sync file
  chmod 640 file
  rm file~ .file.swp
done
`;

const COUNT_UNDER_LOCK = `
i=0
while [ $i -lt 40 ]; do
  flock "$1/lock" sh -c 'n=$(cat "$0/count"); echo $((n + 1)) > "$0/count"' "$1"
  i=$((i + 1))
done
`;

const VIM = hasProgram('vim') ? 'vim' : 'vim.tiny';

export const everydayChecks: DirectoryCheck[] = [
  {
    name: 'an editor saves by rename',
    run: async (directory) => {
      writeFileSync(path.join(directory, 'file'), 'zero\n');
      await command('sh', ['-c', SAVE_BY_RENAME, 'sh', directory]);
      assert.equal(readFileSync(path.join(directory, 'file'), 'latin1'), 'three\n');
      assert.equal(statSync(path.join(directory, 'file')).mode & 0o777, 0o640);
      assert.deepEqual(readdirSync(directory), ['file']);
    },
  },
  {
    name: 'vim changes a file, with a swap file and a backup',
    run: async (directory) => {
      const file = path.join(directory, 'file');
      writeFileSync(file, 'one\ntwo\nthree\n');
      chmodSync(file, 0o600);
      for (const copy of ['no', 'yes']) {
        const change = `%s/${copy === 'no' ? 'two' : '2'}/${copy === 'no' ? '2' : 'II'}/`;
        await command(
          VIM,
          [
            '-u',
            'NONE',
            '-N',
            '-es',
            '-c',
            `set backup backupskip= backupcopy=${copy} swapfile`,
            '-c',
            change,
            '-c',
            'wq',
            file,
          ],
          { env: { TERM: 'dumb' } },
        );
      }
      assert.equal(readFileSync(file, 'latin1'), 'one\nII\nthree\n');
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.deepEqual(readdirSync(directory).sort(), ['file', 'file~']);
    },
  },
  {
    name: 'sed -i, patch by diff, sort -o and touch',
    run: async (directory) => {
      const file = path.join(directory, 'file');
      writeFileSync(file, 'c\nb\na\n');
      await command('sed', ['-i.orig', 's/b/B/', file]);
      assert.equal(readFileSync(file, 'latin1'), 'c\nB\na\n');
      assert.equal((await tryCommand('diff', [`${file}.orig`, file])).code, 1);
      await command('sort', ['-o', file, file]);
      assert.equal(readFileSync(file, 'latin1'), 'B\na\nc\n');
      await command('touch', ['-d', '2001-02-03 04:05:06.789 UTC', file]);
      assert.equal(statSync(file).mtimeMs, Date.UTC(2001, 1, 3, 4, 5, 6, 789));
    },
  },
  {
    name: 'flock(1) keeps three processes apart',
    run: async (directory) => {
      writeFileSync(path.join(directory, 'count'), '0\n');
      writeFileSync(path.join(directory, 'lock'), '');
      await Promise.all(
        [1, 2, 3].map(() => command('sh', ['-c', COUNT_UNDER_LOCK, 'sh', directory])),
      );
      assert.equal(readFileSync(path.join(directory, 'count'), 'latin1'), '120\n');
    },
  },
  {
    name: 'find, du, ls and stat agree on a tree',
    run: async (directory) => {
      for (let index = 0; index < 10; index++) {
        mkdirSync(path.join(directory, `d${index}`));
        writeFileSync(path.join(directory, `d${index}/file`), Buffer.alloc(10_000, index + 1));
        symlinkSync('file', path.join(directory, `d${index}/link`));
      }
      const count = async (...test: string[]) =>
        (await command('find', [directory, '-mindepth', '1', ...test])).split('\n').length - 1;
      assert.equal(await count('-type', 'd'), 10);
      assert.equal(await count('-type', 'f', '-size', '10000c'), 10);
      assert.equal(await count('-type', 'l'), 10);
      assert.equal(await count('-newermt', '2001-01-01'), 30);
      const apparent = await command('du', [
        '-s',
        '-b',
        '--apparent-size',
        path.join(directory, 'd0/file'),
      ]);
      assert.equal(Number(apparent.split('\t')[0]), 10_000);
      assert.equal((await command('ls', ['-R', directory])).match(/file/g)?.length, 10);
      const { ino } = statSync(path.join(directory, 'd7/file'));
      assert.equal(await count('-inum', String(ino), '-path', '*/d7/file'), 1);
      assert.equal(await count('-inum', String(ino)), 1);
      const free = await command('df', ['--output=avail', '-B1', directory]);
      const { bavail, bsize } = statfsSync(directory);
      assert.ok(Math.abs(Number(free.split('\n')[1]) - bavail * bsize) < 1 << 30, free);
      await command('chmod', ['-R', 'u=rwX,go=', directory]);
      assert.equal(await count('-type', 'd', '-perm', '700'), 10);
      assert.equal(await count('-type', 'f', '-perm', '600'), 10);
    },
  },
];
