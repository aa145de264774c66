/** Editors, sed, logs, locks, odd names, a compiler. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { command, ended, hasProgram, tryCommand } from '../support/command.js';
import { LineReader } from '../support/line-reader.js';
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

const hasVim = hasProgram('vim');
const hasCompiler = hasProgram('make') && hasProgram('cc');

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
    ...(hasVim ? {} : { skip: 'vim is not installed' }),
    run: async (directory) => {
      const file = path.join(directory, 'file');
      writeFileSync(file, 'one\ntwo\nthree\n');
      chmodSync(file, 0o600);
      for (const copy of ['no', 'yes']) {
        const change = `%s/${copy === 'no' ? 'two' : '2'}/${copy === 'no' ? '2' : 'II'}/`;
        await command(
          'vim',
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
    name: 'tail -f follows a growing log',
    run: async (directory) => {
      const log = path.join(directory, 'log');
      writeFileSync(log, 'line 0\n');
      const tail = spawn('tail', ['-n', '+1', '-s', '0.05', '-F', log], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const end = ended(tail);
      try {
        const lines = new LineReader(tail.stdout);
        assert.equal(await lines.next(), 'line 0');
        for (let index = 1; index <= 20; index++) {
          appendFileSync(log, `line ${index}\n`);
          assert.equal(await lines.next(), `line ${index}`);
        }
      } finally {
        tail.kill('SIGKILL');
        await end;
      }
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
    name: 'tools take names that are no UTF-8',
    run: async (directory) => {
      const script = `
        set -e
        cd "$1"
        name=$(printf 'caf\\351-\\377')
        echo text > "$name"
        cp "$name" "copy-$name"
        mv "copy-$name" "moved-$name"
        mkdir "dir-$name"
        mv "moved-$name" "dir-$name/"
        tar cf archive.tar "dir-$name"
        rm -r "dir-$name"
        tar xf archive.tar
        cat "dir-$name/moved-$name"
        find . -name "moved-$name" | wc -l
      `;
      const printed = await command('sh', ['-c', script, 'sh', directory]);
      assert.deepEqual(printed.trim().split(/\s+/), ['text', '1']);
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
    },
  },
  {
    name: 'make builds a small C program in the directory',
    ...(hasCompiler ? {} : { skip: 'make and cc are not installed' }),
    run: async (directory) => {
      for (let index = 0; index < 5; index++) {
        writeFileSync(
          path.join(directory, `part${index}.c`),
          `int part${index}(void) { return ${index}; }\n`,
        );
      }
      const calls = [0, 1, 2, 3, 4].map((index) => `part${index}()`).join(' + ');
      const declared = [0, 1, 2, 3, 4].map((index) => `int part${index}(void);`).join('\n');
      writeFileSync(
        path.join(directory, 'main.c'),
        `${declared}\nint main(void) { return ${calls}; }\n`,
      );
      writeFileSync(
        path.join(directory, 'Makefile'),
        'objects = main.o part0.o part1.o part2.o part3.o part4.o\nprogram: $(objects)\n\tcc -o $@ $^\n%.o: %.c\n\tcc -c -o $@ $<\n',
      );
      await command('make', ['-j2', '-C', directory]);
      assert.ok(existsSync(path.join(directory, 'program')));
      assert.equal((await tryCommand(path.join(directory, 'program'), [])).code, 10);
      const again = await command('make', ['-C', directory]);
      assert.match(again, /up to date/);
    },
  },
];
