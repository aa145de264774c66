/** Hard and symbolic links. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { link } from '../support/syscalls.js';
import { behaviours, expectErrno, stat } from './behaviour.js';

export const links = behaviours('links', {
  'hard links are one file under several names': (directory) => {
    const [one, two] = [path.join(directory, 'one'), path.join(directory, 'sub/two')];
    mkdirSync(path.join(directory, 'sub'));
    writeFileSync(one, 'text');
    linkSync(one, two);
    assert.equal(stat(one).ino, stat(two).ino);
    assert.equal(stat(one).nlink, 2n);
    appendFileSync(two, ' more');
    chmodSync(two, 0o600);
    assert.equal(readFileSync(one, 'latin1'), 'text more');
    assert.equal(stat(one).mode & 0o777n, 0o600n);
    unlinkSync(one);
    assert.equal(stat(two).nlink, 1n);
    assert.equal(readFileSync(two, 'latin1'), 'text more');
  },

  'a hundred links count to a hundred': (directory) => {
    const first = path.join(directory, 'link-0');
    writeFileSync(first, 'text');
    for (let index = 1; index < 100; index++)
      linkSync(first, path.join(directory, `link-${index}`));
    assert.equal(stat(first).nlink, 100n);
    for (let index = 0; index < 99; index++) unlinkSync(path.join(directory, `link-${index}`));
    assert.equal(stat(path.join(directory, 'link-99')).nlink, 1n);
  },

  'a link that cannot be is refused': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    mkdirSync(path.join(directory, 'sub'));
    expectErrno('EPERM', () => linkSync(path.join(directory, 'sub'), path.join(directory, 'sub2')));
    expectErrno('EEXIST', () => linkSync(file, path.join(directory, 'sub')));
    expectErrno('ENOENT', () =>
      linkSync(path.join(directory, 'none'), path.join(directory, 'new')),
    );
    expectErrno('ENOENT', () => linkSync(file, path.join(directory, 'none/new')));
    assert.equal(stat(file).nlink, 1n);
  },

  'a hard link of a symbolic link is that link, or its target when asked': (directory) => {
    const file = path.join(directory, 'file');
    const symbolic = path.join(directory, 'symbolic');
    writeFileSync(file, 'text');
    symlinkSync('file', symbolic);
    link(symbolic, path.join(directory, 'second'));
    assert.equal(stat(path.join(directory, 'second')).ino, stat(symbolic).ino);
    assert.equal(readlinkSync(path.join(directory, 'second')), 'file');
    link(symbolic, path.join(directory, 'followed'), true);
    assert.equal(stat(path.join(directory, 'followed')).ino, stat(file).ino);
  },

  'symbolic links keep their target byte for byte': (directory) => {
    const targets = ['a', '/absolute/path', '../up', 'dangling', ' ', 'x'.repeat(255)].map((text) =>
      Buffer.from(text),
    );
    targets.push(
      Buffer.from([0xff, 0x2f, 0xfe]),
      Buffer.alloc(1000, 'long/'),
      Buffer.alloc(4000, 'y'),
    );
    targets.forEach((target, index) => {
      const name = path.join(directory, `link-${index}`);
      symlinkSync(target, name);
      assert.deepEqual(readlinkSync(name, { encoding: 'buffer' }), target);
      assert.ok(stat(name).isSymbolicLink());
      assert.equal(stat(name).size, BigInt(target.length));
    });
  },

  'symbolic links are followed, as files and as directories': (directory) => {
    mkdirSync(path.join(directory, 'real'));
    symlinkSync('real', path.join(directory, 'there'));
    symlinkSync('there/file', path.join(directory, 'file'));
    writeFileSync(path.join(directory, 'file'), 'through two links');
    assert.equal(readFileSync(path.join(directory, 'real/file'), 'latin1'), 'through two links');
    assert.deepEqual(readdirSync(path.join(directory, 'there')), ['file']);
    unlinkSync(path.join(directory, 'there'));
    assert.ok(existsSync(path.join(directory, 'real/file')));
  },

  'symbolic links that cannot be are refused': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    expectErrno('EEXIST', () => symlinkSync('target', file));
    expectErrno('ENOENT', () => symlinkSync('', path.join(directory, 'empty')));
    expectErrno('ENAMETOOLONG', () => symlinkSync('t'.repeat(4096), path.join(directory, 'long')));
    expectErrno('EINVAL', () => readlinkSync(file));
    expectErrno('ENOENT', () => readlinkSync(path.join(directory, 'none')));
    assert.deepEqual(readdirSync(directory), ['file']);
  },

  'a symbolic link to itself ends in ELOOP': (directory) => {
    symlinkSync('loop', path.join(directory, 'loop'));
    expectErrno('ELOOP', () => readFileSync(path.join(directory, 'loop')));
  },
});
