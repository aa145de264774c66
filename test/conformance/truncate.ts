/** Changing a file's size. */
import assert from 'node:assert/strict';
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { randomBytes } from '../support/random-bytes.js';
import { ftruncate, truncate } from '../support/syscalls.js';
import { assertBytes, assertZeros, behaviours, expectErrno, withFile } from './behaviour.js';

export const truncation = behaviours('truncate', {
  'a shorter size keeps the start': (directory) => {
    for (const [from, to] of [
      [10, 3],
      [5000, 4096],
      [300_000, 100_001],
      [2_500_000, 1_048_576],
      [2_500_000, 1],
      [5000, 0],
    ] as const) {
      const file = path.join(directory, `file-${from}-${to}`);
      const bytes = randomBytes(from, from);
      writeFileSync(file, bytes);
      truncateSync(file, to);
      assert.equal(statSync(file).size, to);
      assertBytes(readFileSync(file), bytes.subarray(0, to), `${from} to ${to}`);
    }
  },

  'a larger size adds zeros': (directory) => {
    for (const [from, to] of [
      [0, 10],
      [10, 799],
      [700, 900],
      [5, 4097],
      [100_000, 3_000_000],
    ] as const) {
      const file = path.join(directory, `file-${from}-${to}`);
      const bytes = randomBytes(from, 3);
      writeFileSync(file, bytes);
      truncateSync(file, to);
      const read = readFileSync(file);
      assert.equal(read.length, to);
      assertBytes(read.subarray(0, from), bytes, 'start');
      assertZeros(read.subarray(from), 'added');
    }
  },

  'what was cut off does not come back': (directory) => {
    for (const size of [600, 9000, 1_500_000]) {
      const file = path.join(directory, `file-${size}`);
      const bytes = randomBytes(size, 4);
      writeFileSync(file, bytes);
      withFile(file, 'r+', (fd) => {
        ftruncate(fd, 100);
        ftruncate(fd, size);
        const read = Buffer.alloc(size);
        assert.equal(readSync(fd, read, 0, size, 0), size);
        assertBytes(read.subarray(0, 100), bytes.subarray(0, 100), 'kept');
        assertZeros(read.subarray(100), 'cut off');
      });
      withFile(file, 'r+', (fd) => {
        ftruncate(fd, 50);
        writeSync(fd, 'end', size);
      });
      assertZeros(readFileSync(file).subarray(50, size), 'cut off, then written behind');
    }
  },

  'a descriptor sees the new size at once, and writes go on at its position': (directory) => {
    const file = path.join(directory, 'file');
    withFile(file, 'w+', (fd) => {
      writeSync(fd, 'abcdef');
      truncateSync(file, 2);
      assert.equal(fstatSync(fd).size, 2);
      writeSync(fd, 'X');
      assert.equal(fstatSync(fd).size, 7);
    });
    assert.deepEqual([...readFileSync(file)], [97, 98, 0, 0, 0, 0, 88]);
  },

  'to the same size changes no byte': (directory) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(123_456, 8);
    writeFileSync(file, bytes);
    truncateSync(file, bytes.length);
    assertBytes(readFileSync(file), bytes, 'same size');
  },

  'up to a terabyte takes no data': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'start');
    truncateSync(file, 2 ** 40);
    assert.equal(statSync(file).size, 2 ** 40);
    withFile(file, 'r', (fd) => {
      const bytes = Buffer.alloc(100);
      assert.equal(readSync(fd, bytes, 0, 100, 2 ** 40 - 50), 50);
      assertZeros(bytes, 'far end');
    });
    truncateSync(file, 5);
    assert.equal(readFileSync(file, 'latin1'), 'start');
  },

  'impossible requests are refused': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    mkdirSync(path.join(directory, 'sub'));
    expectErrno('EINVAL', () => truncate(file, -1));
    expectErrno('EISDIR', () => truncate(path.join(directory, 'sub'), 0));
    expectErrno('ENOENT', () => truncate(path.join(directory, 'none'), 0));
    expectErrno('ENOTDIR', () => truncate(path.join(file, 'below'), 0));
    const fd = openSync(file, 'r');
    expectErrno('EINVAL', () => ftruncate(fd, 0));
    closeSync(fd);
    assert.equal(readFileSync(file, 'latin1'), 'text');
  },

  'a size beyond the largest file is refused and changes nothing': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    const huge = 2n ** 63n - 1n;
    try {
      truncate(file, huge);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EFBIG');
      assert.equal(readFileSync(file, 'latin1'), 'text');
      return;
    }
    // A file system may have no such limit; then it holds what it said.
    assert.equal(statSync(file, { bigint: true }).size, huge);
  },
});
