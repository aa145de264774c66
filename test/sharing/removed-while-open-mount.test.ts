/** What programs at a reader have open goes on when its origin removes it, as on a local file system. */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Assertions, test } from 'brittle';
import { command, ended } from '../support/command.js';
import type { DriveMount } from '../support/drive-mount.js';
import { LineReader } from '../support/line-reader.js';
import { MemoryMap } from '../support/memory-map.js';
import { lseek, RENAME_EXCHANGE, rename, SEEK_DATA, SEEK_HOLE } from '../support/syscalls.js';
import { getxattr, setxattr } from '../support/xattr.js';
import {
  errorCode,
  eventually,
  pathsOfStep,
  SHARING_TIME,
  SharedDrive,
  statusOf,
} from './support/shared-drive.js';
import { contentAt, writeContent } from './support/stream-content.js';

const MIB = 1 << 20;
/** Far more than the kernel and the mount read ahead of the first bytes. */
const LARGE_BYTES = 24 * MIB;
/** Names of more bytes than one commit lists. */
const MANY_NAMES = Array.from({ length: 600 }, (_, i) => `${'x'.repeat(245)}-${i}`);
const ROUNDS = 10;
const ROUND_BYTES = 256 << 10;
/** Nothing that is told at once takes so long. */
const DEADLINE_SECONDS = 600;

interface Step {
  t: Assertions;
  /** A path at the origin. */
  at: (name: string) => string;
  /** The same path at the reader. */
  seen: (name: string) => string;
  /** Opens a file at the reader until the end of the step. */
  open: (name: string) => number;
  /** Commits at the origin and waits until the reader sees it. */
  follows: (check: () => boolean) => Promise<void>;
}

let origin: DriveMount;
let reader: DriveMount;

test('a reader - what is open goes on when it is removed', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  origin = drive.origin;
  reader = await drive.addReader();
  for (const [name, run] of Object.entries(steps)) {
    await t.test(name, async (t) => {
      const { at, seen } = pathsOfStep(origin, reader, name);
      const follows = async (check: () => boolean) => {
        await origin.commit();
        await eventually(name, check);
      };
      const fds: number[] = [];
      const open = (file: string) => {
        const fd = openSync(seen(file), 'r');
        fds.push(fd);
        return fd;
      };
      mkdirSync(at('.'));
      await follows(() => existsSync(seen('.')));
      try {
        await run({ t, at, seen, open, follows });
      } finally {
        for (const fd of fds) closeSync(fd);
      }
    });
  }
});

