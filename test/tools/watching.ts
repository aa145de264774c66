/** Programs that wait for changes which other processes make: inotify, and `tail -f`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { command, ended } from '../support/command.js';
import { LineReader } from '../support/line-reader.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';
import { withFolder } from '../support/temporary-folder.js';

/** Every kind of change of names, content and attributes, the last one a sign that all is done. */
const CHANGES = `
set -e
cd "$1"
echo text > watched/file
echo more >> watched/file
cat watched/file > /dev/null
chmod 600 watched/file
touch -d '2001-02-03' watched/file
truncate -s 2 watched/file
ln watched/file watched/linked
ln -s file watched/symbolic
mv watched/linked watched/renamed
mv watched/renamed elsewhere/
mv elsewhere/renamed watched/back
echo over > elsewhere/new
mv elsewhere/new watched/file
mkdir watched/folder
rmdir watched/folder
rm watched/back watched/symbolic
fallocate -l 8192 watched/file
cp elsewhere/original watched/copy
mkfifo watched/end
`;

/** What inotifywait prints while another process makes the changes in this directory. */
async function eventsOf(directory: string): Promise<string[]> {
  const watched = path.join(directory, 'watched');
  mkdirSync(watched);
  mkdirSync(path.join(directory, 'elsewhere'));
  writeFileSync(path.join(directory, 'elsewhere/original'), 'original');
  const watcher = spawn('inotifywait', ['-m', '--format', '%e %f', watched], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = ended(watcher);
  try {
    const notices = new LineReader(watcher.stderr);
    while ((await notices.next()) !== 'Watches established.');
    const lines = new LineReader(watcher.stdout);
    await command('sh', ['-c', CHANGES, 'sh', directory]);
    const events: string[] = [];
    do events.push(await lines.next());
    while (events.at(-1) !== 'CREATE end');
    return events;
  } finally {
    watcher.kill('SIGKILL');
    await end;
  }
}

export const watchingChecks: DirectoryCheck[] = [
  {
    name: 'inotifywait sees what another process changes, as on a plain directory',
    run: (directory) =>
      withFolder(tmpdir(), 'plain', async (plain) => {
        const expected = await eventsOf(plain);
        assert.ok(expected.length > 30, `${expected.length} events`);
        assert.deepEqual(await eventsOf(directory), expected);
      }),
  },
  {
    name: 'tail -f follows a log that grows, is cut and is replaced',
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
        await command('sh', ['-c', 'mv "$1" "$1.1"; echo rotated > "$1"', 'sh', log]);
        assert.equal(await lines.next(), 'rotated');
        await command('sh', ['-c', 'for i in 1 2 3; do echo "later $i"; done >> "$1"', 'sh', log]);
        for (const index of [1, 2, 3]) assert.equal(await lines.next(), `later ${index}`);
      } finally {
        tail.kill('SIGKILL');
        await end;
      }
    },
  },
];
