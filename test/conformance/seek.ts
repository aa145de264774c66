/** SEEK_DATA and SEEK_HOLE. Files are synced first: what is only in a cache may not be told from data. */
import assert from 'node:assert/strict';
import { fsyncSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { randomBytes } from '../support/random-bytes.js';
import {
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  fallocate,
  lseek,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from '../support/syscalls.js';
import { behaviours, expectErrno, withFile } from './behaviour.js';

const MIB = 1 << 20;

/** The stretches of data of an open file, as the two seeks tell. */
function dataRanges(fd: number): [number, number][] {
  const ranges: [number, number][] = [];
  for (let at = 0; ; ) {
    let start: number;
    try {
      start = lseek(fd, at, SEEK_DATA);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENXIO');
      return ranges;
    }
    at = lseek(fd, start, SEEK_HOLE);
    assert.ok(at > start);
    ranges.push([start, at]);
  }
}

export const seeking = behaviours('seek', {
  'a file without holes is one stretch of data': (directory) => {
    const file = path.join(directory, 'file');
    for (const size of [5, 100_000, 3 * MIB]) {
      writeFileSync(file, randomBytes(size, size));
      withFile(file, 'r+', (fd) => {
        fsyncSync(fd);
        assert.deepEqual(dataRanges(fd), [[0, size]]);
        assert.equal(lseek(fd, size - 1, SEEK_HOLE), size);
      });
    }
  },

  'holes are found where they are': (directory) => {
    const file = path.join(directory, 'file');
    withFile(file, 'w+', (fd) => {
      for (const at of [1, 4, 5, 9]) writeSync(fd, randomBytes(MIB, at), 0, MIB, at * MIB);
      truncateSync(file, 12 * MIB);
      fsyncSync(fd);
      assert.deepEqual(dataRanges(fd), [
        [MIB, 2 * MIB],
        [4 * MIB, 6 * MIB],
        [9 * MIB, 10 * MIB],
      ]);
      assert.equal(lseek(fd, 0, SEEK_HOLE), 0);
      assert.equal(lseek(fd, 5 * MIB, SEEK_DATA), 5 * MIB);
      assert.equal(lseek(fd, 11 * MIB, SEEK_HOLE), 11 * MIB);
    });
  },

  'a file that is only a hole has no data': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    truncateSync(file, 5 * MIB);
    withFile(file, 'r', (fd) => {
      assert.deepEqual(dataRanges(fd), []);
      assert.equal(lseek(fd, MIB, SEEK_HOLE), MIB);
    });
  },

  'a punched hole is found': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, randomBytes(4 * MIB, 1));
    withFile(file, 'r+', (fd) => {
      fsyncSync(fd);
      fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, MIB, 2 * MIB);
      fsyncSync(fd);
      assert.deepEqual(dataRanges(fd), [
        [0, MIB],
        [3 * MIB, 4 * MIB],
      ]);
    });
  },

  'at and behind the end there is neither': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    withFile(file, 'r', (fd) => {
      expectErrno('ENXIO', () => lseek(fd, 4, SEEK_DATA));
      expectErrno('ENXIO', () => lseek(fd, 4, SEEK_HOLE));
      expectErrno('ENXIO', () => lseek(fd, 1000, SEEK_HOLE));
      expectErrno(['ENXIO', 'EINVAL'], () => lseek(fd, -1, SEEK_DATA));
      expectErrno('EINVAL', () => lseek(fd, 0, 77));
    });
  },

  'the ordinary seeks are right': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '0123456789');
    withFile(file, 'r', (fd) => {
      assert.equal(lseek(fd, 3, SEEK_SET), 3);
      assert.equal(lseek(fd, -2, SEEK_END), 8);
      assert.equal(lseek(fd, 2 ** 40, SEEK_SET), 2 ** 40);
      expectErrno('EINVAL', () => lseek(fd, -11, SEEK_END));
    });
  },
});
