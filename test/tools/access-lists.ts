/** POSIX access lists: set, shown and copied by real programs, and gone by. Each check holds on any file system with them. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { command } from '../support/command.js';
import { dropCaches } from '../support/drop-caches.js';
import type { DirectoryCheck } from '../support/run-behaviours.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { linkOpenFile, mknod, O_TMPFILE, withUmask } from '../support/syscalls.js';
import { withFolder } from '../support/temporary-folder.js';
import { getxattr, listxattr, removexattr, setxattr } from '../support/xattr.js';

const ACCESS = 'system.posix_acl_access';
const DEFAULT = 'system.posix_acl_default';

/** What each step leaves is printed; a plain directory has the right answers. */
const STEPS = `
cd "$1"
umask 022
show() { stat -c '%a %n' "$@"; getfacl -cp "$@"; }
as() { user=$1; shift; setpriv --reuid="$user" --regid="$user" --clear-groups "$@" 2>/dev/null || echo refused; }
echo a list opens a file, chmod closes it
echo text > file; chmod 600 file
setfacl -m u:12345:rw- file; show file
as 12345 sh -c 'echo more >> file'; as 12346 cat file
chmod 600 file; show file; as 12345 cat file
chmod 664 file; show file; as 12345 cat file; as 12346 sh -c 'echo more >> file'
setfacl -m u:12346:---,m:rwx file; show file; as 12346 cat file
echo what the mode can say is no list
setfacl -b file; show file
setfacl -m u::rw,g::r,o::- file; show file
echo new names inherit
mkdir inherit; setfacl -d -m u:12345:rwx,g:12346:r-x inherit; show inherit
echo > inherit/file; mkdir inherit/folder; mkfifo inherit/fifo; ln -s file inherit/link
(umask 077; mkdir -m 700 inherit/narrow; touch inherit/open)
chmod g+s inherit; chgrp 12346 inherit; mkdir inherit/group
show inherit/*; as 12345 sh -c 'echo by somebody > inherit/folder/new'; show inherit/folder/*
mv file inherit/moved; show inherit/moved; cp inherit/moved inherit/copied; show inherit/copied
setfacl -k inherit; show inherit; mkdir inherit/last; show inherit/last
echo who may
touch own; setfacl -d -m u:1:r own 2>&1 | sed 's/.*: //'
chown 12345:12345 own; chmod 2770 own
as 12346 setfacl -m u:12346:r own
setpriv --reuid=12345 --regid=1 --clear-groups setfacl -m u:5:r own; show own
`;

interface Side {
  directory: string;
  names: string[];
}

/** A list as bytes, often one that is refused or says no more than a mode. */
function randomList(random: SeededRandom): Buffer {
  const entries: [tag: number, id: number][] = [[1, 0xffff_ffff]];
  const users = random.below(3);
  for (let index = 0; index < users; index++) entries.push([2, 10_000 + index]);
  entries.push([4, 0xffff_ffff]);
  const groups = random.below(2);
  for (let index = 0; index < groups; index++) entries.push([8, 20_000 + index]);
  if (users + groups > 0 ? random.below(10) > 0 : random.below(3) === 0)
    entries.push([16, 0xffff_ffff]);
  entries.push([32, 0xffff_ffff]);
  const list = Buffer.alloc(4 + 8 * entries.length);
  list.writeUInt32LE(2);
  entries.forEach(([tag, id], index) => {
    list.writeUInt16LE(tag, 4 + 8 * index);
    list.writeUInt16LE(random.below(8), 6 + 8 * index);
    list.writeUInt32LE(id, 8 + 8 * index);
  });
  return list;
}

/** One step, as a function that is run on both sides. */
function randomStep(random: SeededRandom, number: number): (side: Side) => void {
  const pick = random.next();
  const chosen = (side: Side) =>
    path.join(side.directory, side.names[Math.floor(pick * side.names.length)] ?? '');
  const folderOf = (side: Side) =>
    lstatSync(chosen(side)).isDirectory() ? chosen(side) : path.dirname(chosen(side));
  const [mode, umask] = [random.below(0o1000), random.pick([0, 0o022, 0o077, 0o027])];
  const make = (how: (file: string) => void) => (side: Side) => {
    const file = path.join(folderOf(side), `n${number}`);
    withUmask(umask, () => how(file));
    side.names.push(path.relative(side.directory, file));
  };
  const list = randomList(random);
  const removed = random.pick([ACCESS, DEFAULT]);
  const steps = [
    (side: Side) => setxattr(chosen(side), ACCESS, list),
    (side: Side) => setxattr(folderOf(side), DEFAULT, list),
    (side: Side) => setxattr(chosen(side), DEFAULT, list),
    (side: Side) => removexattr(chosen(side), removed),
    (side: Side) => chmodSync(chosen(side), mode),
    (side: Side) => setxattr(chosen(side), 'user.other', Buffer.from(String(number))),
    make((file) => closeSync(openSync(file, 'wx', mode))),
    make((file) => mkdirSync(file, mode)),
    make((file) => mknod(file, 0o010000 | mode)),
    make((file) => symlinkSync('anywhere', file)),
    make((file) => {
      const fd = openSync(path.dirname(file), O_TMPFILE | constants.O_RDWR, mode);
      try {
        linkOpenFile(fd, file);
      } finally {
        closeSync(fd);
      }
    }),
  ];
  return random.pick(steps);
}

