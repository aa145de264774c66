/** Opening, reading, writing, appending. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readvSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
  writevSync,
} from 'node:fs';
import path from 'node:path';
import { ended } from '../support/command.js';
import { MemoryMap } from '../support/memory-map.js';
import { randomBytes } from '../support/random-bytes.js';
import { SeededRandom } from '../support/seeded-random.js';
import { linkOpenFile, O_TMPFILE } from '../support/syscalls.js';
import { assertBytes, assertZeros, behaviours, expectErrno, stat, withFile } from './behaviour.js';

const {
  O_APPEND,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TRUNC,
  O_WRONLY,
} = constants;

export const data = behaviours('data', {
  'a new file is empty, and a read of it gives nothing': (directory) => {
    const file = path.join(directory, 'file');
    closeSync(openSync(file, O_CREAT | O_EXCL | O_WRONLY, 0o644));
    assert.equal(stat(file).size, 0n);
    assert.ok(stat(file).isFile());
    assert.equal(readFileSync(file).length, 0);
  },

  'what is written is read, at every size around the page and block sizes': (directory) => {
    const sizes = [1, 2, 511, 512, 799, 800, 801, 4095, 4096, 4097, 65_535, 65_536, 65_537];
    sizes.push(131_071, 131_073, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_011);
    for (const size of sizes) {
      const file = path.join(directory, `file-${size}`);
      const bytes = randomBytes(size, size);
      writeFileSync(file, bytes);
      assert.equal(statSync(file).size, size);
      assertBytes(readFileSync(file), bytes, `${size} bytes`);
    }
  },

  'reads and writes at any offset give what a plain buffer gives': (directory) => {
    const random = new SeededRandom(7);
    const model = Buffer.alloc(3 << 20);
    withFile(path.join(directory, 'file'), 'w+', (fd) => {
      writeSync(fd, model);
      for (let round = 0; round < 400; round++) {
        const offset = random.below(model.length - 1);
        const length =
          1 + random.below(Math.min(random.pick([16, 5000, 200_000]), model.length - offset));
        if (random.below(2) === 0) {
          const bytes = random.bytes(length);
          assert.equal(writeSync(fd, bytes, 0, length, offset), length);
          bytes.copy(model, offset);
        } else {
          const bytes = Buffer.alloc(length);
          assert.equal(readSync(fd, bytes, 0, length, offset), length);
          assertBytes(bytes, model.subarray(offset, offset + length), `round ${round}`);
        }
      }
    });
    assertBytes(readFileSync(path.join(directory, 'file')), model, 'whole file');
  },

  'a read at or behind the end gives nothing, one across the end is short': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'hello');
    withFile(file, 'r', (fd) => {
      const bytes = Buffer.alloc(10);
      assert.equal(readSync(fd, bytes, 0, 10, 3), 2);
      assert.equal(bytes.toString('latin1', 0, 2), 'lo');
      assert.equal(readSync(fd, bytes, 0, 10, 5), 0);
      assert.equal(readSync(fd, bytes, 0, 10, 1 << 30), 0);
    });
  },

  'an overwrite in the middle keeps the rest': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'abcdefghij');
    withFile(file, 'r+', (fd) => writeSync(fd, 'XY', 4));
    assert.equal(readFileSync(file, 'latin1'), 'abcdXYghij');
  },

  'gathered and scattered buffers keep their order': (directory) => {
    withFile(path.join(directory, 'file'), 'w+', (fd) => {
      const pieces = [randomBytes(10, 1), randomBytes(70_000, 2), randomBytes(3, 3)];
      assert.equal(writevSync(fd, pieces, 0), 70_013);
      const parts = [Buffer.alloc(40_000), Buffer.alloc(30_013)];
      assert.equal(readvSync(fd, parts, 0), 70_013);
      assertBytes(Buffer.concat(parts), Buffer.concat(pieces), 'pieces');
    });
  },

  'what one descriptor writes another reads at once': (directory) => {
    const file = path.join(directory, 'file');
    withFile(file, 'w', (writer) =>
      withFile(file, 'r', (reader) => {
        const bytes = Buffer.alloc(16);
        for (let round = 0; round < 20; round++) {
          writeSync(writer, `round ${round} `.padEnd(16), round * 16);
          assert.equal(readSync(reader, bytes, 0, 16, round * 16), 16);
          assert.equal(bytes.toString('latin1').trim(), `round ${round}`);
          assert.equal(fstatSync(reader).size, (round + 1) * 16);
        }
      }),
    );
  },

  'appends go to the end, wherever another descriptor wrote': (directory) => {
    const file = path.join(directory, 'file');
    withFile(file, 'a', (first) =>
      withFile(file, O_WRONLY | O_APPEND, (second) => {
        writeSync(first, 'one,');
        writeSync(second, 'two,');
        withFile(file, 'r+', (third) => writeSync(third, 'XXXXX', 8));
        writeSync(first, 'three');
      }),
    );
    assert.equal(readFileSync(file, 'latin1'), 'one,two,XXXXXthree');
  },

  'appends of several processes at once lose nothing and do not mix': async (directory) => {
    const file = path.join(directory, 'log');
    const script =
      'i=0; while [ $i -lt 300 ]; do echo "$1 $i padding-padding" >> "$2"; i=$((i+1)); done';
    const writers = ['a', 'b', 'c'].map((name) => spawn('sh', ['-c', script, 'sh', name, file]));
    for (const end of await Promise.all(writers.map(ended))) assert.equal(end.code, 0);
    const lines = readFileSync(file, 'latin1').trimEnd().split('\n');
    assert.equal(lines.length, 900);
    for (const name of ['a', 'b', 'c']) {
      const own = lines.filter((line) => line.startsWith(`${name} `));
      assert.deepEqual(
        own,
        Array.from({ length: 300 }, (_, index) => `${name} ${index} padding-padding`),
      );
    }
  },

  'O_TRUNC empties a file, also while another has it open': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, randomBytes(100_000, 1));
    withFile(file, 'r', (reader) => {
      withFile(file, O_WRONLY | O_TRUNC, (fd) => {
        assert.equal(fstatSync(fd).size, 0);
        assert.equal(readSync(reader, Buffer.alloc(10), 0, 10, 0), 0);
        writeSync(fd, 'new');
      });
    });
    assert.equal(readFileSync(file, 'latin1'), 'new');
  },

  'O_EXCL refuses a name that is there, also a dangling link': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'kept');
    symlinkSync('nowhere', path.join(directory, 'link'));
    expectErrno('EEXIST', () => openSync(file, O_CREAT | O_EXCL | O_WRONLY));
    expectErrno('EEXIST', () =>
      openSync(path.join(directory, 'link'), O_CREAT | O_EXCL | O_WRONLY),
    );
    assert.equal(readFileSync(file, 'latin1'), 'kept');
  },

  'opening what cannot be opened says why': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    symlinkSync('file', path.join(directory, 'link'));
    symlinkSync('loop', path.join(directory, 'loop'));
    expectErrno('ENOENT', () => openSync(path.join(directory, 'none'), O_RDONLY));
    expectErrno('ENOENT', () => openSync(path.join(directory, 'none/file'), O_CREAT | O_WRONLY));
    expectErrno('ENOTDIR', () => openSync(path.join(file, 'below'), O_RDONLY));
    expectErrno('ENOTDIR', () => openSync(file, O_RDONLY | O_DIRECTORY));
    expectErrno('EISDIR', () => openSync(directory, O_WRONLY));
    expectErrno('EISDIR', () => openSync(directory, O_RDWR | O_CREAT));
    expectErrno('ELOOP', () => openSync(path.join(directory, 'link'), O_RDONLY | O_NOFOLLOW));
    expectErrno('ELOOP', () => openSync(path.join(directory, 'loop'), O_RDONLY));
    expectErrno('EISDIR', () => readFileSync(directory));
  },

  'a descriptor does only what it was opened for': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    withFile(file, O_RDONLY, (fd) => expectErrno('EBADF', () => writeSync(fd, 'x')));
    withFile(file, O_WRONLY, (fd) => expectErrno('EBADF', () => readSync(fd, Buffer.alloc(1))));
  },

  'O_SYNC and O_DSYNC writes are read back': (directory) => {
    for (const flag of [O_SYNC, O_DSYNC]) {
      const file = path.join(directory, `file-${flag}`);
      withFile(file, O_CREAT | O_WRONLY | flag, (fd) => {
        for (let index = 0; index < 10; index++) writeSync(fd, randomBytes(5000, index));
      });
      const expected = Array.from({ length: 10 }, (_, index) => randomBytes(5000, index));
      assertBytes(readFileSync(file), Buffer.concat(expected), 'synced writes');
    }
  },

  'direct input and output agrees with the page cache': (directory) => {
    const file = path.join(directory, 'file');
    const bytes = randomBytes(64 << 10, 5);
    writeFileSync(file, bytes);
    let fd: number;
    try {
      fd = openSync(file, O_RDWR | O_DIRECT);
    } catch (error) {
      // Some file systems do not offer it; they must say so.
      assert.equal((error as NodeJS.ErrnoException).code, 'EINVAL');
      return;
    }
    const memory = MemoryMap.ofMemory(64 << 10);
    try {
      assert.equal(memory.readFrom(fd, 64 << 10, 0), 64 << 10);
      assertBytes(memory.read(0, 64 << 10), bytes, 'direct read');
      const changed = randomBytes(8192, 6);
      memory.write(0, changed);
      assert.equal(memory.writeTo(fd, 8192, 4096), 8192);
      changed.copy(bytes, 4096);
      assertBytes(readFileSync(file), bytes, 'cached read after a direct write');
    } finally {
      memory.close();
      closeSync(fd);
    }
  },

  'a file without a name can be written, read and named': {
    needsRoot: true,
    run: (directory) => {
      withFile(directory, O_TMPFILE | O_RDWR, (fd) => {
        writeSync(fd, 'no name yet');
        assert.equal(fstatSync(fd).nlink, 0);
        linkOpenFile(fd, path.join(directory, 'named'));
        assert.equal(fstatSync(fd).nlink, 1);
      });
      assert.equal(readFileSync(path.join(directory, 'named'), 'latin1'), 'no name yet');
    },
  },

  'a file of 64 MiB keeps every byte': (directory) => {
    const file = path.join(directory, 'big');
    const piece = randomBytes(1 << 20, 11);
    withFile(file, 'w', (fd) => {
      for (let index = 0; index < 64; index++) {
        piece.writeUInt32LE(index, 0);
        assert.equal(writeSync(fd, piece), piece.length);
      }
      fsyncSync(fd);
    });
    withFile(file, 'r', (fd) => {
      const read = Buffer.alloc(1 << 20);
      for (let index = 0; index < 64; index++) {
        assert.equal(readSync(fd, read), read.length);
        piece.writeUInt32LE(index, 0);
        assertBytes(read, piece, `piece ${index}`);
      }
      assert.equal(readSync(fd, read), 0);
    });
  },

  'fifty files open at once keep their data apart': (directory) => {
    const fds = Array.from({ length: 50 }, (_, index) =>
      openSync(path.join(directory, `file-${index}`), 'w+'),
    );
    for (let round = 0; round < 10; round++) {
      for (const [index, fd] of fds.entries()) {
        writeSync(fd, `${index},${round};`.padEnd(100, '.'), round * 100);
      }
    }
    fds.forEach((fd, index) => {
      const bytes = Buffer.alloc(1000);
      assert.equal(readSync(fd, bytes, 0, 1000, 0), 1000);
      assert.ok(bytes.toString('latin1', 900).startsWith(`${index},9;`));
      closeSync(fd);
    });
  },

  'a write of nothing changes nothing': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    withFile(file, 'r+', (fd) => assert.equal(writeSync(fd, Buffer.alloc(0), 0, 0, 1000), 0));
    assert.equal(statSync(file).size, 4);
    assert.ok(existsSync(file));
  },

  'a file grown by a write behind its end reads zeros in between': (directory) => {
    const file = path.join(directory, 'file');
    mkdirSync(path.join(directory, 'sub'));
    writeFileSync(file, 'ab');
    withFile(file, 'r+', (fd) => writeSync(fd, 'yz', 10_000));
    const bytes = readFileSync(file);
    assert.equal(bytes.length, 10_002);
    assertZeros(bytes.subarray(2, 10_000), 'gap');
    assert.equal(bytes.toString('latin1', 10_000), 'yz');
  },
});
