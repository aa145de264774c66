import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { ChunkLog } from '../../src/content/chunk-log.js';
import { Chunker } from '../../src/content/chunker.js';
import { DamagedError, InterruptedError, ReadOnlyError, StoreError } from '../../src/errors.js';
import { limits } from '../../src/limits.js';
import { BlockSet } from '../../src/log/block-set.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import {
  failureOf,
  hashKey,
  openChunkLog,
  openCore,
  parameters,
  putAll,
  readAll,
  secret,
} from './support/chunk-store.js';
import { countThreads } from './support/count-threads.js';

test('chunk log: what was put reads back at once, after drain and after a restart', async (t) => {
  const directory = temporaryFolder(t, 'chunk-log');
  const first = await openChunkLog(t, { directory });
  const data = randomBytes(5 << 20, 1);
  const chunks = putAll(first.log, data);
  t.ok((await readAll(first.log, chunks)).equals(data), 'pending');
  await first.log.drain();
  t.is(first.log.pendingBytes, 0);
  t.is(first.core.length, first.log.statistics().blocks);
  t.ok((await readAll(first.log, chunks)).equals(data), 'cached');
  await first.close();

  const second = await openChunkLog(t, { directory });
  t.is(second.log.statistics().cachedBytes, 0);
  t.ok((await readAll(second.log, chunks)).equals(data), 'from the store');
});

test('chunk log: once much was written, and then nothing, it gets ready to read, once', async (t) => {
  const { log } = await openChunkLog(t);
  const threads = countThreads(t);
  const started = async (): Promise<number> => {
    const before = await threads();
    await sleep(2 * limits.thread_prepare_quiet_ms);
    return (await threads()) - before;
  };
  let seed = 50;
  const write = async (bytes: number, to = log): Promise<void> => {
    for (let put = 0; put < bytes; put += 1 << 20) putAll(to, randomBytes(1 << 20, seed++));
    await to.drain();
  };
  await write(limits.thread_start_bytes / 2);
  t.is(await started(), 0);
  await write(limits.thread_start_bytes / 2);
  t.is(await started(), 1);
  t.is(await started(), 0);
  await write(1 << 20);
  t.is(await started(), 0, 'not for a little more');

  const { log: other } = await openChunkLog(t);
  // The thread that seals was started by then, too.
  await write(2 * limits.thread_start_bytes, other);
  const before = await threads();
  putAll(other, randomBytes(1 << 20, seed++));
  await sleep(2 * limits.thread_prepare_quiet_ms);
  t.is(await threads(), before, 'not while more is written');
  await other.drain();
  t.is(await started(), 1);

  const { log: third } = await openChunkLog(t);
  await write(2 * limits.thread_start_bytes, third);
  await sleep(limits.thread_prepare_quiet_ms / 2);
  await write(1 << 20, third);
  t.is(await started(), 1, 'the time begins anew');
});

test('chunk log: a part of a chunk', async (t) => {
  const { log } = await openChunkLog(t);
  const data = randomBytes(100_000, 2);
  const chunk = log.put([data]);
  t.alike(await log.read(chunk, 70_000, 30_000), data.subarray(70_000));
  t.alike(await log.read(chunk, 0, 1), data.subarray(0, 1));
  t.alike(await log.read(chunk, 100_000, 0), Buffer.alloc(0));
  for (const [offset, length] of [
    [0, 100_001],
    [100_000, 1],
    [-1, 1],
    [0, -1],
    [Number.NaN, 1],
  ]) {
    t.ok((await failureOf(() => log.read(chunk, offset!, length!))) instanceof RangeError);
  }
});

test('chunk log: answers from memory come at once', async (t) => {
  const { log } = await openChunkLog(t);
  const large = log.put([randomBytes(50_000, 3)]);
  const small = log.put([randomBytes(500, 13)]);
  t.ok(Buffer.isBuffer(log.read(large, 0, 10)), 'pending');
  t.ok(Buffer.isBuffer(log.read(small, 0, 10)), 'pending');
  await log.drain();
  t.ok(Buffer.isBuffer(log.read(small, 0, 10)), 'small chunks are read again soon');
  await log.read(large, 0, 10);
  t.ok(Buffer.isBuffer(log.read(large, 0, 10)), 'cached');
});