const steps: Record<string, (step: Step) => Promise<void>> = {
  'a rename over it': async ({ t, at, seen, open, follows }) => {
    writeFileSync(at('file'), 'the old text');
    writeFileSync(at('large'), contentAt(1, 0, 2 * MIB));
    await follows(() => existsSync(seen('large')));
    const small = open('file');
    const large = open('large');
    t.is(readFrom(small, 0, 7).toString(), 'the old');
    t.ok(readFrom(large, 0, MIB).equals(contentAt(1, 0, MIB)));
    const { ino } = fstatSync(small);
    writeFileSync(at('file.new'), 'what is new');
    writeFileSync(at('large.new'), contentAt(2, 0, 2 * MIB));
    renameSync(at('file.new'), at('file'));
    renameSync(at('large.new'), at('large'));
    await follows(() => readFileSync(seen('file'), 'utf8') === 'what is new');
    t.is(readFrom(small, 4, 100).toString(), 'old text');
    t.ok(readFrom(large, 0, 3 * MIB).equals(contentAt(1, 0, 2 * MIB)));
    t.ok(readFileSync(seen('large')).equals(contentAt(2, 0, 2 * MIB)), 'under the name is the new');
    await eventually('no link is left', () => fstatSync(small).nlink === 0);
    t.is(fstatSync(small).size, 12);
    t.is(fstatSync(small).ino, ino);
    t.not(statSync(seen('file')).ino, ino);
    t.is(readFileSync(`/proc/self/fd/${small}`, 'utf8'), 'the old text', 'opened again');
  },

  'a removed file that is not here yet': async ({ t, at, seen, open, follows }) => {
    writeContent(at('file'), 3, LARGE_BYTES);
    setxattr(at('file'), 'user.kind', Buffer.from('film'));
    await follows(() => existsSync(seen('file')));
    const before = (await statusOf(reader)).downloadedBytes;
    const fd = open('file');
    t.ok(readFrom(fd, 0, 4096).equals(contentAt(3, 0, 4096)));
    unlinkSync(at('file'));
    await follows(() => !existsSync(seen('file')));
    const some = (await statusOf(reader)).downloadedBytes - before;
    t.ok(some < LARGE_BYTES / 2, `${some} bytes were here when it was removed`);
    t.ok(readFrom(fd, 0, LARGE_BYTES + 1).equals(contentAt(3, 0, LARGE_BYTES)));
    await eventually('no link is left', () => fstatSync(fd).nlink === 0);
    t.is(fstatSync(fd).size, LARGE_BYTES);
    t.is(getxattr(`/proc/self/fd/${fd}`, 'user.kind').toString(), 'film');
    t.alike(readdirSync(seen('.')), []);
  },

  'a mapping and holes': async ({ t, at, seen, open, follows }) => {
    writeFileSync(at('file'), contentAt(4, 0, MIB));
    truncateSync(at('file'), 4 * MIB);
    appendFileSync(at('file'), contentAt(5, 0, MIB));
    await follows(() => existsSync(seen('file')));
    const fd = open('file');
    const map = MemoryMap.ofFile(fd, 5 * MIB, { shared: true, writable: false });
    try {
      t.ok(map.read(0, 4096).equals(contentAt(4, 0, 4096)));
      unlinkSync(at('file'));
      await follows(() => !existsSync(seen('file')));
      t.ok(map.read(0, MIB).equals(contentAt(4, 0, MIB)));
      t.ok(map.read(4 * MIB, MIB).equals(contentAt(5, 0, MIB)));
      t.is(lseek(fd, 0, SEEK_HOLE), MIB);
      t.is(lseek(fd, 2 * MIB, SEEK_DATA), 4 * MIB);
    } finally {
      map.close();
    }
  },

  'a directory with all that is in it': async ({ t, at, seen, open, follows }) => {
    mkdirSync(at('top/inner'), { recursive: true });
    writeFileSync(at('top/inner/file'), 'in a directory');
    writeFileSync(at('top/other'), 'not open');
    await follows(() => existsSync(seen('top/inner/file')));
    const fd = open('top/inner/file');
    const within = programIn(seen('top/inner'));
    const directory = opendirSync(seen('top'));
    try {
      t.is(await within.ask('cat file'), 'in a directory');
      rmSync(at('top'), { recursive: true });
      await follows(() => !existsSync(seen('top')));
      t.is(readFrom(fd, 0, 100).toString(), 'in a directory');
      await eventually('no link is left', () => fstatSync(fd).nlink === 0);
      t.is(directory.readSync(), null, 'an open directory is empty');
      await eventually('the kernel was told', async () => {
        return (await within.ask('cat file 2>&1')).endsWith('No such file or directory');
      });
      t.is(await within.ask('ls -A . && stat -c %h .'), '0');
      t.is(
        await within.ask('cat ../other 2>&1 || echo none'),
        'cat: ../other: No such file or directory none',
      );
    } finally {
      directory.closeSync();
      await within.end();
    }
    // Others with the same names are nothing of what was there.
    mkdirSync(at('top/inner'), { recursive: true });
    writeFileSync(at('top/inner/file'), 'anew');
    await follows(() => readFileSync(seen('top/inner/file'), 'utf8') === 'anew');
    t.is(readFrom(fd, 0, 100).toString(), 'in a directory');
  },

  'a directory that another one replaces': async ({ t, at, seen, follows }) => {
    mkdirSync(at('place'));
    mkdirSync(at('next'));
    writeFileSync(at('next/file'), 'text');
    await follows(() => existsSync(seen('next/file')));
    const within = programIn(seen('place'));
    try {
      renameSync(at('next'), at('place'));
      await follows(() => existsSync(seen('place/file')));
      await eventually('it is empty', async () => (await within.ask('ls -A .; echo $?')) === '0');
      t.is(readFileSync(seen('place/file'), 'utf8'), 'text');
    } finally {
      await within.end();
    }
  },

  'a file that only moves': async ({ t, at, seen, open, follows }) => {
    writeFileSync(at('file'), contentAt(6, 0, MIB));
    await follows(() => existsSync(seen('file')));
    const fd = open('file');
    t.ok(readFrom(fd, 0, 4096).equals(contentAt(6, 0, 4096)));
    renameSync(at('file'), at('moved'));
    await follows(() => existsSync(seen('moved')));
    t.ok(readFrom(fd, 0, MIB).equals(contentAt(6, 0, MIB)));
    t.is(fstatSync(fd).nlink, 1);
    appendFileSync(at('moved'), 'more');
    await follows(() => fstatSync(fd).size === MIB + 4);
    t.is(readFrom(fd, MIB, 10).toString(), 'more', 'it is followed still');
  },

  'what was added right before': async ({ t, at, seen, open, follows }) => {
    writeFileSync(at('file'), 'one\n');
    await follows(() => existsSync(seen('file')));
    const fd = open('file');
    t.is(readFrom(fd, 0, 100).toString(), 'one\n');
    // The reader sees these commits together.
    process.kill(reader.pid, 'SIGSTOP');
    try {
      for (const line of ['two\n', 'three\n']) {
        appendFileSync(at('file'), line);
        await origin.commit();
      }
      unlinkSync(at('file'));
      await origin.commit();
    } finally {
      process.kill(reader.pid, 'SIGCONT');
    }
    await follows(() => !existsSync(seen('file')));
    await eventually('no link is left', () => fstatSync(fd).nlink === 0);
    t.is(fstatSync(fd).size, 14);
    t.is(readFrom(fd, 0, 100).toString(), 'one\ntwo\nthree\n');
  },

  'a commit too large to list': async ({ t, at, seen, open, follows }) => {
    mkdirSync(at('many'));
    mkdirSync(at('gone'));
    writeFileSync(at('file'), contentAt(7, 0, MIB));
    await follows(() => existsSync(seen('file')));
    const fd = open('file');
    const within = programIn(seen('gone'));
    try {
      t.ok(readFrom(fd, 0, 4096).equals(contentAt(7, 0, 4096)));
      unlinkSync(at('file'));
      rmdirSync(at('gone'));
      for (const name of MANY_NAMES) writeFileSync(at(`many/${name}`), '');
      await follows(() => readdirSync(seen('many')).length === MANY_NAMES.length);
      t.absent(existsSync(seen('file')));
      t.ok(readFrom(fd, 0, MIB + 1).equals(contentAt(7, 0, MIB)));
      await eventually('no link is left', () => fstatSync(fd).nlink === 0);
      await eventually('it is empty', async () => (await within.ask('ls -A .; echo $?')) === '0');
    } finally {
      await within.end();
    }
  },

  'names are never missing while they are replaced': async ({ t, at, seen, follows }) => {
    const save = (i: number) => {
      mkdirSync(at('next'));
      writeFileSync(at('next/file'), contentAt(i, 0, ROUND_BYTES));
      writeFileSync(at('file.new'), contentAt(i, 0, ROUND_BYTES));
      renameSync(at('file.new'), at('file'));
      rename(at('next'), at('place'), RENAME_EXCHANGE);
      rmSync(at('next'), { recursive: true });
    };
    mkdirSync(at('place'));
    save(0);
    await follows(() => existsSync(seen('place/file')));
    for (let round = 1; round <= ROUNDS; round++) {
      save(round);
      let isCommitted = false;
      const commit = origin.commit().then(() => {
        isCommitted = true;
      });
      let isNew = false;
      while (!isNew) {
        const found = ['file', 'place/file'].map((name) => readFileSync(seen(name)));
        const rounds = found.map((bytes) =>
          [round - 1, round].find((i) => bytes.equals(contentAt(i, 0, ROUND_BYTES))),
        );
        if (rounds.includes(undefined)) t.fail(`round ${round}: what was read is no whole file`);
        isNew = isCommitted && rounds.every((i) => i === round);
        await setImmediate();
      }
      await commit;
    }
    t.pass(`${ROUNDS} rounds`);
  },

  'memory is given back': async ({ t, at, seen, follows }) => {
    const count = 50;
    const names = Array.from({ length: count }, (_, i) => `file-${i}`);
    for (const name of names) writeFileSync(at(name), name);
    await follows(() => existsSync(seen(`file-${count - 1}`)));
    const fds = names.map((name) => openSync(seen(name), 'r'));
    for (const name of names) unlinkSync(at(name));
    await follows(() => readdirSync(seen('.')).length === 0);
    for (const [i, fd] of fds.entries()) t.is(readFrom(fd, 0, 100).toString(), names[i]);
    const held = (await statusOf(reader)).fileSystem;
    t.ok(held.openFiles >= count);
    t.ok(held.cachedInodes >= count);
    for (const fd of fds) closeSync(fd);
    await eventually('they are forgotten', async () => {
      const { cachedInodes } = (await statusOf(reader)).fileSystem;
      return cachedInodes <= held.cachedInodes - count;
    });
  },
};

