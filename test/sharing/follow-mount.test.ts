import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import type { DriveMount } from '../support/drive-mount.js';
import { MemoryMap } from '../support/memory-map.js';
import { getxattr, listxattr, removexattr, setxattr } from '../support/xattr.js';
import {
  errorCode,
  eventually,
  pathsOfStep,
  SHARING_TIME,
  SharedDrive,
} from './support/shared-drive.js';
import { contentAt } from './support/stream-content.js';

const LARGE_BYTES = 2 << 20;

/** One change at the origin, in a directory of its own that both sides see. */
interface Step {
  t: Assertions;
  /** A path at the origin. */
  at: (name: string) => string;
  /** The same path at the reader. */
  seen: (name: string) => string;
  /** Lets the reader's kernel remember everything there is: names, attributes, listings and content. */
  remember: () => void;
  /** Commits at the origin and waits until the reader sees it. */
  follows: (check: () => boolean) => Promise<void>;
}

let origin: DriveMount;
let reader: DriveMount;
const delaysMs: number[] = [];

test('a reader - follows the origin', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  origin = drive.origin;
  reader = await drive.addReader();
  for (const [name, run] of Object.entries(steps)) {
    await t.test(name, async (t) => {
      const { at, seen } = pathsOfStep(origin, reader, name);
      const follows = async (check: () => boolean) => {
        await origin.commit();
        const delayMs = await eventually(name, check);
        delaysMs.push(delayMs);
        t.pass(`seen after ${delayMs} ms`);
      };
      t.is(existsSync(seen('.')), false);
      mkdirSync(at('.'));
      await follows(() => existsSync(seen('.')));
      await run({ t, at, seen, follows, remember: () => remember(seen('.')) });
    });
  }
  t.comment(`longest delay of ${delaysMs.length}: ${Math.max(...delaysMs)} ms`);
});