test('chunk log: says when it needs the memory of a chunk no more', async (t) => {
  const { log } = await openChunkLog(t);
  const small = randomBytes(100, 4);
  const large = randomBytes(60_000, 5);
  const originals = [Buffer.from(small), Buffer.from(large)];
  const released: string[] = [];
  const smallChunk = log.put([small], () => released.push('small'));
  const largeChunk = log.put([large.subarray(0, 20_000), large.subarray(20_000)], () => {
    released.push('large');
    large.fill(0);
  });
  t.alike(released, ['small'], 'a small chunk is copied');
  small.fill(0);
  const pending = [smallChunk, largeChunk].map((chunk) => log.read(chunk, 0, chunk.length));
  t.alike(await readAll(log, [smallChunk, largeChunk]), Buffer.concat(originals));
  await log.drain();
  t.alike(released, ['small', 'large']);
  t.alike(Buffer.concat(pending as Buffer[]), Buffer.concat(originals), 'what was read stays');
  t.alike(await readAll(log, [smallChunk, largeChunk]), Buffer.concat(originals));
  log.put([Buffer.concat(originals.slice(1))], () => released.push('known'));
  t.alike(released, ['small', 'large', 'known'], 'a chunk that is there already is not kept');
});

test('chunk log: the same chunk is stored once, also while it is pending', async (t) => {
  const { log, core } = await openChunkLog(t);
  const data = randomBytes(3 << 20, 6);
  const first = putAll(log, data);
  t.alike(putAll(log, data), first);
  await log.drain();
  const blocks = core.length;
  t.alike(putAll(log, data), first);
  await log.drain();
  t.is(core.length, blocks);
  const { storedBytes, deduplicatedBytes } = log.statistics();
  t.is(storedBytes, data.length);
  t.is(deduplicatedBytes, 2 * data.length);
});

test('chunk log: after a restart it finds only what it is told of', async (t) => {
  const directory = temporaryFolder(t, 'chunk-log');
  const first = await openChunkLog(t, { directory });
  const a = randomBytes(50_000, 7);
  const b = randomBytes(50_000, 8);
  const [chunkA, chunkB] = [first.log.put([a]), first.log.put([b])];
  await first.close();

  const { log } = await openChunkLog(t, { directory });
  log.learn(chunkA);
  t.alike(log.put([a]), chunkA);
  t.unlike(log.put([b]), chunkB);
  const garbage = new BlockSet();
  garbage.add(chunkA.block);
  log.forget(garbage);
  log.learn(chunkA);
  t.unlike(log.put([a]), chunkA);
  const unwritten = { ...chunkA, block: 1000, hash: randomBytes(16, 9) };
  log.learn(unwritten);
  t.is(log.statistics().deduplicatedBytes, a.length);
});

test('chunk log: small chunks share blocks of up to 64 KiB', async (t) => {
  const { log, core } = await openChunkLog(t);
  const pieces = Array.from({ length: 100 }, (_, i) => randomBytes(1000 + i, 100 + i));
  const chunks = pieces.map((piece) => log.put([piece]));
  t.ok((await readAll(log, chunks)).equals(Buffer.concat(pieces)), 'readable in the open pack');
  await log.drain();
  t.is(core.length, 2);
  t.ok((core.byteLength + 80) / 2 < 64 << 10);
  t.ok((await readAll(log, chunks)).equals(Buffer.concat(pieces)), 'at the same places later');
});

