import { statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import { NoSpaceError, StoreError } from '../../src/errors.js';
import { SpaceGuard } from '../../src/log/space-guard.js';
import { VALUES } from '../../src/log/values/value-files.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { failureOf, openChunkLog, openCore, putAll, readAll } from './support/chunk-store.js';
import { failingCore } from './support/failing-core.js';

const noSpace = new Error('Batch was not applied', {
  cause: Object.assign(new Error('No space left on device'), { code: 'ENOSPC' }),
});

async function openFailing(t: Assertions, directory = temporaryFolder(t, 'append-failure')) {
  const { core } = await openCore(t, directory);
  const failing = failingCore(core);
  const { log } = await openChunkLog(t, { core, pendingBytesMax: 1 << 20 });
  return { log, core, failing };
}

test('append failure: blocks stay readable, and the next drain stores them', async (t) => {
  const { log, core, failing } = await openFailing(t);
  const data = randomBytes(3 << 20, 1);
  failing.fail(noSpace);
  const chunks = putAll(log, data);
  const room = failureOf(() => log.room());
  t.ok((await failureOf(() => log.drain())) instanceof NoSpaceError);
  t.ok((await room) instanceof NoSpaceError, 'who waits for room hears of it, too');
  t.is(core.length, 0);
  t.ok(log.pendingBytes === data.length);
  t.ok((await readAll(log, chunks)).equals(data));
  t.ok((await failureOf(() => log.drain())) instanceof NoSpaceError, 'and again');
  failing.fail(null);
  await log.drain();
  t.is(log.pendingBytes, 0);
  t.is(core.length, Math.max(...chunks.map((chunk) => chunk.block)) + 1);
  t.ok((await readAll(log, chunks)).equals(data));
});

test('append failure: what was on the disk by then is given back', async (t) => {
  const folder = temporaryFolder(t, 'append-failure');
  const { core } = await openCore(t, folder);
  const failing = failingCore(core);
  const { log } = await openChunkLog(t, { core });
  const file = () => statSync(join(folder, VALUES, '00000001.values'));
  const data = randomBytes(7 << 20, 12);
  failing.fail(noSpace);
  const chunks = putAll(log, data);
  t.ok((await failureOf(() => log.drain())) instanceof NoSpaceError);
  t.ok(file().size > 2 << 20, `written: ${file().size} bytes`);
  t.ok(file().blocks * 512 < 64 << 10, `kept: ${file().blocks * 512} bytes`);
  failing.fail(null);
  await log.drain();
  const kept = file().blocks * 512;
  t.ok(kept > data.length && kept < data.length * 1.1, 'written once');
  t.ok((await readAll(log, chunks)).equals(data));
});

test('append failure: the next put that makes a batch tries again, too', async (t) => {
  const { log, core, failing } = await openFailing(t);
  failing.fail(noSpace);
  const first = log.put([randomBytes(40_000, 2)]);
  await failureOf(() => log.drain());
  failing.fail(null);
  const stored = new Promise((resolve) => core.once('append', () => resolve(undefined)));
  const chunks = putAll(log, randomBytes(3 << 20, 3));
  await stored;
  await log.drain();
  t.alike([first.block, chunks[0]?.block], [0, 1]);
  t.is(core.length, Math.max(...chunks.map((chunk) => chunk.block)) + 1);
});

test('append failure: an append that failed after it was done is not done twice', async (t) => {
  const directory = temporaryFolder(t, 'append-failure');
  const { log, core, failing } = await openFailing(t, directory);
  const data = randomBytes(3 << 20, 4);
  failing.failAfter(noSpace);
  const chunks = putAll(log, data);
  await log.drain();
  failing.failAfter(null);
  const more = putAll(log, randomBytes(100_000, 5));
  await log.drain();
  t.is(core.length, Math.max(...more.map((chunk) => chunk.block)) + 1);
  t.ok((await readAll(log, chunks)).equals(data));
});

test('append failure: a log that somebody else appended to is never appended to again', async (t) => {
  const { log, core } = await openFailing(t);
  log.put([randomBytes(40_000, 6)]);
  await log.drain();
  await core.append(randomBytes(10, 7));
  const chunk = log.put([randomBytes(40_000, 8)]);
  t.is(chunk.block, 1);
  const error = await failureOf(() => log.drain());
  t.ok(error instanceof StoreError && /has 2 blocks, expected 1/.test(error.message));
  t.is(core.length, 2);
  t.ok((await failureOf(() => log.put([randomBytes(50, 9)]))) instanceof StoreError);
  t.ok((await failureOf(() => log.drain())) instanceof StoreError);
  t.ok((await failureOf(() => log.close())) instanceof StoreError);
});

test('append failure: the space guard refuses before the disk does', async (t) => {
  const { core } = await openCore(t, temporaryFolder(t, 'append-failure'));
  const failing = failingCore(core);
  let availableBytes = 0;
  const spaceGuard = new SpaceGuard({
    directory: '/drive',
    reserveBytes: 0,
    measure: () => ({ availableBytes, totalBytes: 2 ** 40 }),
  });
  const { log } = await openChunkLog(t, { core, spaceGuard });
  const chunk = log.put([randomBytes(40_000, 10)]);
  const error = await failureOf(() => log.drain());
  t.ok(error instanceof NoSpaceError && error.message.includes("'/drive' is nearly full"));
  t.is(failing.appends(), 0);
  availableBytes = 1 << 30;
  await log.drain();
  t.is(failing.appends(), 1);
  t.ok((await readAll(log, [chunk])).equals(randomBytes(40_000, 10)));
});

test('append failure: close says that it could not store what was pending', async (t) => {
  const { log, failing } = await openFailing(t);
  failing.fail(noSpace);
  log.put([randomBytes(500, 11)]);
  t.ok((await failureOf(() => log.close())) instanceof NoSpaceError);
  failing.fail(null);
});
