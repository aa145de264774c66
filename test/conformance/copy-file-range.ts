/** copy_file_range. */
import assert from 'node:assert/strict';
import { constants, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dropCaches } from '../support/drop-caches.js';
import { randomBytes } from '../support/random-bytes.js';
import { copyFileRange } from '../support/syscalls.js';
import { assertBytes, assertZeros, behaviours, expectErrno, withFile } from './behaviour.js';

/** Copies the whole range, in as many calls as it takes; returns the bytes copied. */
function copyAll(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): number {
  let copied = 0;
  while (copied < length) {
    const some = copyFileRange(from, fromOffset + copied, to, toOffset + copied, length - copied);
    if (some === 0) break;
    copied += some;
  }
  return copied;
}

export const copyingRanges = behaviours('copy_file_range', {
  'copies whole files and parts to any place': (directory) => {
    const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
    const bytes = randomBytes((8 << 20) + 123, 1);
    writeFileSync(from, bytes);
    withFile(from, 'r', (source) =>
      withFile(to, 'w+', (target) => {
        assert.equal(copyAll(source, 0, target, 0, bytes.length), bytes.length);
        assertBytes(readFileSync(to), bytes, 'whole');
        assert.equal(copyAll(source, 12_345, target, 1_000_003, 2_000_000), 2_000_000);
      }),
    );
    const expected = Buffer.from(bytes);
    bytes.copy(expected, 1_000_003, 12_345, 2_012_345);
    assertBytes(readFileSync(to), expected, 'part');
    dropCaches(directory);
    assertBytes(readFileSync(to), expected, 'part, after caches were dropped');
  },

  'a later change of one file does not show in the other': (directory) => {
    const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
    const bytes = randomBytes(1 << 20, 2);
    writeFileSync(from, bytes);
    withFile(from, 'r', (source) =>
      withFile(to, 'w', (target) => copyAll(source, 0, target, 0, bytes.length)),
    );
    writeFileSync(from, randomBytes(1 << 20, 3));
    assertBytes(readFileSync(to), bytes, 'copy');
  },

  'copies within a file, but not onto itself': (directory) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(100_000, 4);
    writeFileSync(file, bytes);
    withFile(file, 'r+', (fd) => {
      assert.equal(copyAll(fd, 0, fd, 60_000, 40_000), 40_000);
      expectErrno('EINVAL', () => copyFileRange(fd, 0, fd, 100, 1000));
    });
    bytes.copy(bytes, 60_000, 0, 40_000);
    assertBytes(readFileSync(file), bytes, 'within');
  },

  'stops at the end of the source': (directory) => {
    const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
    writeFileSync(from, 'short');
    withFile(from, 'r', (source) =>
      withFile(to, 'w', (target) => {
        assert.equal(copyAll(source, 0, target, 0, 1 << 20), 5);
        assert.equal(copyFileRange(source, 5, target, 5, 100), 0);
        assert.equal(copyFileRange(source, 500, target, 5, 100), 0);
      }),
    );
    assert.equal(readFileSync(to, 'latin1'), 'short');
  },

  'holes are copied as zeros': (directory) => {
    const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
    writeFileSync(from, 'data');
    truncateSync(from, 2 << 20);
    writeFileSync(to, randomBytes(2 << 20, 5));
    withFile(from, 'r', (source) =>
      withFile(to, 'r+', (target) => copyAll(source, 0, target, 0, 2 << 20)),
    );
    const bytes = readFileSync(to);
    assert.equal(bytes.toString('latin1', 0, 4), 'data');
    assertZeros(bytes.subarray(4), 'hole');
  },

  'copies behind the end of the target leave a hole before': (directory) => {
    const [from, to] = [path.join(directory, 'from'), path.join(directory, 'to')];
    writeFileSync(from, 'data');
    withFile(from, 'r', (source) =>
      withFile(to, 'w', (target) => assert.equal(copyAll(source, 0, target, 100_000, 4), 4)),
    );
    assert.equal(statSync(to).size, 100_004);
    assertZeros(readFileSync(to).subarray(0, 100_000), 'before');
  },

  'descriptors that cannot be read or written are refused': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    const { O_APPEND, O_WRONLY } = constants;
    withFile(file, 'r', (reader) =>
      withFile(path.join(directory, 'to'), 'w', (writer) => {
        expectErrno('EBADF', () => copyFileRange(writer, 0, writer, 0, 4));
        expectErrno('EBADF', () => copyFileRange(reader, 0, reader, 10, 4));
        withFile(path.join(directory, 'to'), O_WRONLY | O_APPEND, (appender) =>
          expectErrno('EBADF', () => copyFileRange(reader, 0, appender, 0, 4)),
        );
        withFile(directory, 'r', (fd) =>
          expectErrno('EISDIR', () => copyFileRange(fd, 0, writer, 0, 4)),
        );
      }),
    );
  },
});
