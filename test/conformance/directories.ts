/** Making, listing and removing directories. */
import assert from 'node:assert/strict';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import {
  allEntries,
  DT_DIR,
  DT_FIFO,
  DT_LNK,
  DT_REG,
  DT_SOCK,
  nextEntries,
  type RawEntry,
  seekDirectory,
} from '../support/directory-entries.js';
import { dropCaches } from '../support/drop-caches.js';
import { mknod } from '../support/syscalls.js';
import { behaviours, expectErrno, stat, withFile } from './behaviour.js';

const LARGE_DIRECTORY_ENTRIES = 100_000;

function textNames(entries: RawEntry[]): string[] {
  return entries
    .map(({ name }) => name.toString())
    .filter((name) => name !== '.' && name !== '..')
    .sort();
}

export const directories = behaviours('directories', {
  'mkdir and rmdir, with their errors': (directory) => {
    const sub = path.join(directory, 'sub');
    mkdirSync(sub);
    assert.ok(stat(sub).isDirectory());
    expectErrno('EEXIST', () => mkdirSync(sub));
    expectErrno('ENOENT', () => mkdirSync(path.join(directory, 'none/sub')));
    writeFileSync(path.join(sub, 'file'), '');
    expectErrno('ENOTDIR', () => mkdirSync(path.join(sub, 'file/sub')));
    expectErrno('ENOTEMPTY', () => rmdirSync(sub));
    expectErrno('ENOTDIR', () => rmdirSync(path.join(sub, 'file')));
    expectErrno('EISDIR', () => unlinkSync(sub));
    unlinkSync(path.join(sub, 'file'));
    expectErrno('EINVAL', () => rmdirSync(`${sub}/.`));
    rmdirSync(sub);
    expectErrno('ENOENT', () => rmdirSync(sub));
    expectErrno('ENOENT', () => unlinkSync(sub));
    assert.deepEqual(readdirSync(directory), []);
  },

  'links of a directory count its subdirectories, or nothing': (directory) => {
    const sub = path.join(directory, 'sub');
    mkdirSync(sub);
    const empty = stat(sub).nlink;
    assert.ok(empty === 2n || empty === 1n);
    for (const name of ['a', 'b', 'c']) mkdirSync(path.join(sub, name));
    writeFileSync(path.join(sub, 'file'), '');
    assert.equal(stat(sub).nlink, empty === 1n ? 1n : 5n);
    rmdirSync(path.join(sub, 'b'));
    assert.equal(stat(sub).nlink, empty === 1n ? 1n : 4n);
  },

  'entries have the type and inode that stat shows, and dots first come along': (directory) => {
    writeFileSync(path.join(directory, 'file'), '');
    mkdirSync(path.join(directory, 'sub'));
    symlinkSync('file', path.join(directory, 'link'));
    mknod(path.join(directory, 'fifo'), 0o010600);
    mknod(path.join(directory, 'socket'), 0o140600);
    const entries = withFile(directory, 'r', (fd) => allEntries(fd));
    const types = new Map(entries.map((entry) => [entry.name.toString(), entry.type]));
    assert.deepEqual(Object.fromEntries([...types].sort()), {
      '.': DT_DIR,
      '..': DT_DIR,
      fifo: DT_FIFO,
      file: DT_REG,
      link: DT_LNK,
      socket: DT_SOCK,
      sub: DT_DIR,
    });
    for (const { name, ino } of entries) {
      // Above a mount point, ".." has a number that only the file system knows.
      if (name.toString() === '..') continue;
      assert.equal(BigInt(ino), stat(path.join(directory, name.toString())).ino, name.toString());
    }
  },

  'a listing in small pieces is the same as in one': (directory) => {
    for (let index = 0; index < 500; index++)
      writeFileSync(path.join(directory, `file-${index}`), '');
    const whole = withFile(directory, 'r', (fd) => allEntries(fd, 1 << 20));
    const pieces = withFile(directory, 'r', (fd) => allEntries(fd, 300));
    assert.equal(textNames(whole).length, 500);
    assert.deepEqual(textNames(pieces), textNames(whole));
  },

  'a listing can be taken up again at any entry, and from the start': (directory) => {
    for (let index = 0; index < 300; index++)
      writeFileSync(path.join(directory, `file-${index}`), '');
    withFile(directory, 'r', (fd) => {
      const all = allEntries(fd, 2000);
      for (const at of [0, 1, 2, 150, 299, all.length - 1]) {
        seekDirectory(fd, all[at]?.nextPosition ?? 0n);
        const rest = allEntries(fd, 2000);
        assert.deepEqual(textNames(rest), textNames(all.slice(at + 1)), `after entry ${at}`);
      }
      writeFileSync(path.join(directory, 'added'), '');
      seekDirectory(fd, 0n);
      assert.equal(textNames(allEntries(fd)).length, 301);
    });
  },

  'names removed while listing do not hide or repeat others': (directory) => {
    const count = 2000;
    for (let index = 0; index < count; index++)
      writeFileSync(path.join(directory, `file-${index}`), '');
    const seen: string[] = [];
    withFile(directory, 'r', (fd) => {
      for (let some = nextEntries(fd, 4096); some.length > 0; some = nextEntries(fd, 4096)) {
        const names = textNames(some);
        for (const name of names) unlinkSync(path.join(directory, name));
        seen.push(...names);
      }
    });
    assert.equal(seen.length, count);
    assert.equal(new Set(seen).size, count);
    assert.deepEqual(readdirSync(directory), []);
  },

  'a removed directory that is still open lists nothing and takes nothing new': (directory) => {
    const sub = path.join(directory, 'sub');
    mkdirSync(sub);
    const fd = openSync(sub, 'r');
    rmdirSync(sub);
    expectErrno('ENOENT', () => writeFileSync(`/proc/self/fd/${fd}/file`, ''));
    expectErrno('ENOENT', () => nextEntries(fd));
    closeSync(fd);
  },

  'a listing is right after caches were dropped': (directory) => {
    const expected: string[] = [];
    for (let index = 0; index < 100; index++) {
      mkdirSync(path.join(directory, `directory-${index}`));
      expected.push(`directory-${index}`);
    }
    dropCaches(directory);
    assert.deepEqual(readdirSync(directory).sort(), expected.sort());
  },

  'a tree is removed as a whole': (directory) => {
    const top = path.join(directory, 'top');
    for (let a = 0; a < 5; a++) {
      for (let b = 0; b < 5; b++) {
        const folder = path.join(top, `a${a}`, `b${b}`);
        mkdirSync(folder, { recursive: true });
        for (let c = 0; c < 10; c++) writeFileSync(path.join(folder, `c${c}`), `${a}${b}${c}`);
      }
    }
    rmSync(top, { recursive: true });
    assert.deepEqual(readdirSync(directory), []);
  },

  [`a directory of ${LARGE_DIRECTORY_ENTRIES.toLocaleString('en')} entries lists each of them once`]:
    (directory) => {
      const large = path.join(directory, 'large');
      mkdirSync(large);
      // Symbolic links: the cheapest thing that makes a name.
      for (let index = 0; index < LARGE_DIRECTORY_ENTRIES; index++)
        symlinkSync('x', `${large}/${index}`);
      dropCaches(directory);
      const found = readdirSync(large);
      assert.equal(found.length, LARGE_DIRECTORY_ENTRIES);
      const numbers = new Set(found.map(Number));
      assert.equal(numbers.size, LARGE_DIRECTORY_ENTRIES);
      for (let index = 0; index < LARGE_DIRECTORY_ENTRIES; index++) assert.ok(numbers.has(index));
      assert.ok(stat(`${large}/77777`).isSymbolicLink());
      expectErrno('ENOENT', () => stat(`${large}/${LARGE_DIRECTORY_ENTRIES}`));
      for (let index = 0; index < LARGE_DIRECTORY_ENTRIES; index++) unlinkSync(`${large}/${index}`);
      rmdirSync(large);
    },
});