const steps: Record<string, (step: Step) => Promise<void>> = {
  'a new file, where there was none': async ({ t, at, seen, follows, remember }) => {
    remember();
    t.is(
      errorCode(() => statSync(seen('small'))),
      'ENOENT',
    );
    t.is(
      errorCode(() => statSync(seen('large'))),
      'ENOENT',
    );
    writeFileSync(at('small'), 'text');
    writeFileSync(at('large'), contentAt(1, 0, LARGE_BYTES));
    await follows(() => existsSync(seen('small')) && existsSync(seen('large')));
    t.alike(readdirSync(seen('.')).sort(), ['large', 'small']);
    t.is(readFileSync(seen('small'), 'utf8'), 'text');
    t.ok(readFileSync(seen('large')).equals(contentAt(1, 0, LARGE_BYTES)));
  },

  'a new file in a directory that keeps its time': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('first'), '');
    utimesSync(at('.'), 1000, 1000);
    await follows(() => existsSync(seen('first')) && statSync(seen('.')).mtimeMs === 1_000_000);
    remember();
    t.alike(readdirSync(seen('.')), ['first']);
    writeFileSync(at('second'), '');
    utimesSync(at('.'), 1000, 1000);
    await follows(() => readdirSync(seen('.')).length === 2);
    t.alike(readdirSync(seen('.')).sort(), ['first', 'second']);
    t.is(statSync(seen('.')).mtimeMs, 1_000_000);
  },

  'an overwrite in place': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('small'), 'before');
    writeFileSync(at('large'), contentAt(1, 0, LARGE_BYTES));
    await follows(() => statSync(seen('large')).size === LARGE_BYTES);
    remember();
    const small = openSync(seen('small'), 'r');
    const large = openSync(seen('large'), 'r');
    const map = MemoryMap.ofFile(large, LARGE_BYTES, { shared: true, writable: false });
    try {
      t.ok(map.read(0, LARGE_BYTES).equals(contentAt(1, 0, LARGE_BYTES)));
      t.is(readFrom(small, 0, 10).toString(), 'before');
      const mtimeNs = statSync(seen('large'), { bigint: true }).mtimeNs;
      writeAt(at('small'), 0, Buffer.from('behind'));
      writeAt(at('large'), 100_000, Buffer.alloc(5000, 'x'));
      const expected = contentAt(1, 0, LARGE_BYTES).fill('x', 100_000, 105_000);
      await follows(() => map.read(100_000, 5000).equals(Buffer.alloc(5000, 'x')));
      t.ok(map.read(0, LARGE_BYTES).equals(expected), 'mapped before');
      t.ok(readFrom(large, 0, LARGE_BYTES).equals(expected), 'open before');
      t.ok(readFileSync(seen('large')).equals(expected), 'opened now');
      t.is(readFrom(small, 0, 10).toString(), 'behind');
      t.is(readFileSync(seen('small'), 'utf8'), 'behind');
      t.is(statSync(seen('large')).size, LARGE_BYTES);
      t.not(statSync(seen('large'), { bigint: true }).mtimeNs, mtimeNs);
    } finally {
      map.close();
      closeSync(small);
      closeSync(large);
    }
  },

  'appended data': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('file'), 'one\n');
    await follows(() => existsSync(seen('file')));
    remember();
    const fd = openSync(seen('file'), 'r');
    try {
      t.is(readFrom(fd, 0, 100).toString(), 'one\n');
      appendFileSync(at('file'), 'two\n');
      await follows(() => readFrom(fd, 0, 100).toString() === 'one\ntwo\n');
      t.is(fstatSync(fd).size, 8);
      appendFileSync(at('file'), contentAt(3, 0, LARGE_BYTES));
      await follows(() => statSync(seen('file')).size === 8 + LARGE_BYTES);
      t.ok(readFrom(fd, 8, LARGE_BYTES).equals(contentAt(3, 0, LARGE_BYTES)), 'open before');
      t.is(readFileSync(seen('file')).subarray(0, 8).toString(), 'one\ntwo\n');
    } finally {
      closeSync(fd);
    }
  },

  'a file cut and grown': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('file'), contentAt(4, 0, LARGE_BYTES));
    await follows(() => existsSync(seen('file')));
    remember();
    const fd = openSync(seen('file'), 'r');
    try {
      t.ok(readFrom(fd, 0, LARGE_BYTES).equals(contentAt(4, 0, LARGE_BYTES)));
      truncateSync(at('file'), 70_000);
      await follows(() => statSync(seen('file')).size === 70_000);
      t.ok(readFrom(fd, 0, LARGE_BYTES).equals(contentAt(4, 0, 70_000)), 'open before');
      remember();
      truncateSync(at('file'), 200_000);
      const grown = Buffer.concat([contentAt(4, 0, 70_000), Buffer.alloc(130_000)]);
      await follows(() => statSync(seen('file')).size === 200_000);
      t.ok(readFrom(fd, 0, LARGE_BYTES).equals(grown), 'what was added is a hole');
      t.ok(readFileSync(seen('file')).equals(grown));
      truncateSync(at('file'), 0);
      await follows(() => readFileSync(seen('file')).length === 0);
      t.is(readFrom(fd, 0, 100).length, 0);
    } finally {
      closeSync(fd);
    }
  },

  'a rename': async ({ t, at, seen, follows, remember }) => {
    mkdirSync(at('from'));
    mkdirSync(at('to'));
    writeFileSync(at('from/file'), 'content');
    mkdirSync(at('from/directory'));
    writeFileSync(at('from/directory/inner'), 'inner content');
    await follows(() => existsSync(seen('from/directory/inner')));
    remember();
    t.is(existsSync(seen('to/file')), false);
    const ino = statSync(seen('from/file')).ino;
    renameSync(at('from/file'), at('to/file'));
    renameSync(at('from/directory'), at('to/moved'));
    // Each directory is told of by itself.
    const isAt = (directory: string, file: string) => existsSync(seen(`${directory}/${file}`));
    await follows(
      () =>
        isAt('to', 'file') &&
        isAt('to', 'moved') &&
        !isAt('from', 'file') &&
        !isAt('from', 'directory'),
    );
    t.alike(readdirSync(seen('from')), []);
    t.alike(readdirSync(seen('to')).sort(), ['file', 'moved']);
    t.is(existsSync(seen('from/file')), false);
    t.is(existsSync(seen('from/directory/inner')), false);
    t.is(statSync(seen('to/file')).ino, ino);
    t.is(readFileSync(seen('to/file'), 'utf8'), 'content');
    t.is(readFileSync(seen('to/moved/inner'), 'utf8'), 'inner content');
    t.is(statSync(seen('from')).nlink, 2);
    t.is(statSync(seen('to')).nlink, 3);
  },

  'a rename over a file, as editors save': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('file'), 'old text');
    await follows(() => existsSync(seen('file')));
    remember();
    const fd = openSync(seen('file'), 'r');
    try {
      t.is(readFrom(fd, 0, 100).toString(), 'old text');
      writeFileSync(at('file.new'), 'new text');
      renameSync(at('file.new'), at('file'));
      await follows(() => readFileSync(seen('file'), 'utf8') === 'new text');
      t.alike(readdirSync(seen('.')), ['file']);
      t.is(readFrom(fd, 0, 100).toString(), 'old text');
    } finally {
      closeSync(fd);
    }
  },

  'a deleted file': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('small'), 'text');
    writeFileSync(at('large'), contentAt(5, 0, LARGE_BYTES));
    await follows(() => existsSync(seen('large')));
    remember();
    const small = openSync(seen('small'), 'r');
    const large = openSync(seen('large'), 'r');
    try {
      unlinkSync(at('small'));
      unlinkSync(at('large'));
      await follows(() => !existsSync(seen('small')) && !existsSync(seen('large')));
      t.alike(readdirSync(seen('.')), []);
      t.is(
        errorCode(() => openSync(seen('small'), 'r')),
        'ENOENT',
      );
      t.is(readFrom(small, 0, 100).toString(), 'text');
      t.ok(readFrom(large, 0, LARGE_BYTES).equals(contentAt(5, 0, LARGE_BYTES)));
    } finally {
      closeSync(small);
      closeSync(large);
    }
    writeFileSync(at('small'), 'another');
    await follows(() => readFileSync(seen('small'), 'utf8') === 'another');
  },

  'directories made and removed': async ({ t, at, seen, follows, remember }) => {
    t.is(existsSync(seen('one')), false);
    mkdirSync(at('one/two/three'), { recursive: true });
    await follows(() => existsSync(seen('one/two/three')));
    remember();
    t.is(statSync(seen('one')).nlink, 3);
    rmdirSync(at('one/two/three'));
    await follows(() => !existsSync(seen('one/two/three')));
    t.alike(readdirSync(seen('one/two')), []);
    remember();
    rmdirSync(at('one/two'));
    rmdirSync(at('one'));
    await follows(() => !existsSync(seen('one')));
    t.is(existsSync(seen('one/two')), false);
    t.alike(readdirSync(seen('.')), []);
  },

  'a mode and times': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('file'), 'text', { mode: 0o644 });
    await follows(() => existsSync(seen('file')));
    remember();
    chmodSync(at('file'), 0o751);
    await follows(() => (statSync(seen('file')).mode & 0o7777) === 0o751);
    utimesSync(at('file'), 1000, 2000);
    await follows(() => statSync(seen('file')).mtimeMs === 2_000_000);
    t.is(statSync(seen('file')).atimeMs, 1_000_000);
    t.is(readFileSync(seen('file'), 'utf8'), 'text');
  },

  'times of files that were written again at once': async ({ t, at, seen, follows }) => {
    const names = Array.from({ length: 50 }, (_, i) => `file-${i}`);
    for (const name of names) {
      writeFileSync(at(name), 'one');
      writeFileSync(at(name), 'two');
    }
    const mtimesNs = (path: (name: string) => string) =>
      names.map((name) => statSync(path(name), { bigint: true }).mtimeNs);
    await follows(() => existsSync(seen('file-49')));
    t.alike(mtimesNs(seen), mtimesNs(at));
  },

  'a symbolic link that leads elsewhere': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('one'), 'first');
    writeFileSync(at('two'), 'second');
    symlinkSync('one', at('link'));
    await follows(() => existsSync(seen('link')));
    remember();
    t.is(readFileSync(seen('link'), 'utf8'), 'first');
    symlinkSync('two', at('link.new'));
    renameSync(at('link.new'), at('link'));
    await follows(() => readlinkSync(seen('link')) === 'two');
    t.is(readFileSync(seen('link'), 'utf8'), 'second');
    unlinkSync(at('link'));
    writeFileSync(at('link'), 'a file now');
    await follows(() => lstatSync(seen('link')).isFile());
    t.is(readFileSync(seen('link'), 'utf8'), 'a file now');
  },

  'a hard link': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('one'), 'text');
    await follows(() => existsSync(seen('one')));
    remember();
    t.is(existsSync(seen('two')), false);
    linkSync(at('one'), at('two'));
    await follows(() => existsSync(seen('two')));
    t.is(statSync(seen('one')).nlink, 2);
    t.is(statSync(seen('one')).ino, statSync(seen('two')).ino);
    unlinkSync(at('one'));
    await follows(() => !existsSync(seen('one')));
    // The name goes before the inode's attributes do.
    await eventually('one link is left', () => statSync(seen('two')).nlink === 1);
    t.is(readFileSync(seen('two'), 'utf8'), 'text');
  },

  'extended attributes': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('file'), 'text');
    await follows(() => existsSync(seen('file')));
    remember();
    t.alike(listxattr(seen('file')), []);
    setxattr(at('file'), 'user.one', Buffer.from('1'));
    setxattr(at('file'), 'user.two', Buffer.from('2'));
    await follows(() => listxattr(seen('file')).length === 2);
    t.is(getxattr(seen('file'), 'user.one').toString(), '1');
    setxattr(at('file'), 'user.one', Buffer.from('other'));
    await follows(() => getxattr(seen('file'), 'user.one').toString() === 'other');
    removexattr(at('file'), 'user.one');
    await follows(() => listxattr(seen('file')).join() === 'user.two');
    t.is(
      errorCode(() => getxattr(seen('file'), 'user.one')),
      'ENODATA',
    );
  },

  'many commits in a row': async ({ t, at, seen, follows, remember }) => {
    writeFileSync(at('file'), 'start');
    await follows(() => existsSync(seen('file')));
    remember();
    for (let i = 0; i < 200; i++) {
      writeAt(at('file'), 0, Buffer.from(String(i).padStart(5)));
      if (i % 10 === 0) {
        remember();
        // Whole commits only.
        t.ok(/^( {2,4}\d{1,3}|start)$/.test(readFileSync(seen('file'), 'utf8')));
      }
    }
    await follows(() => readFileSync(seen('file'), 'utf8') === '  199');
  },
};

/** Reads, lists and stats everything, so that the kernel has it in its caches. */
function remember(top: string): void {
  for (const name of readdirSync(top, { recursive: true, encoding: 'utf8' })) {
    const path = join(top, name);
    const stat = lstatSync(path);
    if (stat.isFile()) readFileSync(path);
    if (stat.isSymbolicLink()) readlinkSync(path);
  }
}

/** Writes into an existing file and commits. */
function writeAt(path: string, offset: number, bytes: Buffer): void {
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, bytes, 0, bytes.length, offset);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readFrom(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
