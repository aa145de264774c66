/** Holes: they read as zeros and take no space. */
import assert from 'node:assert/strict';
import {
  fsyncSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { randomBytes } from '../support/random-bytes.js';
import { allocatedBytes, assertBytes, assertZeros, behaviours, withFile } from './behaviour.js';

export const sparse = behaviours('sparse', {
  'a byte far out leaves a hole that reads as zeros': (directory) => {
    const file = path.join(directory, 'file');
    const far = 5 * 2 ** 30;
    withFile(file, 'w+', (fd) => {
      writeSync(fd, 'x', far);
      fsyncSync(fd);
      assert.equal(statSync(file).size, far + 1);
      const bytes = Buffer.alloc(1 << 20);
      for (const offset of [0, 12_345, 2 ** 31 - 100, 2 ** 32 - 100, far - (1 << 20)]) {
        assert.equal(readSync(fd, bytes, 0, bytes.length, offset), bytes.length);
        assertZeros(bytes, `hole at ${offset}`);
      }
      assert.equal(readSync(fd, bytes, 0, 10, far), 1);
      assert.equal(bytes.toString('latin1', 0, 1), 'x');
    });
    assert.ok(allocatedBytes(file) <= 1 << 20, `allocates ${allocatedBytes(file)} bytes`);
  },

  'data and holes in turns keep their places': (directory) => {
    const file = path.join(directory, 'file');
    const expected = Buffer.alloc(6 << 20);
    withFile(file, 'w', (fd) => {
      for (let index = 0; index < 12; index++) {
        const offset = index * (512 << 10) + (index % 3) * 7;
        const bytes = randomBytes(9000, index);
        writeSync(fd, bytes, 0, bytes.length, offset);
        bytes.copy(expected, offset);
      }
    });
    truncateSync(file, expected.length);
    assertBytes(readFileSync(file), expected, 'sparse file');
  },

  'allocated space follows the data': (directory) => {
    const file = path.join(directory, 'file');
    withFile(file, 'w', (fd) => {
      fsyncSync(fd);
      assert.equal(allocatedBytes(file), 0);
      writeSync(fd, randomBytes(2 << 20, 1), 0, 2 << 20, 0);
      fsyncSync(fd);
    });
    const full = allocatedBytes(file);
    assert.ok(full >= 2 << 20 && full <= 3 << 20, `2 MiB allocate ${full} bytes`);
    truncateSync(file, 100 << 20);
    assert.ok(allocatedBytes(file) <= full + 8192, 'growing allocates nothing');
    truncateSync(file, 1 << 20);
    withFile(file, 'r+', fsyncSync);
    const half = allocatedBytes(file);
    assert.ok(half >= 1 << 20 && half < full, `1 MiB allocates ${half} bytes`);
    truncateSync(file, 0);
    withFile(file, 'r+', fsyncSync);
    assert.equal(allocatedBytes(file), 0);
  },

  'a hole is filled by a later write': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    truncateSync(file, 3 << 20);
    const bytes = randomBytes(1 << 20, 2);
    withFile(file, 'r+', (fd) => writeSync(fd, bytes, 0, bytes.length, 1_000_003));
    const read = readFileSync(file);
    assertZeros(read.subarray(0, 1_000_003), 'before');
    assertBytes(read.subarray(1_000_003, 1_000_003 + bytes.length), bytes, 'filled');
    assertZeros(read.subarray(1_000_003 + bytes.length), 'after');
  },
});
