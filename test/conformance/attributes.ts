/** Modes, owners, and what stat shows. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  lchownSync,
  mkdirSync,
  openSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { SOMEBODY, SOMEBODY_ELSE } from '../support/other-user.js';
import { withUmask } from '../support/syscalls.js';
import { behaviours, expectErrno, stat, withFile } from './behaviour.js';

function permissions(file: string): number {
  return Number(stat(file).mode & 0o7777n);
}

export const attributes = behaviours('attributes', {
  'chmod sets every permission bit and keeps the type': (directory) => {
    const file = path.join(directory, 'file');
    const sub = path.join(directory, 'sub');
    writeFileSync(file, '');
    mkdirSync(sub);
    for (const mode of [0, 0o777, 0o640, 0o400, 0o111, 0o4755, 0o1777, 0o644]) {
      chmodSync(file, mode);
      chmodSync(sub, mode);
      assert.equal(permissions(file), mode);
      assert.equal(permissions(sub), mode);
      assert.ok(stat(file).isFile() && stat(sub).isDirectory());
    }
    withFile(file, 'r', (fd) => {
      fchmodSync(fd, 0o604);
      assert.equal(fstatSync(fd).mode & 0o7777, 0o604);
    });
    assert.equal(permissions(file), 0o604);
  },

  'the umask takes bits from new files and directories, not from chmod': (directory) => {
    const file = path.join(directory, 'file');
    const sub = path.join(directory, 'sub');
    withUmask(0o027, () => {
      closeSync(openSync(file, 'w', 0o666));
      mkdirSync(sub, 0o777);
      assert.equal(permissions(file), 0o640);
      assert.equal(permissions(sub), 0o750);
      chmodSync(file, 0o666);
    });
    assert.equal(permissions(file), 0o666);
  },

  'a file created read-only can be written by who created it': (directory) => {
    const fd = openSync(path.join(directory, 'file'), 'wx', 0o444);
    writeFileSync(fd, 'text');
    closeSync(fd);
    assert.equal(stat(path.join(directory, 'file')).size, 4n);
    assert.equal(permissions(path.join(directory, 'file')), 0o444);
  },

  'new files belong to who creates them': (directory) => {
    writeFileSync(path.join(directory, 'file'), '');
    mkdirSync(path.join(directory, 'sub'));
    symlinkSync('x', path.join(directory, 'link'));
    for (const name of ['file', 'sub', 'link']) {
      const { uid, gid } = stat(path.join(directory, name));
      assert.equal(uid, BigInt(process.geteuid?.() ?? -1));
      assert.equal(gid, BigInt(process.getegid?.() ?? -1));
    }
  },

  'chown sets owner and group, each alone, and of a link itself': {
    needsRoot: true,
    run: (directory) => {
      const file = path.join(directory, 'file');
      const link = path.join(directory, 'link');
      writeFileSync(file, '');
      symlinkSync('file', link);
      chownSync(file, SOMEBODY, SOMEBODY_ELSE);
      assert.deepEqual([stat(file).uid, stat(file).gid], [12_345n, 12_346n]);
      chownSync(file, 1, 0xffffffff);
      assert.deepEqual([stat(file).uid, stat(file).gid], [1n, 12_346n]);
      chownSync(file, 0xffffffff, 2);
      assert.deepEqual([stat(file).uid, stat(file).gid], [1n, 2n]);
      lchownSync(link, SOMEBODY, SOMEBODY_ELSE);
      assert.deepEqual([stat(link).uid, stat(link).gid], [12_345n, 12_346n]);
      assert.deepEqual([stat(file).uid, stat(file).gid], [1n, 2n]);
      withFile(file, 'r', (fd) => fchownSync(fd, 4_000_000_000, 3));
      assert.deepEqual([stat(file).uid, stat(file).gid], [4_000_000_000n, 3n]);
    },
  },

  'stat says the same by name and by descriptor': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    withFile(file, 'r', (fd) => {
      const [byName, byDescriptor] = [stat(file), fstatSync(fd, { bigint: true })];
      for (const field of [
        'ino',
        'mode',
        'nlink',
        'uid',
        'gid',
        'size',
        'mtimeNs',
        'ctimeNs',
      ] as const) {
        assert.equal(byName[field], byDescriptor[field], field);
      }
    });
  },

  'inode numbers are different for different files and stay as they are': (directory) => {
    const seen = new Set<bigint>();
    for (let index = 0; index < 200; index++) {
      writeFileSync(path.join(directory, `file-${index}`), '');
      seen.add(stat(path.join(directory, `file-${index}`)).ino);
    }
    assert.equal(seen.size, 200);
    for (let index = 0; index < 200; index++) {
      assert.ok(seen.has(stat(path.join(directory, `file-${index}`)).ino));
    }
    assert.ok(!seen.has(stat(directory).ino));
  },

  'all files are on the device of their directory': (directory) => {
    writeFileSync(path.join(directory, 'file'), '');
    mkdirSync(path.join(directory, 'sub'));
    assert.equal(stat(path.join(directory, 'file')).dev, stat(directory).dev);
    assert.equal(stat(path.join(directory, 'sub')).dev, stat(directory).dev);
    assert.ok(statSync(directory).blksize >= 512);
  },

  'attributes of what is not there: ENOENT and ENOTDIR': (directory) => {
    writeFileSync(path.join(directory, 'file'), '');
    expectErrno('ENOENT', () => statSync(path.join(directory, 'none')));
    expectErrno('ENOENT', () => chmodSync(path.join(directory, 'none'), 0o600));
    expectErrno('ENOENT', () => chownSync(path.join(directory, 'none'), 0, 0));
    expectErrno('ENOTDIR', () => statSync(path.join(directory, 'file/below')));
  },
});
