/** Extended attributes. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { randomBytes } from '../support/random-bytes.js';
import {
  getxattr,
  getxattrSize,
  lgetxattr,
  listxattr,
  lremovexattr,
  lsetxattr,
  removexattr,
  setxattr,
  XATTR_CREATE,
  XATTR_REPLACE,
} from '../support/xattr.js';
import { assertBytes, behaviours, expectErrno, stat } from './behaviour.js';

/** Labels that a security module puts on every file are not counted. */
function ownNames(file: string): string[] {
  return listxattr(file).filter((name) => name.startsWith('user.'));
}

export const extendedAttributes = behaviours('extended attributes', {
  'are set, read, listed, replaced and removed': (directory) => {
    const file = path.join(directory, 'file');
    const sub = path.join(directory, 'sub');
    writeFileSync(file, 'text');
    mkdirSync(sub);
    for (const target of [file, sub]) {
      assert.deepEqual(ownNames(target), []);
      setxattr(target, 'user.one', Buffer.from('first'));
      setxattr(target, 'user.two', Buffer.from([0, 1, 255, 0]));
      assert.deepEqual(ownNames(target), ['user.one', 'user.two']);
      assert.equal(getxattr(target, 'user.one').toString(), 'first');
      assert.deepEqual([...getxattr(target, 'user.two')], [0, 1, 255, 0]);
      setxattr(target, 'user.one', Buffer.from('a longer value than before'));
      assert.equal(getxattr(target, 'user.one').toString(), 'a longer value than before');
      removexattr(target, 'user.one');
      assert.deepEqual(ownNames(target), ['user.two']);
      expectErrno('ENODATA', () => getxattr(target, 'user.one'));
    }
  },

  'empty and large values are kept byte for byte': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    for (const size of [0, 1, 255, 1000, 3000]) {
      const value = randomBytes(size, size);
      setxattr(file, 'user.value', value);
      assert.equal(getxattrSize(file, 'user.value'), size);
      assertBytes(getxattr(file, 'user.value'), value, `${size} bytes`);
    }
    const large = randomBytes(60_000, 9);
    try {
      setxattr(file, 'user.value', large);
    } catch (error) {
      // A file system may have less room for them; it must say so, and keep what was there.
      const { code } = error as NodeJS.ErrnoException;
      assert.ok(code === 'ENOSPC' || code === 'E2BIG', code);
      assert.equal(getxattrSize(file, 'user.value'), 3000);
      return;
    }
    assertBytes(getxattr(file, 'user.value'), large, '60,000 bytes');
  },

  'CREATE and REPLACE do what they say': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    expectErrno('ENODATA', () => setxattr(file, 'user.x', Buffer.from('1'), XATTR_REPLACE));
    setxattr(file, 'user.x', Buffer.from('2'), XATTR_CREATE);
    expectErrno('EEXIST', () => setxattr(file, 'user.x', Buffer.from('3'), XATTR_CREATE));
    assert.equal(getxattr(file, 'user.x').toString(), '2');
    setxattr(file, 'user.x', Buffer.from('4'), XATTR_REPLACE);
    assert.equal(getxattr(file, 'user.x').toString(), '4');
  },

  'what cannot be is refused with its own error': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    setxattr(file, 'user.x', Buffer.from('12345'));
    expectErrno('ERANGE', () => getxattr(file, 'user.x', 3));
    expectErrno('ERANGE', () => listxattr(file, 3));
    expectErrno('ENODATA', () => getxattr(file, 'user.none'));
    expectErrno('ENODATA', () => removexattr(file, 'user.none'));
    expectErrno('ERANGE', () => setxattr(file, `user.${'n'.repeat(251)}`, Buffer.of(1)));
    expectErrno('E2BIG', () => setxattr(file, 'user.big', Buffer.alloc(65_537)));
    expectErrno('EOPNOTSUPP', () => setxattr(file, 'nonsense', Buffer.of(1)));
    expectErrno('EINVAL', () => setxattr(file, 'user.', Buffer.of(1)));
    expectErrno('ENOENT', () => getxattr(path.join(directory, 'none'), 'user.x'));
  },

  'fifty of them on one file are all kept': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    const expected: string[] = [];
    for (let index = 0; index < 50; index++) {
      setxattr(file, `user.attribute-${index}`, Buffer.from(`value ${index}`));
      expected.push(`user.attribute-${index}`);
    }
    assert.deepEqual(ownNames(file), expected.sort());
    assert.equal(getxattr(file, 'user.attribute-37').toString(), 'value 37');
  },

  'names may be no UTF-8': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    const name = Buffer.concat([Buffer.from('user.'), Buffer.from([0xff, 0x20, 0xc3])]);
    setxattr(file, name, Buffer.from('value'));
    assert.deepEqual(ownNames(file), [name.toString('latin1')]);
    assert.equal(getxattr(file, name).toString(), 'value');
  },

  'stay with the file through rename, link and chmod, and go with it': (directory) => {
    const file = path.join(directory, 'file');
    const other = path.join(directory, 'other');
    writeFileSync(file, '');
    setxattr(file, 'user.x', Buffer.from('kept'));
    const { mtimeNs } = stat(file);
    chmodSync(file, 0o600);
    linkSync(file, other);
    assert.equal(getxattr(other, 'user.x').toString(), 'kept');
    renameSync(file, path.join(directory, 'renamed'));
    unlinkSync(other);
    assert.equal(getxattr(path.join(directory, 'renamed'), 'user.x').toString(), 'kept');
    assert.equal(stat(path.join(directory, 'renamed')).mtimeNs, mtimeNs);
    unlinkSync(path.join(directory, 'renamed'));
    writeFileSync(file, '');
    assert.deepEqual(ownNames(file), []);
  },

  'of a symbolic link are its own': {
    needsRoot: true,
    run: (directory) => {
      const link = path.join(directory, 'link');
      writeFileSync(path.join(directory, 'file'), '');
      symlinkSync('file', link);
      expectErrno('EPERM', () => lsetxattr(link, 'user.x', Buffer.of(1)));
      lsetxattr(link, 'trusted.x', Buffer.from('of the link'));
      assert.equal(lgetxattr(link, 'trusted.x').toString(), 'of the link');
      expectErrno('ENODATA', () => getxattr(link, 'trusted.x'));
      lremovexattr(link, 'trusted.x');
      expectErrno('ENODATA', () => lgetxattr(link, 'trusted.x'));
    },
  },
});
