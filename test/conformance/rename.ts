/** rename and renameat2. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, rename } from '../support/syscalls.js';
import { behaviours, expectErrno, stat } from './behaviour.js';

/** A small tree: files a and b, directories full (with a file in it) and empty. */
function tree(directory: string): { [name in 'a' | 'b' | 'full' | 'empty']: string } {
  const at = (name: string) => path.join(directory, name);
  writeFileSync(at('a'), 'content of a');
  writeFileSync(at('b'), 'content of b');
  mkdirSync(at('full'));
  writeFileSync(at('full/inner'), 'inner');
  mkdirSync(at('empty'));
  return { a: at('a'), b: at('b'), full: at('full'), empty: at('empty') };
}

export const renaming = behaviours('rename', {
  'a file keeps its inode and content under the new name': (directory) => {
    const { a } = tree(directory);
    const { ino } = stat(a);
    const to = path.join(directory, 'new');
    renameSync(a, to);
    assert.equal(existsSync(a), false);
    assert.equal(stat(to).ino, ino);
    assert.equal(readFileSync(to, 'latin1'), 'content of a');
    assert.deepEqual(readdirSync(directory).sort(), ['b', 'empty', 'full', 'new']);
  },

  'a file over a file replaces it': (directory) => {
    const { a, b } = tree(directory);
    linkSync(b, path.join(directory, 'b2'));
    renameSync(a, b);
    assert.equal(readFileSync(b, 'latin1'), 'content of a');
    assert.equal(stat(path.join(directory, 'b2')).nlink, 1n);
    assert.equal(readFileSync(path.join(directory, 'b2'), 'latin1'), 'content of b');
  },

  'who has the replaced file open goes on reading it': (directory) => {
    const { a, b } = tree(directory);
    const fd = openSync(b, 'r');
    renameSync(a, b);
    assert.equal(readFileSync(fd, 'latin1'), 'content of b');
    closeSync(fd);
  },

  'a directory moves with all below it, across directories': (directory) => {
    const { full, empty } = tree(directory);
    const before = stat(directory).nlink;
    renameSync(full, path.join(empty, 'moved'));
    assert.equal(readFileSync(path.join(empty, 'moved/inner'), 'latin1'), 'inner');
    assert.equal(stat(path.join(empty, 'moved/..')).ino, stat(empty).ino);
    assert.equal(existsSync(full), false);
    // One subdirectory fewer here (where the file system counts them).
    assert.ok(stat(directory).nlink === before - 1n || before === 1n);
  },

  'a directory over an empty directory replaces it, over a full one not': (directory) => {
    const { full, empty } = tree(directory);
    expectErrno(['ENOTEMPTY', 'EEXIST'], () => renameSync(empty, full));
    renameSync(full, empty);
    assert.deepEqual(readdirSync(empty), ['inner']);
    assert.equal(existsSync(full), false);
  },

  'files and directories do not replace each other': (directory) => {
    const { a, empty } = tree(directory);
    expectErrno('EISDIR', () => renameSync(a, empty));
    expectErrno('ENOTDIR', () => renameSync(empty, a));
    assert.equal(readFileSync(a, 'latin1'), 'content of a');
  },

  'a directory does not go into itself, and the root of the tree nowhere': (directory) => {
    const { full } = tree(directory);
    mkdirSync(path.join(full, 'sub'));
    expectErrno('EINVAL', () => renameSync(full, path.join(full, 'sub/again')));
    expectErrno(['EBUSY', 'EINVAL', 'ENOTEMPTY', 'EEXIST'], () =>
      renameSync(path.join(full, 'sub'), path.join(full, 'sub/../../full')),
    );
    assert.deepEqual(readdirSync(full).sort(), ['inner', 'sub']);
  },

  'missing names and missing directories are told': (directory) => {
    const { a } = tree(directory);
    expectErrno('ENOENT', () => renameSync(path.join(directory, 'none'), a));
    expectErrno('ENOENT', () => renameSync(a, path.join(directory, 'none/a')));
    expectErrno('ENOTDIR', () => renameSync(a, path.join(directory, 'b/a')));
  },

  'onto itself, or onto another link of the same file, changes nothing': (directory) => {
    const { a } = tree(directory);
    const other = path.join(directory, 'other');
    linkSync(a, other);
    renameSync(a, a);
    renameSync(a, other);
    assert.ok(existsSync(a) && existsSync(other));
    assert.equal(stat(a).nlink, 2n);
  },

  'a symbolic link moves as a link': (directory) => {
    const { b } = tree(directory);
    symlinkSync('target', path.join(directory, 'link'));
    renameSync(path.join(directory, 'link'), b);
    assert.equal(readlinkSync(b), 'target');
  },

  'NOREPLACE refuses a name that is there and takes one that is not': (directory) => {
    const { a, b } = tree(directory);
    expectErrno('EEXIST', () => rename(a, b, RENAME_NOREPLACE));
    assert.equal(readFileSync(b, 'latin1'), 'content of b');
    rename(a, path.join(directory, 'new'), RENAME_NOREPLACE);
    assert.equal(existsSync(a), false);
    assert.equal(readFileSync(path.join(directory, 'new'), 'latin1'), 'content of a');
  },

  'EXCHANGE swaps files, directories, and one with the other': (directory) => {
    const { a, b, full, empty } = tree(directory);
    rename(a, b, RENAME_EXCHANGE);
    assert.equal(readFileSync(a, 'latin1'), 'content of b');
    assert.equal(readFileSync(b, 'latin1'), 'content of a');
    rename(full, empty, RENAME_EXCHANGE);
    assert.deepEqual(readdirSync(empty), ['inner']);
    assert.deepEqual(readdirSync(full), []);
    rename(a, empty, RENAME_EXCHANGE);
    assert.deepEqual(readdirSync(a), ['inner']);
    assert.equal(readFileSync(empty, 'latin1'), 'content of b');
  },

  'EXCHANGE across directories mends ".." on both sides': (directory) => {
    const { full, empty } = tree(directory);
    mkdirSync(path.join(full, 'one'));
    mkdirSync(path.join(empty, 'two'));
    writeFileSync(path.join(full, 'one/mark'), '');
    rename(path.join(full, 'one'), path.join(empty, 'two'), RENAME_EXCHANGE);
    assert.ok(existsSync(path.join(empty, 'two/mark')));
    assert.equal(stat(path.join(empty, 'two/..')).ino, stat(empty).ino);
    assert.equal(stat(path.join(full, 'one/..')).ino, stat(full).ino);
  },

  'EXCHANGE refuses a missing name, and an exchange with an ancestor': (directory) => {
    const { a, full } = tree(directory);
    expectErrno('ENOENT', () => rename(a, path.join(directory, 'none'), RENAME_EXCHANGE));
    mkdirSync(path.join(full, 'sub'));
    expectErrno('EINVAL', () => rename(full, path.join(full, 'sub'), RENAME_EXCHANGE));
    expectErrno('EINVAL', () => rename(a, full, RENAME_EXCHANGE | RENAME_NOREPLACE));
  },

  'a thousand renames over one name leave one file': (directory) => {
    const target = path.join(directory, 'target');
    const temporary = path.join(directory, 'temporary');
    for (let round = 0; round < 1000; round++) {
      writeFileSync(temporary, `round ${round}`);
      renameSync(temporary, target);
    }
    assert.deepEqual(readdirSync(directory), ['target']);
    assert.equal(readFileSync(target, 'latin1'), 'round 999');
  },
});