test('chunk log: large chunks between small ones keep their order and numbers', async (t) => {
  const { log, core } = await openChunkLog(t);
  const pieces = Array.from({ length: 180 }, (_, i) =>
    randomBytes(i % 3 === 0 ? 40_000 : 300 + i, 200 + i),
  );
  const chunks = pieces.map((piece) => log.put([piece]));
  // A whole batch waits, more than 1 MiB of it behind the pack, so it went along without a drain.
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (core.length > 25) resolve();
      else core.once('append', look);
    };
    look();
  });
  await log.drain();
  for (const [i, chunk] of chunks.entries()) {
    if (!pieces[i]!.equals(await log.read(chunk, 0, chunk.length))) t.fail(`chunk ${i}`);
  }
  t.is(chunks[0]!.block, 0);
  t.is(chunks[1]!.block, 1);
  t.is(chunks[2]!.block, 1, 'small ones share');
  t.is(chunks[3]!.block, 2);
});

test('chunk log: what is put little by little is appended at once when somebody needs it', async (t) => {
  const { log, core } = await openChunkLog(t);
  let appends = 0;
  core.on('append', () => appends++);
  const pieces = Array.from({ length: 40 }, (_, i) => randomBytes(i < 20 ? 40_000 : 4000, 900 + i));
  const chunks = [];
  for (const piece of pieces) {
    chunks.push(log.put([piece]));
    await setImmediate();
  }
  t.ok((await readAll(log, chunks)).equals(Buffer.concat(pieces)), 'it is readable all the same');
  await log.drain();
  t.alike([appends, core.length], [1, 22], 'in one append');
  t.ok((await readAll(log, chunks)).equals(Buffer.concat(pieces)));
});

test('chunk log: random puts, drains and reads against a model', async (t) => {
  const { log, core } = await openChunkLog(t, { cacheBytesMax: 200_000 });
  const model: { data: Buffer; chunk: ReturnType<ChunkLog['put']> }[] = [];
  for (let i = 0; i < 600; i++) {
    const size = 1 + ((i * 7919) % (i % 5 === 0 ? 250_000 : 6000));
    const data = randomBytes(size, 1000 + (i % 450));
    model.push({ data, chunk: log.put([data]) });
    if (i % 37 === 0) await log.drain();
    if (i % 11 === 0) await setImmediate();
    const { data: expected, chunk } = model[(i * 31) % model.length]!;
    const got = await log.read(chunk, 0, chunk.length);
    if (!got.equals(expected)) t.fail(`chunk ${i}`);
  }
  await log.drain();
  const all = await readAll(
    log,
    model.map((put) => put.chunk),
  );
  t.ok(all.equals(Buffer.concat(model.map((put) => put.data))));
  t.is(core.length, log.statistics().blocks);
  t.ok(log.statistics().cachedBytes <= 200_000);
});

test('chunk log: room waits while too much is pending', async (t) => {
  const { log } = await openChunkLog(t, { pendingBytesMax: 100_000 });
  await log.room();
  for (let i = 0; i < 10; i++) log.put([randomBytes(20_000, 300 + i)]);
  t.ok(log.pendingBytes >= 200_000);
  await log.room();
  t.ok(log.pendingBytes < 100_000, 'also when what is pending is in an open pack');
});

test('chunk log: chunks of no or too many bytes are refused', async (t) => {
  const { log } = await openChunkLog(t);
  t.ok((await failureOf(() => log.put([Buffer.alloc(0)]))) instanceof RangeError);
  t.ok(
    (await failureOf(() => log.put([Buffer.alloc(parameters.maxBytes + 1)]))) instanceof RangeError,
  );
  const largest = log.put([randomBytes(parameters.maxBytes, 10)]);
  await log.drain();
  t.is((await log.read(largest, 0, largest.length)).length, parameters.maxBytes);
});

