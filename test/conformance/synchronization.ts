/** fsync and its relatives. What they promise across a crash is tested where a crash can be made. */
import assert from 'node:assert/strict';
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { dropCaches } from '../support/drop-caches.js';
import { randomBytes } from '../support/random-bytes.js';
import { syncfs } from '../support/syscalls.js';
import { assertBytes, behaviours, withFile } from './behaviour.js';

export const synchronization = behaviours('fsync', {
  'fsync, fdatasync and syncfs succeed on files and directories, read-only descriptors too': (
    directory,
  ) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, randomBytes(100_000, 1));
    mkdirSync(path.join(directory, 'sub'));
    for (const name of [file, directory, path.join(directory, 'sub')]) {
      withFile(name, 'r', (fd) => {
        fsyncSync(fd);
        fdatasyncSync(fd);
        syncfs(fd);
      });
    }
  },

  'data is as written after each of fifty syncs': (directory) => {
    const file = path.join(directory, 'file');
    const expected: Buffer[] = [];
    withFile(file, 'w', (fd) => {
      for (let round = 0; round < 50; round++) {
        const bytes = randomBytes(100 + round * 97, round);
        writeSync(fd, bytes);
        if (round % 2 === 0) fsyncSync(fd);
        else fdatasyncSync(fd);
        expected.push(bytes);
        assertBytes(readFileSync(file), Buffer.concat(expected), `round ${round}`);
      }
    });
    dropCaches(directory);
    assertBytes(readFileSync(file), Buffer.concat(expected), 'after caches were dropped');
  },

  'a removed file can be synced': (directory) => {
    const file = path.join(directory, 'file');
    const fd = openSync(file, 'w');
    writeSync(fd, 'text');
    unlinkSync(file);
    fsyncSync(fd);
    closeSync(fd);
    assert.throws(() => readFileSync(file), { code: 'ENOENT' });
  },
});
