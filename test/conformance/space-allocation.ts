/** fallocate: allocate, keep size, punch a hole, zero a range. */
import assert from 'node:assert/strict';
import { fsyncSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { dropCaches } from '../support/drop-caches.js';
import { randomBytes } from '../support/random-bytes.js';
import {
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  fallocate,
} from '../support/syscalls.js';
import {
  allocatedBytes,
  assertBytes,
  assertZeros,
  behaviours,
  expectErrno,
  stat,
  withFile,
} from './behaviour.js';

const PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE;

export const spaceAllocation = behaviours('fallocate', {
  'the number of blocks is right whenever it can be known': (directory) => {
    const bytes = 40 << 10;
    for (let round = 0; round < 20; round++) {
      const file = path.join(directory, `file-${round}`);
      withFile(file, 'w', (fd) => {
        assert.equal(allocatedBytes(file), 0, 'asked before anything is written');
        writeSync(fd, randomBytes(bytes, round));
        fsyncSync(fd);
        assert.equal(allocatedBytes(file), bytes, 'after fsync');
        writeSync(fd, randomBytes(bytes, 100 + round));
      });
      assert.equal(allocatedBytes(file), 2 * bytes, 'after close');
    }
  },

  'allocating grows the file with zeros and takes space': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'start');
    withFile(file, 'r+', (fd) => {
      fallocate(fd, 0, 0, 1 << 20);
      fsyncSync(fd);
    });
    assert.equal(statSync(file).size, 1 << 20);
    assert.ok(allocatedBytes(file) >= 1 << 20, `allocates ${allocatedBytes(file)} bytes`);
    const bytes = readFileSync(file);
    assert.equal(bytes.toString('latin1', 0, 5), 'start');
    assertZeros(bytes.subarray(5), 'allocated');
  },

  'allocating over data changes no byte': (directory) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(200_000, 1);
    writeFileSync(file, bytes);
    withFile(file, 'r+', (fd) => fallocate(fd, 0, 1000, 150_000));
    assertBytes(readFileSync(file), bytes, 'data');
  },

  'KEEP_SIZE allocates behind the end and leaves the size': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    withFile(file, 'r+', (fd) => {
      fallocate(fd, FALLOC_KEEP_SIZE, 0, 1 << 20);
      fsyncSync(fd);
      assert.equal(statSync(file).size, 4);
      assert.ok(allocatedBytes(file) >= 1 << 20, `allocates ${allocatedBytes(file)} bytes`);
      writeSync(fd, 'far', 500_000);
    });
    const read = readFileSync(file);
    assert.equal(read.length, 500_003);
    assertZeros(read.subarray(4, 500_000), 'allocated');
  },

  'space behind the end goes with a truncation, also to the size the file has': (directory) => {
    const file = path.join(directory, 'file');
    for (const size of [0, 500, 5000]) {
      for (const cut of [
        () => writeFileSync(file, ''),
        () => truncateSync(file, size),
        () => truncateSync(file, Math.max(0, size - 1)),
      ]) {
        writeFileSync(file, randomBytes(size, 1));
        withFile(file, 'r+', (fd) => {
          fallocate(fd, FALLOC_KEEP_SIZE, 0, 3 << 20);
          fsyncSync(fd);
        });
        assert.ok(allocatedBytes(file) >= 3 << 20, `allocates ${allocatedBytes(file)} bytes`);
        cut();
        dropCaches(directory);
        assert.ok(allocatedBytes(file) <= 8192, `keeps ${allocatedBytes(file)} of ${size} bytes`);
      }
    }
  },

  'a punched hole reads zeros, keeps the size and frees space': (directory) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(4 << 20, 2);
    writeFileSync(file, bytes);
    withFile(file, 'r+', (fd) => {
      fsyncSync(fd);
      const before = allocatedBytes(file);
      fallocate(fd, PUNCH, 1 << 20, 2 << 20);
      fsyncSync(fd);
      const freed = before - allocatedBytes(file);
      assert.ok(freed >= (2 << 20) - 65_536, `frees ${freed} bytes`);
    });
    bytes.fill(0, 1 << 20, 3 << 20);
    assertBytes(readFileSync(file), bytes, 'punched');
    dropCaches(directory);
    assertBytes(readFileSync(file), bytes, 'punched, after caches were dropped');
  },

  'a hole may start and end anywhere, and reach behind the end': (directory) => {
    for (const [size, offset, length] of [
      [100, 10, 20],
      [700, 0, 700],
      [10_000, 4095, 2],
      [300_000, 12_345, 200_001],
      [300_000, 250_000, 10_000_000],
      [300_000, 400_000, 10],
    ] as const) {
      const file = path.join(directory, `file-${size}-${offset}`);
      const bytes = randomBytes(size, offset);
      writeFileSync(file, bytes);
      withFile(file, 'r+', (fd) => fallocate(fd, PUNCH, offset, length));
      bytes.fill(0, Math.min(size, offset), Math.min(size, offset + length));
      assertBytes(readFileSync(file), bytes, `${length} at ${offset} of ${size}`);
    }
  },

  'a hole that reaches the end leaves what is reserved behind the last block': (directory) => {
    const file = path.join(directory, 'file');
    const reserved = 128 << 10;
    writeFileSync(file, 'x');
    withFile(file, 'r+', (fd) => {
      fallocate(fd, FALLOC_KEEP_SIZE, 0, reserved);
      fallocate(fd, PUNCH, 0, 512);
      fsyncSync(fd);
    });
    // ext4 frees its block of 4 KiB, a drive the bytes named.
    const left = allocatedBytes(file);
    assert.ok(
      left >= reserved - 4096 && left <= reserved - 512,
      `keeps ${left} of ${reserved} bytes`,
    );
    assertZeros(readFileSync(file), 'the hole');
    assert.equal(statSync(file).size, 1);
  },

  'a zeroed range reads zeros and may grow the file': {
    needsZeroRange: true,
    run: (directory) => {
      const file = path.join(directory, 'file');
      const bytes = randomBytes(100_000, 3);
      writeFileSync(file, bytes);
      withFile(file, 'r+', (fd) => {
        fallocate(fd, FALLOC_ZERO_RANGE, 5000, 30_000);
        bytes.fill(0, 5000, 35_000);
        assertBytes(readFileSync(file), bytes, 'zeroed');
        fallocate(fd, FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE, 90_000, 50_000);
        bytes.fill(0, 90_000);
        assertBytes(readFileSync(file), bytes, 'zeroed with the size kept');
        fallocate(fd, FALLOC_ZERO_RANGE, 80_000, 50_000);
      });
      bytes.fill(0, 80_000);
      assertBytes(readFileSync(file), Buffer.concat([bytes, Buffer.alloc(30_000)]), 'grown');
    },
  },

  'a write into a hole that was punched is read back': (directory) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(1 << 20, 4);
    writeFileSync(file, bytes);
    withFile(file, 'r+', (fd) => {
      fallocate(fd, PUNCH, 100_000, 800_000);
      const filling = randomBytes(300_000, 5);
      writeSync(fd, filling, 0, filling.length, 200_000);
      bytes.fill(0, 100_000, 900_000);
      filling.copy(bytes, 200_000);
    });
    assertBytes(readFileSync(file), bytes, 'filled');
  },

  'changes set mtime; what cannot be is refused': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, randomBytes(10_000, 6));
    withFile(file, 'r+', (fd) => {
      const before = stat(file).mtimeNs;
      fallocate(fd, PUNCH, 0, 5000);
      assert.ok(stat(file).mtimeNs >= before);
      expectErrno('EINVAL', () => fallocate(fd, 0, 0, 0));
      expectErrno('EINVAL', () => fallocate(fd, 0, -1, 10));
      expectErrno('EOPNOTSUPP', () => fallocate(fd, FALLOC_PUNCH_HOLE, 0, 10));
      expectErrno('EFBIG', () => fallocate(fd, 0, Number.MAX_SAFE_INTEGER * 1000, 2 ** 62));
    });
    withFile(file, 'r', (fd) => expectErrno('EBADF', () => fallocate(fd, 0, 0, 10)));
    assert.equal(statSync(file).size, 10_000);
  },
});
