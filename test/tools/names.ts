/** Names that are as long as can be, not ASCII, not UTF-8, or have a newline, through one program after the other. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { command } from '../support/command.js';
import { assertSameTree } from '../support/compare-trees.js';
import { dropCaches } from '../support/drop-caches.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';
import { withFolder } from '../support/temporary-folder.js';

const NAMES: readonly Buffer[] = [
  Buffer.alloc(255, 'n'),
  Buffer.from(`${'é'.repeat(126)}日`),
  Buffer.from('ünïcödé 日本語 🦊'),
  // The same letters, decomposed: another name.
  Buffer.from('ünïcödé 日本語 🦊'.normalize('NFD')),
  Buffer.from([0x63, 0x61, 0x66, 0xe9, 0x2d, 0xff, 0xfe]),
  Buffer.alloc(255, 0xff),
  Buffer.from('two\nlines\n'),
  Buffer.from('-rf'),
  Buffer.from(' spaces \t "quotes" \'and\' \\slashes\\ $HOME * '),
  Buffer.from([0x01, 0x1b, 0x5b, 0x7f]),
  Buffer.from('...'),
];

/** Each program takes over from the one before; the last folder must be like the first. */
const PROGRAMS = `
set -e
cd "$1"
cp -a "$2" copied
tar --format=posix -cf archive.tar -C copied .
mkdir untarred
tar -xpf archive.tar -C untarred
rsync -a untarred/ synced/
mkdir moved
cd synced
find . -mindepth 1 -maxdepth 1 -print0 | xargs -0 mv -t ../moved --
cd ../moved
git init -q .
git add -A
git -c user.name=n -c user.email=n@example.org commit -qm names
git fsck --strict
test -z "$(git status --porcelain)"
git clone -q . ../cloned
rm -r .git ../cloned/.git
cd ..
diff -r --no-dereference moved cloned
`;

export const nameChecks: DirectoryCheck[] = [
  {
    name: 'names of 255 bytes, in UTF-8, not in UTF-8, with newlines go through cp, tar, rsync, mv and git',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        for (const name of NAMES) {
          const at = (...rest: Buffer[]) =>
            Buffer.concat([source, '/', name, ...rest].map((part) => Buffer.from(part as string)));
          mkdirSync(at());
          writeFileSync(at(Buffer.from('/'), name), `inside ${name.toString('hex')}\n`);
        }
        assert.equal(readdirSync(source).length, NAMES.length);
        const env = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
        await command('sh', ['-c', PROGRAMS, 'sh', directory, source], { env });
        dropCaches(directory);
        for (const folder of ['copied', 'untarred', 'moved']) {
          assertSameTree(path.join(directory, folder), source);
        }
        const listed = readdirSync(path.join(directory, 'moved'), { encoding: 'buffer' });
        assert.deepEqual(listed.sort(Buffer.compare), [...NAMES].sort(Buffer.compare));
        await command('find', [path.join(directory, 'copied'), '-depth', '-delete']);
        assert.equal(readdirSync(directory).includes('copied'), false);
      }),
  },
];
