/** A file that was removed while open lives until its last descriptor is closed. */
import assert from 'node:assert/strict';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { dropCaches } from '../support/drop-caches.js';
import { randomBytes } from '../support/random-bytes.js';
import { ftruncate, linkOpenFile } from '../support/syscalls.js';
import { assertBytes, assertZeros, behaviours, expectErrno } from './behaviour.js';

export const unlinkOpen = behaviours('unlink while open', {
  'it can be read, written, truncated and synced': (directory) => {
    for (const size of [100, 1_000_000]) {
      const file = path.join(directory, 'file');
      const bytes = randomBytes(size, size);
      writeFileSync(file, bytes);
      const fd = openSync(file, 'r+');
      unlinkSync(file);
      assert.deepEqual(readdirSync(directory), []);
      assert.equal(fstatSync(fd).nlink, 0);
      dropCaches(directory);
      const read = Buffer.alloc(size);
      assert.equal(readSync(fd, read, 0, size, 0), size);
      assertBytes(read, bytes, 'after unlink');
      writeSync(fd, 'written later', 50);
      fsyncSync(fd);
      ftruncate(fd, 60);
      ftruncate(fd, 200);
      assert.equal(fstatSync(fd).size, 200);
      const end = Buffer.alloc(150);
      assert.equal(readSync(fd, end, 0, 150, 50), 150);
      assert.equal(end.toString('latin1', 0, 10), 'written la');
      assertZeros(end.subarray(10), 'cut off');
      closeSync(fd);
    }
  },

  'a new file under the name is another one': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'old');
    const old = openSync(file, 'r');
    unlinkSync(file);
    writeFileSync(file, 'new file');
    const now = openSync(file, 'r');
    assert.notEqual(fstatSync(old).ino, fstatSync(now).ino);
    const bytes = Buffer.alloc(10);
    assert.equal(bytes.toString('latin1', 0, readSync(old, bytes)), 'old');
    assert.equal(bytes.toString('latin1', 0, readSync(now, bytes)), 'new file');
    closeSync(old);
    closeSync(now);
  },

  'the last of several descriptors counts': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    const fds = [openSync(file, 'r'), openSync(file, 'r'), openSync(file, 'r+')];
    unlinkSync(file);
    for (const fd of fds) {
      const bytes = Buffer.alloc(4);
      assert.equal(readSync(fd, bytes, 0, 4, 0), 4);
      assert.equal(bytes.toString('latin1'), 'text');
      closeSync(fd);
    }
  },

  'it cannot get a name again': {
    needsRoot: true,
    run: (directory) => {
      const file = path.join(directory, 'file');
      writeFileSync(file, 'text');
      const fd = openSync(file, 'r');
      unlinkSync(file);
      expectErrno('ENOENT', () => linkOpenFile(fd, file));
      closeSync(fd);
    },
  },
});