test('a reader - what was collected cannot be read from what is open', SHARING_TIME, async (t) => {
  const drive = await SharedDrive.forTest(t, { here: true });
  const { origin } = drive;
  writeContent(join(origin.directory, 'file'), 8, LARGE_BYTES);
  await origin.commit();
  const machine = drive.addMachine();
  const reader = await machine.mountWithDeadline(drive.key, 'reader', DEADLINE_SECONDS);
  const path = join(reader.directory, 'file');
  const fd = openSync(path, 'r');
  try {
    t.ok(readFrom(fd, 0, 4096).equals(contentAt(8, 0, 4096)));
    unlinkSync(join(origin.directory, 'file'));
    await origin.commit();
    await eventually('it is gone', () => !existsSync(path));
    await origin.machine.shoal('retention', 'origin', '--keep', '0');
    const report = JSON.parse(await origin.machine.shoal('collect', 'origin', '--json'));
    t.ok(report.chunkBlocks > 0, `${report.chunkBlocks} blocks were collected`);
    writeFileSync(join(origin.directory, 'after'), '');
    await origin.commit();
    await eventually('it follows', () => existsSync(join(reader.directory, 'after')));
    // A program of its own, since the test would hang with it.
    const error = await t.exception(() =>
      command('dd', [`if=/proc/${process.pid}/fd/${fd}`, 'of=/dev/null', 'bs=1M', 'skip=20']),
    );
    t.comment(String(error));
    t.is(
      errorCode(() => readFrom(fd, LARGE_BYTES - MIB, MIB)),
      'ESTALE',
    );
    t.is(fstatSync(fd).size, LARGE_BYTES);
  } finally {
    closeSync(fd);
  }
});

/** A shell whose directory this is. */
function programIn(directory: string) {
  const shell = spawn('bash', ['--norc'], {
    cwd: directory,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  const lines = new LineReader(shell.stdout);
  return {
    /** What commands print, their lines joined. */
    ask: async (commands: string): Promise<string> => {
      shell.stdin.write(`echo $( { ${commands}; } )\n`);
      return await lines.next();
    },
    end: async (): Promise<void> => {
      shell.stdin.end();
      await ended(shell);
    },
  };
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
