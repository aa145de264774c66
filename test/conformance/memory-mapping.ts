/** mmap, shared and private. */
import assert from 'node:assert/strict';
import {
  fsyncSync,
  readFileSync,
  readSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { dropCaches } from '../support/drop-caches.js';
import { MemoryMap } from '../support/memory-map.js';
import { randomBytes } from '../support/random-bytes.js';
import { assertBytes, assertZeros, behaviours, expectErrno, withFile } from './behaviour.js';

export const memoryMapping = behaviours('mmap', {
  'a mapping shows the file, with zeros behind its end in the last page': (directory) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(300_001, 1);
    writeFileSync(file, bytes);
    withFile(file, 'r', (fd) => {
      for (const shared of [true, false]) {
        const map = MemoryMap.ofFile(fd, bytes.length, { shared, writable: false });
        assertBytes(map.read(0, bytes.length), bytes, 'mapped');
        map.close();
      }
      const last = MemoryMap.ofFile(fd, 4096, { shared: true, writable: false, offset: 73 * 4096 });
      assertBytes(last.read(0, 300_001 - 73 * 4096), bytes.subarray(73 * 4096), 'last page');
      assertZeros(last.read(300_001 - 73 * 4096, 74 * 4096 - 300_001), 'behind the end');
      last.close();
    });
  },

  'a write to a shared mapping is in the file, for reads and after caches were dropped': (
    directory,
  ) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(200_000, 2);
    writeFileSync(file, bytes);
    withFile(file, 'r+', (fd) => {
      const map = MemoryMap.ofFile(fd, bytes.length, { shared: true, writable: true });
      for (const offset of [0, 4090, 100_000, 199_990]) {
        const change = randomBytes(10, offset);
        map.write(offset, change);
        change.copy(bytes, offset);
      }
      const read = Buffer.alloc(10);
      readSync(fd, read, 0, 10, 4090);
      assertBytes(read, bytes.subarray(4090, 4100), 'read before msync');
      map.sync();
      map.close();
    });
    dropCaches(directory);
    assertBytes(readFileSync(file), bytes, 'after msync');
  },

  'a mapping outlives its descriptor, and fsync writes it out': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, Buffer.alloc(8192));
    const map = withFile(file, 'r+', (fd) =>
      MemoryMap.ofFile(fd, 8192, { shared: true, writable: true }),
    );
    map.write(5000, Buffer.from('after close'));
    withFile(file, 'r+', fsyncSync);
    map.close();
    dropCaches(directory);
    assert.equal(readFileSync(file).toString('latin1', 5000, 5011), 'after close');
  },

  'writes to the file show in a mapping': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, Buffer.alloc(8192));
    withFile(file, 'r+', (fd) => {
      const map = MemoryMap.ofFile(fd, 8192, { shared: true, writable: false });
      assertZeros(map.read(0, 8192), 'before');
      writeSync(fd, 'written later', 4000);
      assert.equal(map.read(4000, 13).toString('latin1'), 'written later');
      map.close();
    });
  },

  'a private mapping keeps its writes to itself': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text in the file');
    withFile(file, 'r', (fd) => {
      const map = MemoryMap.ofFile(fd, 16, { shared: false, writable: true });
      map.write(0, Buffer.from('ours'));
      assert.equal(map.read(0, 16).toString('latin1'), 'ours in the file');
      map.close();
    });
    assert.equal(readFileSync(file, 'latin1'), 'text in the file');
  },

  'a mapped hole can be written': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    truncateSync(file, 4 << 20);
    withFile(file, 'r+', (fd) => {
      const map = MemoryMap.ofFile(fd, 4 << 20, { shared: true, writable: true });
      map.write((2 << 20) + 17, Buffer.from('in the hole'));
      map.sync();
      map.close();
    });
    dropCaches(directory);
    const bytes = readFileSync(file);
    assert.equal(bytes.length, 4 << 20);
    assert.equal(bytes.toString('latin1', (2 << 20) + 17, (2 << 20) + 28), 'in the hole');
    assertZeros(bytes.subarray(0, (2 << 20) + 17), 'before');
    assertZeros(bytes.subarray((2 << 20) + 28), 'after');
  },

  'two mappings of one file share their pages': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, Buffer.alloc(4096));
    withFile(file, 'r+', (fd) => {
      const one = MemoryMap.ofFile(fd, 4096, { shared: true, writable: true });
      const two = MemoryMap.ofFile(fd, 4096, { shared: true, writable: true });
      one.write(100, Buffer.from('shared'));
      assert.equal(two.read(100, 6).toString('latin1'), 'shared');
      one.close();
      two.close();
    });
  },

  'a removed file stays mapped': (directory) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(100_000, 5);
    writeFileSync(file, bytes);
    const map = withFile(file, 'r+', (fd) =>
      MemoryMap.ofFile(fd, bytes.length, { shared: true, writable: true }),
    );
    unlinkSync(file);
    dropCaches(directory);
    assertBytes(map.read(0, bytes.length), bytes, 'mapped');
    map.write(0, Buffer.from('still'));
    assert.equal(map.read(0, 5).toString('latin1'), 'still');
    map.close();
  },

  'a shared writable mapping of a read-only descriptor is refused': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    withFile(file, 'r', (fd) =>
      expectErrno('EACCES', () => MemoryMap.ofFile(fd, 4, { shared: true, writable: true })),
    );
  },
});
