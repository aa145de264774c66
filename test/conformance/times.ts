/** Times of files, to the nanosecond. Set to the past first, so that no check depends on the clock's steps. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { dropCaches } from '../support/drop-caches.js';
import { MemoryMap } from '../support/memory-map.js';
import { futimens, UTIME_NOW, UTIME_OMIT, utimensat } from '../support/syscalls.js';
import { behaviours, expectErrno, stat, withFile } from './behaviour.js';

/** Whole milliseconds, which every mount driver can carry. */
const LONG_AGO = { sec: 1_000_000_000, nsec: 123_000_000 };
const LONG_AGO_NS = 1_000_000_000_123_000_000n;
const OMIT = { sec: 0, nsec: UTIME_OMIT };
const NOW = { sec: 0, nsec: UTIME_NOW };

function age(file: string): void {
  utimensat(file, LONG_AGO, LONG_AGO);
  assert.equal(stat(file).mtimeNs, LONG_AGO_NS);
}

function assertTouched(file: string, why: string): void {
  assert.ok(stat(file).mtimeNs > LONG_AGO_NS, `${why} sets mtime`);
}

export const times = behaviours('times', {
  'access and modification time are set apart, to the nanosecond': (directory) => {
    const file = path.join(directory, 'file');
    const sub = path.join(directory, 'sub');
    writeFileSync(file, 'text');
    mkdirSync(sub);
    for (const target of [file, sub]) {
      utimensat(target, { sec: 1_234_567_890, nsec: 1 }, { sec: 987_654_321, nsec: 999_999_999 });
      assert.equal(stat(target).atimeNs, 1_234_567_890_000_000_001n);
      assert.equal(stat(target).mtimeNs, 987_654_321_999_999_999n);
    }
    dropCaches(directory);
    assert.equal(stat(file).mtimeNs, 987_654_321_999_999_999n);
  },

  'one time can be left as it is, or set to now': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    age(file);
    utimensat(file, OMIT, { sec: 5, nsec: 7 });
    assert.equal(stat(file).atimeNs, LONG_AGO_NS);
    assert.equal(stat(file).mtimeNs, 5_000_000_007n);
    utimensat(file, NOW, OMIT);
    assert.ok(stat(file).atimeNs > LONG_AGO_NS);
    assert.equal(stat(file).mtimeNs, 5_000_000_007n);
    utimensat(file, OMIT, NOW);
    assert.ok(stat(file).mtimeNs > LONG_AGO_NS);
  },

  'times before 1970 and after 2106 are kept': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    utimensat(file, { sec: -86_400, nsec: 500 }, { sec: -1, nsec: 999_999_999 });
    assert.equal(stat(file).atimeNs, -86_400n * 1_000_000_000n + 500n);
    assert.equal(stat(file).mtimeNs, -1n);
    utimensat(file, { sec: 13_569_465_600, nsec: 1 }, { sec: 2 ** 32 + 5, nsec: 2 });
    assert.equal(stat(file).atimeNs, 13_569_465_600_000_000_001n);
    assert.equal(stat(file).mtimeNs, (2n ** 32n + 5n) * 1_000_000_000n + 2n);
  },

  'times of a symbolic link are its own': (directory) => {
    const file = path.join(directory, 'file');
    const link = path.join(directory, 'link');
    writeFileSync(file, '');
    age(file);
    symlinkSync('file', link);
    utimensat(link, { sec: 10, nsec: 11_000_000 }, { sec: 12, nsec: 13_000_000 }, false);
    assert.equal(stat(link).mtimeNs, 12_013_000_000n);
    assert.equal(stat(file).mtimeNs, LONG_AGO_NS);
  },

  'times set on an open file that was written stay after close, sync and dropped caches': (
    directory,
  ) => {
    const file = path.join(directory, 'file');
    withFile(file, 'w', (fd) => {
      writeSync(fd, 'data that may still be in a cache');
      futimens(fd, LONG_AGO, LONG_AGO);
      assert.equal(stat(file).mtimeNs, LONG_AGO_NS, 'while open');
    });
    assert.equal(stat(file).mtimeNs, LONG_AGO_NS, 'after close');
    withFile(file, 'r+', fsyncSync);
    assert.equal(stat(file).mtimeNs, LONG_AGO_NS, 'after fsync');
    dropCaches(directory);
    assert.equal(stat(file).mtimeNs, LONG_AGO_NS, 'after caches were dropped');
    assert.equal(readFileSync(file, 'latin1'), 'data that may still be in a cache');
    assert.equal(stat(file).mtimeNs, LONG_AGO_NS, 'after a read');
  },

  'what changes a file changes its mtime and ctime': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    const changes: Record<string, () => void> = {
      write: () => withFile(file, 'r+', (fd) => writeSync(fd, 'T')),
      append: () => appendFileSync(file, 'more'),
      'truncate down': () => truncateSync(file, 2),
      'truncate up': () => truncateSync(file, 5000),
      'open with O_TRUNC': () => withFile(file, 'w', () => undefined),
    };
    for (const [what, change] of Object.entries(changes)) {
      age(file);
      const { ctimeNs } = stat(file);
      change();
      assertTouched(file, what);
      assert.ok(stat(file).ctimeNs >= ctimeNs, `${what} does not set ctime back`);
    }
  },

  'a written mtime is still the same after sync and dropped caches': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    const { mtimeNs } = stat(file);
    withFile(file, 'r+', fsyncSync);
    dropCaches(directory);
    assert.equal(stat(file).mtimeNs, mtimeNs);
  },

  'a write through a shared mapping sets mtime': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, Buffer.alloc(4096));
    age(file);
    withFile(file, 'r+', (fd) => {
      const map = MemoryMap.ofFile(fd, 4096, { shared: true, writable: true });
      map.write(0, Buffer.from('mapped'));
      map.sync();
      map.close();
    });
    assertTouched(file, 'a mapped write');
  },

  'chmod, link and rename leave mtime alone': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    age(file);
    chmodSync(file, 0o600);
    linkSync(file, path.join(directory, 'second'));
    renameSync(file, path.join(directory, 'third'));
    assert.equal(stat(path.join(directory, 'third')).mtimeNs, LONG_AGO_NS);
  },

  'ctime cannot be set, and moves when attributes change': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    age(file);
    assert.ok(stat(file).ctimeNs > LONG_AGO_NS);
    const before = stat(file).ctimeNs;
    chmodSync(file, 0o600);
    assert.ok(stat(file).ctimeNs >= before);
  },

  'what changes a directory changes its mtime': (directory) => {
    const sub = path.join(directory, 'sub');
    mkdirSync(sub);
    const changes: Record<string, () => void> = {
      'creating a file': () => writeFileSync(path.join(sub, 'file'), ''),
      'linking to a file': () => linkSync(path.join(sub, 'file'), path.join(sub, 'second')),
      'renaming a file': () => renameSync(path.join(sub, 'file'), path.join(sub, 'new')),
      'removing a file': () => unlinkSync(path.join(sub, 'new')),
      'making a directory': () => mkdirSync(path.join(sub, 'below')),
      'making a symbolic link': () => symlinkSync('x', path.join(sub, 'link')),
      'moving a file out': () => renameSync(path.join(sub, 'second'), path.join(directory, 'out')),
      'moving a file in': () => renameSync(path.join(directory, 'out'), path.join(sub, 'in')),
    };
    for (const [what, change] of Object.entries(changes)) {
      age(sub);
      change();
      assertTouched(sub, what);
    }
    age(sub);
    writeFileSync(path.join(sub, 'in'), 'content');
    readdirSync(sub);
    assert.equal(stat(sub).mtimeNs, LONG_AGO_NS, 'content of a file and reading do not');
  },

  'the time of birth does not move': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    const { birthtimeNs } = stat(file);
    assert.ok(birthtimeNs > 0n, 'there is one');
    age(file);
    appendFileSync(file, 'more');
    assert.equal(stat(file).birthtimeNs, birthtimeNs);
  },

  'impossible times are refused': (directory) => {
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    expectErrno('EINVAL', () => utimensat(file, { sec: 0, nsec: 1_000_000_000 }, OMIT));
    expectErrno('ENOENT', () => utimensat(path.join(directory, 'none'), NOW, NOW));
  },
});
