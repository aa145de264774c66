/** flock and fcntl locks between two processes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ended } from '../support/command.js';
import {
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  flock,
  getRangeLock,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  type RangeLockKind,
  setRangeLock,
} from '../support/file-locks.js';
import { LineReader } from '../support/line-reader.js';
import { behaviours, expectErrno } from './behaviour.js';

const LOCK_PROCESS = fileURLToPath(new URL('../support/lock-process.js', import.meta.url));
/** Lets the other process get into its wait. No check depends on it; without it the wait would not be tried. */
const SETTLE_MS = 100;

interface Locker {
  child: ChildProcess;
  ask(command: string): Promise<string>;
  kill(): Promise<void>;
}

/** Runs a check with a file open here and in another process that locks on command. */
async function withLocker(
  directory: string,
  run: (fd: number, locker: Locker, file: string) => Promise<void>,
): Promise<void> {
  const file = path.join(directory, 'file');
  writeFileSync(file, 'before');
  const fd = openSync(file, 'r+');
  const child = spawn(process.execPath, [LOCK_PROCESS, file], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const end = ended(child);
  const lines = new LineReader(child.stdout);
  const kill = async () => {
    child.kill('SIGKILL');
    await end;
  };
  try {
    assert.equal(await lines.next(), 'ready');
    const ask = (command: string) => {
      child.stdin.write(`${command}\n`);
      return lines.next();
    };
    await run(fd, { child, ask, kill }, file);
  } finally {
    await kill();
    closeSync(fd);
  }
}

export const locks = behaviours('locks', {
  'flock: exclusive keeps others out, shared lets sharers in': (directory) =>
    withLocker(directory, async (fd, other) => {
      assert.equal(await other.ask(`flock ${LOCK_EX}`), 'done');
      expectErrno('EAGAIN', () => flock(fd, LOCK_EX | LOCK_NB));
      expectErrno('EAGAIN', () => flock(fd, LOCK_SH | LOCK_NB));
      assert.equal(await other.ask(`flock ${LOCK_SH}`), 'done');
      flock(fd, LOCK_SH | LOCK_NB);
      expectErrno('EAGAIN', () => flock(fd, LOCK_EX | LOCK_NB));
      assert.equal(await other.ask(`flock ${LOCK_UN}`), 'done');
      flock(fd, LOCK_EX | LOCK_NB);
      assert.equal(await other.ask(`flock ${LOCK_SH | LOCK_NB}`), 'EAGAIN');
      flock(fd, LOCK_UN);
    }),

  'flock: who waits gets the lock when it is given back': (directory) =>
    withLocker(directory, async (fd, other, file) => {
      flock(fd, LOCK_EX);
      const waiting = other.ask(`flock ${LOCK_EX}`);
      await sleep(SETTLE_MS);
      writeFileSync(file, 'after');
      flock(fd, LOCK_UN);
      assert.equal(await waiting, 'done');
      assert.equal(await other.ask('read'), 'after');
      expectErrno('EAGAIN', () => flock(fd, LOCK_EX | LOCK_NB));
    }),

  'flock: a dead process holds nothing': (directory) =>
    withLocker(directory, async (fd, other) => {
      assert.equal(await other.ask(`flock ${LOCK_EX}`), 'done');
      await other.kill();
      flock(fd, LOCK_EX | LOCK_NB);
    }),

  ...rangeLocks('posix'),
  ...rangeLocks('ofd'),

  'fcntl (posix): closing any descriptor of the file gives the locks back': (directory) =>
    withLocker(directory, async (fd, other, file) => {
      setRangeLock('posix', fd, F_WRLCK, 0, 0);
      assert.equal(await other.ask(`range posix ${F_WRLCK} 0 0 0`), 'EAGAIN');
      closeSync(openSync(file, 'r'));
      assert.equal(await other.ask(`range posix ${F_WRLCK} 0 0 0`), 'done');
    }),

  'fcntl (ofd): two open files of one process keep each other out': (directory) =>
    withLocker(directory, async (fd, _other, file) => {
      const second = openSync(file, 'r+');
      setRangeLock('ofd', fd, F_WRLCK, 0, 10);
      expectErrno('EAGAIN', () => setRangeLock('ofd', second, F_RDLCK, 5, 10));
      setRangeLock('ofd', second, F_WRLCK, 10, 10);
      closeSync(second);
    }),
});

/** The checks both kinds of fcntl locks share. */
function rangeLocks(kind: RangeLockKind): Record<string, (directory: string) => Promise<void>> {
  return {
    [`fcntl (${kind}): ranges that overlap conflict, others do not`]: (directory) =>
      withLocker(directory, async (fd, other) => {
        assert.equal(await other.ask(`range ${kind} ${F_WRLCK} 100 50 0`), 'done');
        expectErrno('EAGAIN', () => setRangeLock(kind, fd, F_WRLCK, 149, 10));
        expectErrno('EAGAIN', () => setRangeLock(kind, fd, F_RDLCK, 0, 0));
        setRangeLock(kind, fd, F_WRLCK, 0, 100);
        setRangeLock(kind, fd, F_WRLCK, 150, 0);
        const found = getRangeLock(kind, fd, F_WRLCK, 90, 100);
        assert.equal(found?.type, F_WRLCK);
        assert.equal(found?.pid, kind === 'posix' ? other.child.pid : -1);
        assert.equal(await other.ask(`range ${kind} ${F_UNLCK} 100 25 0`), 'done');
        setRangeLock(kind, fd, F_WRLCK, 100, 25);
        expectErrno('EAGAIN', () => setRangeLock(kind, fd, F_WRLCK, 124, 2));
        assert.equal(getRangeLock(kind, fd, F_WRLCK, 0, 100), null);
      }),

    [`fcntl (${kind}): readers share, a writer waits for them`]: (directory) =>
      withLocker(directory, async (fd, other, file) => {
        setRangeLock(kind, fd, F_RDLCK, 0, 0);
        assert.equal(await other.ask(`range ${kind} ${F_RDLCK} 0 0 0`), 'done');
        assert.equal(await other.ask(`range ${kind} ${F_WRLCK} 0 0 0`), 'EAGAIN');
        const waiting = other.ask(`range ${kind} ${F_WRLCK} 0 0 1`);
        await sleep(SETTLE_MS);
        // Not through a second descriptor of this process: closing it would give POSIX locks back.
        await writeElsewhere(file, 'after');
        setRangeLock(kind, fd, F_UNLCK, 0, 0);
        assert.equal(await waiting, 'done');
        assert.equal(await other.ask('read'), 'after');
      }),

    [`fcntl (${kind}): a dead process holds nothing`]: (directory) =>
      withLocker(directory, async (fd, other) => {
        assert.equal(await other.ask(`range ${kind} ${F_WRLCK} 0 0 0`), 'done');
        await other.kill();
        setRangeLock(kind, fd, F_WRLCK, 0, 0);
      }),
  };
}

async function writeElsewhere(file: string, text: string): Promise<void> {
  const child = spawn('sh', ['-c', 'printf %s "$1" > "$2"', 'sh', text, file]);
  assert.equal((await ended(child)).code, 0);
}