function outcome(run: () => void): string {
  try {
    run();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** Mode and lists of every name. */
function shown(side: Side): string[] {
  return side.names.map((name) => {
    const file = path.join(side.directory, name);
    const stat = lstatSync(file);
    const lists = stat.isSymbolicLink()
      ? []
      : listxattr(file)
          .filter((list) => list.startsWith('system.'))
          .map((list) => `${list} ${getxattr(file, list).toString('hex')}`);
    return [name, stat.mode.toString(8), ...lists].join(' ');
  });
}

/** A tree whose files and folders have lists of many kinds. */
async function writeTreeWithLists(directory: string): Promise<void> {
  for (let index = 0; index < 12; index++) {
    const folder = path.join(directory, `d${index % 3}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, `file-${index}`), `content ${index}\n`);
  }
  const script = `cd "$1"
    setfacl -m u:12345:rwx,g:12346:r d0 d1/*
    setfacl -d -m u:12345:rwx,o::- d1 d2
    setfacl -m u:12346:---,m:r d2/file-5
    echo > d1/inherited; mkdir d2/inherited; chmod 640 d1/file-1`;
  await command('sh', ['-ec', script, 'sh', directory]);
}

async function listsOf(directory: string): Promise<string> {
  return await command('sh', ['-c', 'cd "$1" && getfacl -Rn . | sort', 'sh', directory]);
}

export const accessListChecks: DirectoryCheck[] = [
  {
    name: 'setfacl, chmod, inheritance and access are as on a plain directory',
    needsRoot: true,
    run: (directory) =>
      withFolder(tmpdir(), 'plain', async (plain) => {
        const [expected, actual] = [plain, directory].map((folder) => {
          chmodSync(folder, 0o755);
          return command('sh', ['-c', STEPS, 'sh', folder]);
        });
        assert.match((await expected) ?? '', /user:12345:rw-\t#effective:---/);
        assert.equal(await actual, await expected);
      }),
  },
  {
    name: 'random lists, modes and new names are as on a plain directory',
    run: (directory) =>
      withFolder(tmpdir(), 'plain', (plain) => {
        const seed = seedOfRun();
        const random = new SeededRandom(seed);
        const sides = [plain, directory].map((folder) => ({ directory: folder, names: [''] }));
        const [expected, actual] = sides as [Side, Side];
        for (const { directory: folder } of sides) chmodSync(folder, 0o755);
        for (let number = 0; number < 400; number++) {
          const step = randomStep(random, number);
          const what = `seed ${seed}, step ${number}`;
          assert.equal(
            outcome(() => step(actual)),
            outcome(() => step(expected)),
            what,
          );
          if (number % 20 === 0) assert.deepEqual(shown(actual), shown(expected), what);
        }
        dropCaches(directory);
        assert.deepEqual(shown(actual), shown(expected), `seed ${seed}, at the end`);
      }),
  },
  {
    name: 'rsync -A, tar --acls and cp -a keep lists, in and out',
    run: (directory) =>
      withFolder(tmpdir(), 'source', async (source) => {
        await writeTreeWithLists(source);
        const expected = await listsOf(source);
        const target = path.join(directory, 'rsync');
        await command('rsync', ['-aA', `${source}/`, target]);
        dropCaches(directory);
        assert.equal(await listsOf(target), expected);
        const again = await command('rsync', ['-aAi', `${source}/`, target]);
        assert.equal(again, '', 'the second run finds no difference');
        await command('setfacl', ['-m', 'u:12345:r', path.join(source, 'd0')]);
        const changed = await command('rsync', ['-aAi', `${source}/`, target]);
        assert.match(changed, /^\.d\S*a\S* d0\/\n$/, 'the third run one changed list');
        for (const [folder, from] of [
          ['in', source],
          ['out', target],
        ] as const) {
          const copy = path.join(folder === 'in' ? directory : source, `cp-${folder}`);
          await command('cp', ['-a', from, copy]);
          assert.equal(await listsOf(copy), await listsOf(target));
          rmSync(copy, { recursive: true });
        }
        const archive = path.join(directory, 'archive.tar');
        await command('tar', ['--acls', '-cf', archive, '-C', target, '.']);
        mkdirSync(path.join(directory, 'tar'));
        await command('tar', ['--acls', '-xpf', archive, '-C', path.join(directory, 'tar')]);
        assert.equal(await listsOf(path.join(directory, 'tar')), await listsOf(target));
        assert.equal(readdirSync(path.join(directory, 'tar')).length, 3);
      }),
  },
];