test('chunk log: references that no writer makes are a DamagedError', async (t) => {
  const { log } = await openChunkLog(t);
  const chunk = log.put([randomBytes(50_000, 11)]);
  await log.drain();
  for (const wrong of [
    { writer: 1 },
    { block: 1 },
    { block: -1 },
    { block: 0.5 },
    { block: Number.NaN },
    { offset: 0 },
    { offset: 2 },
    { length: 50_001 },
    { offset: 2 ** 40 },
    { length: Number.POSITIVE_INFINITY },
  ]) {
    const error = await failureOf(() => log.read({ ...chunk, ...wrong }, 0, 1));
    t.ok(error instanceof DamagedError, JSON.stringify(wrong));
    log.prefetch([{ ...chunk, ...wrong }]);
  }
});

test('chunk log: a log open for reading', async (t) => {
  const directory = temporaryFolder(t, 'chunk-log');
  const first = await openChunkLog(t, { directory });
  const data = randomBytes(40_000, 12);
  const chunk = first.log.put([data]);
  await first.close();
  const { log } = await openChunkLog(t, { directory, writer: -1 });
  t.is(log.writer, -1);
  t.alike(await log.read(chunk, 0, data.length), data);
  t.ok((await failureOf(() => log.put([data]))) instanceof ReadOnlyError);
  await log.drain();
  await log.room();
  log.learn(chunk);
  t.is(log.statistics().blocks, 1);
});

test('chunk log: a writer needs the key, and every log its encryption', async (t) => {
  const { core } = await openCore(t, temporaryFolder(t, 'chunk-log'), randomBytes(32, 13));
  const options = { chunker: new Chunker(parameters, secret), hashKey };
  const readOnly = await failureOf(() => ChunkLog.open({ core, writer: 0, ...options }));
  t.ok(readOnly instanceof ReadOnlyError);
  await core.setEncryption(null);
  const plain = await failureOf(() => ChunkLog.open({ core, writer: -1, ...options }));
  t.ok(plain instanceof StoreError && plain.message.includes('without its encryption'));
});

test('chunk log: other writers are read where their logs are known', async (t) => {
  const other = await openChunkLog(t);
  const data = randomBytes(80_000, 14);
  const chunk = other.log.put([data]);
  await other.log.drain();
  const { log } = await openChunkLog(t, { foreign: new Map([[3, other.core]]) });
  const mine = log.put([randomBytes(40_000, 15)]);
  await log.drain();
  t.is(mine.block, chunk.block);
  t.alike(await log.read({ ...chunk, writer: 3 }, 0, data.length), data);
  t.alike(
    await log.read(mine, 0, mine.length),
    randomBytes(40_000, 15),
    'not mixed up in the cache',
  );
});

test('chunk log: prefetch decrypts ahead what is on this machine', async (t) => {
  const directory = temporaryFolder(t, 'chunk-log');
  const first = await openChunkLog(t, { directory });
  const data = randomBytes(4 << 20, 16);
  const chunks = putAll(first.log, data);
  await first.close();
  const { log } = await openChunkLog(t, { directory, readaheadBytesMax: 2 << 20 });
  log.prefetch(chunks);
  // In whatever order they come; the test's deadline ends this when they never do.
  while (log.statistics().cachedBytes <= 1 << 20) await new Promise((r) => setTimeout(r, 1));
  t.pass('nobody has read them');
  const inOrder = await readAll(log, chunks);
  t.ok(inOrder.equals(data));
  await log.close();
  log.prefetch(chunks);
  t.is(log.statistics().cachedBytes, 0);
});

test('chunk log: close appends what is pending, once, and ends everything', async (t) => {
  const directory = temporaryFolder(t, 'chunk-log');
  const { log, store, core } = await openChunkLog(t, { directory });
  const small = log.put([randomBytes(500, 17)]);
  const closing = log.close();
  t.is(log.close(), closing);
  await closing;
  t.is(core.length, 1);
  t.ok((await failureOf(() => log.put([Buffer.alloc(5)]))) instanceof InterruptedError);
  t.ok((await failureOf(() => log.read(small, 0, 1))) instanceof InterruptedError);
  t.ok(core.opened, 'the core is the caller’s');
  await store.close();
  const second = await openChunkLog(t, { directory });
  t.alike(await second.log.read(small, 0, 500), randomBytes(500, 17));
});
