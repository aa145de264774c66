import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type Assertions } from 'brittle';
import { directoryLeftBehind, runningHolder, StoreLock } from '../../src/drive/store-lock.js';
import { BusyError } from '../../src/errors.js';
import { ended } from '../support/command.js';
import { LineReader } from '../support/line-reader.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const LOCK_MODULE = fileURLToPath(new URL('../../src/drive/store-lock.js', import.meta.url));

/** A process that takes the lock, says so (or why not), and stays. */
async function holdElsewhere(
  t: Assertions,
  path: string,
): Promise<{ child: ChildProcess; said: string }> {
  const program = `
    import { StoreLock } from ${JSON.stringify(LOCK_MODULE)};
    try {
      StoreLock.acquire(${JSON.stringify(path)}, 'notes', 'mount').update({ directory: '/mnt/x' });
      console.log('locked');
    } catch (error) {
      console.log(error.name);
    }
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'), { force: true });
  return {
    child,
    said: await new LineReader(child.stdout as NonNullable<typeof child.stdout>).next(),
  };
}

test('store lock - the second is told who has it', async (t) => {
  const path = join(temporaryFolder(t, 'lock'), 'lock');
  const { child, said } = await holdElsewhere(t, path);
  t.is(said, 'locked');
  await t.exception(() => StoreLock.acquire(path, 'notes', 'mount'), BusyError);
  await t.exception(
    () => StoreLock.acquire(path, 'notes', 'mount'),
    new RegExp(`Drive 'notes' is mounted at /mnt/x by process ${child.pid}`),
  );
  t.is(runningHolder(path)?.pid, child.pid);
});

test('store lock - a killed process has it no longer', async (t) => {
  const path = join(temporaryFolder(t, 'lock'), 'lock');
  const { child } = await holdElsewhere(t, path);
  child.kill('SIGKILL');
  await ended(child);
  t.is(runningHolder(path), null);
  t.is(directoryLeftBehind(path), '/mnt/x');
  const lock = StoreLock.acquire(path, 'notes', 'mount');
  t.is(directoryLeftBehind(path), null);
  lock.release();
});

test('store lock - of many at once one gets it', async (t) => {
  const path = join(temporaryFolder(t, 'lock'), 'lock');
  const tries = await Promise.all(Array.from({ length: 8 }, () => holdElsewhere(t, path)));
  t.is(tries.filter(({ said }) => said === 'locked').length, 1);
  t.is(tries.filter(({ said }) => said === 'BusyError').length, 7);
});

test('store lock - released, it can be had again, also in the same process', async (t) => {
  const path = join(temporaryFolder(t, 'lock'), 'lock');
  const first = StoreLock.acquire(path, 'notes', 'test');
  await t.exception(() => StoreLock.acquire(path, 'notes', 'test'), BusyError);
  first.release();
  first.release();
  t.is(runningHolder(path), null);
  StoreLock.acquire(path, 'notes', 'test').release();
});

test('store lock - a reused pid is no holder', (t) => {
  const path = join(temporaryFolder(t, 'lock'), 'lock');
  const lock = StoreLock.acquire(path, 'notes', 'test');
  const holder = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  t.is(holder.pid, process.pid);
  lock.release();
  // The same pid, started at another time.
  writeFileSync(path, `${JSON.stringify({ ...holder, startTime: '1' })}\n`);
  t.is(runningHolder(path), null);
  writeFileSync(path, `${JSON.stringify(holder)}\n`);
  t.is(runningHolder(path)?.pid, process.pid);
});

test('store lock - a damaged lock file names nobody and stops nobody', (t) => {
  const path = join(temporaryFolder(t, 'lock'), 'lock');
  for (const text of ['', 'x', '{}\n', 'null\n', '{"pid":-1}\n', `${'x'.repeat(100_000)}\n`]) {
    writeFileSync(path, text);
    t.is(runningHolder(path), null);
    StoreLock.acquire(path, 'notes', 'test').release();
  }
});
