import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import type { CoreContext } from 'hypercore';
import { BlockCache } from '../../src/content/block-cache.js';
import { BlockOpener } from '../../src/content/block-opener.js';
import type { BlockSource } from '../../src/content/open-messages.js';
import { blockPaddingBytes } from '../../src/log/aead.js';
import { createEncryptionProvider } from '../../src/log/encryption.js';
import { gatherSectors, sealSectors, sector_bytes, sectoredBytes } from '../../src/log/sectors.js';
import { crc32 } from '../../src/log/values/checksum.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { countThreads } from './support/count-threads.js';

const encryption = createEncryptionProvider(Buffer.alloc(32, 1));
const core = { key: Buffer.alloc(32, 2) } as CoreContext;
const keys = encryption.sealingKeys(core);

const INDEX = 7;
/** For a thread that is to end soon. */
const REST_MS = 100;
const SECTORS = { index: INDEX, layout: 'sectors' } as const;

function shared(plain: Buffer): Buffer {
  const block = Buffer.from(new SharedArrayBuffer(plain.length + blockPaddingBytes));
  encryption.seal(plain, block, core);
  return block;
}

/** The same in sectors, gathered. */
function gathered(plain: Buffer): Buffer {
  const sealed = Buffer.alloc(sectoredBytes(plain.length));
  sealSectors(keys, INDEX, plain, sealed);
  const block = Buffer.from(new SharedArrayBuffer(sealed.length));
  gatherSectors(sealed, block);
  return block;
}

function openWhole(opener: BlockOpener, block: Buffer): Promise<boolean> {
  return opener.open(block, { index: INDEX, layout: 'whole' });
}

function plainOf(block: Buffer): Buffer {
  return block.subarray(blockPaddingBytes);
}

test('block opener: decrypts in place, in order, whatever is asked at once', async (t) => {
  const opener = new BlockOpener(keys, undefined, 0);
  t.teardown(() => opener.close());
  const plain = [70_000, 1, 65_537].map((bytes, i) => randomBytes(bytes, i));
  const blocks = plain.map(shared);
  const later = shared(randomBytes(5000, 9));
  const first = Promise.all(blocks.map((block) => openWhole(opener, block)));
  await Promise.resolve();
  t.ok(await openWhole(opener, later));
  t.alike(await first, [true, true, true]);
  t.alike(blocks.map(plainOf), plain);
  t.alike(plainOf(later), randomBytes(5000, 9));
});

test('block opener: decrypts sectors where they were gathered', async (t) => {
  const opener = new BlockOpener(keys, undefined, 0);
  t.teardown(() => opener.close());
  const plain = [70_000, 1, sector_bytes, 2 * sector_bytes + 1].map((n, i) => randomBytes(n, i));
  const blocks = plain.map(gathered);
  const bad = gathered(randomBytes(30_000, 9));
  bad[20_000] = (bad[20_000] as number) ^ 1;
  const all = [...blocks, bad].map((block) =>
    opener.open(block, { index: INDEX, layout: 'sectors' }),
  );
  t.alike(await Promise.all(all), [true, true, true, true, false]);
  for (const [i, block] of blocks.entries()) {
    t.alike(block.subarray(block.length - (plain[i] as Buffer).length), plain[i]);
  }
  t.absent(
    await opener.open(gathered(randomBytes(100, 1)), { index: INDEX + 1, layout: 'sectors' }),
    'another block',
  );
  t.absent(await opener.open(gathered(randomBytes(100, 1)), { index: INDEX, layout: 'whole' }));
});

/** A file of sealed blocks, and where each of them lies. */
async function storedBlocks(t: Assertions, plain: Buffer[], gapBytes: number) {
  const file = path.join(temporaryFolder(t, 'opener'), 'values');
  const sources: BlockSource[] = [];
  const parts: Buffer[] = [];
  const handle = await open(file, 'w+');
  t.teardown(() => handle.close());
  let offset = 0;
  for (const bytes of plain) {
    const sealed = Buffer.alloc(sectoredBytes(bytes.length));
    sealSectors(keys, INDEX, bytes, sealed);
    sources.push({ fd: handle.fd, offset, length: sealed.length, checksum: crc32(sealed) });
    parts.push(sealed, Buffer.alloc(gapBytes));
    offset += sealed.length + gapBytes;
  }
  await handle.write(Buffer.concat(parts));
  return { handle, sources };
}

/** Reads all at once, into one piece of memory. */
async function readAll(opener: BlockOpener, sources: BlockSource[], plain: Buffer[]) {
  const total = plain.reduce((sum, { length }) => sum + length, 0);
  const memory = Buffer.from(new SharedArrayBuffer(total));
  let at = 0;
  const places = plain.map(({ length }) => {
    at += length;
    return memory.subarray(at - length, at);
  });
  const areRead = await Promise.all(
    sources.map((source, i) => opener.read(source, places[i] as Buffer, SECTORS)),
  );
  return { areRead, places };
}

test('block opener: reads blocks of a file, wherever they lie', async (t) => {
  const opener = new BlockOpener(keys, undefined, 0);
  t.teardown(() => opener.close());
  // More than is read at once, and than reads under way have memory for.
  const plain = Array.from({ length: 100 }, (_, i) => randomBytes(60_000 + 977 * (i % 13), i));
  for (const gapBytes of [0, 1000, 100_000]) {
    const { sources } = await storedBlocks(t, plain, gapBytes);
    const { areRead, places } = await readAll(opener, sources, plain);
    t.absent(areRead.includes(false), `${gapBytes} bytes between them`);
    t.ok(places.every((place, i) => place.equals(plain[i] as Buffer)));
    const backwards = await readAll(opener, [...sources].reverse(), [...plain].reverse());
    t.ok(backwards.places.every((place, i) => place.equals(plain[99 - i] as Buffer)));
  }
});

test('block opener: says which block could not be read', async (t) => {
  const opener = new BlockOpener(keys, undefined, 0);
  t.teardown(() => opener.close());
  const plain = [1, 2, 3, 4].map((seed) => randomBytes(50_000, seed));
  const { handle, sources } = await storedBlocks(t, plain, 0);
  await handle.write(Buffer.alloc(10), 0, 10, (sources[1] as BlockSource).offset + 20_000);
  await handle.truncate((sources[3] as BlockSource).offset + 40_000);
  const { areRead, places } = await readAll(opener, sources, plain);
  t.alike(areRead, [true, false, true, false]);
  t.alike([places[0], places[2]], [plain[0], plain[2]]);
  const source = { ...(sources[0] as BlockSource), fd: 1 << 20 };
  t.absent(await opener.read(source, places[0] as Buffer, SECTORS), 'no such file');
  const short = (places[0] as Buffer).subarray(1);
  t.absent(await opener.read(sources[0] as BlockSource, short, SECTORS), 'no room');
  const whole = { index: INDEX, layout: 'whole' } as const;
  t.absent(await opener.read(sources[0] as BlockSource, places[0] as Buffer, whole));
  t.ok(opener.isUsable);
});

test('block opener: a block in one piece is not taken for another', async (t) => {
  const opener = new BlockOpener(keys, undefined, 0);
  t.teardown(() => opener.close());
  const plain = randomBytes(50_000, 1);
  const sealed = Buffer.alloc(plain.length + blockPaddingBytes);
  encryption.seal(plain, sealed, core);
  const file = path.join(temporaryFolder(t, 'opener'), 'values');
  const handle = await open(file, 'w+');
  t.teardown(() => handle.close());
  await handle.write(sealed);
  const source = { fd: handle.fd, offset: 0, length: sealed.length, checksum: crc32(sealed) };
  const place = Buffer.from(new SharedArrayBuffer(plain.length));
  const whole = { index: INDEX, layout: 'whole' } as const;
  t.ok(await opener.read(source, place, whole));
  t.alike(place, plain);
  t.absent(await opener.read({ ...source, checksum: source.checksum + 1 }, place, whole));
});

test('block opener: once closed it starts no thread, and nobody waits', async (t) => {
  const mark = path.join(temporaryFolder(t, 'opener'), 'started');
  const text = `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(mark)}, '');`;
  const program = new URL(`data:text/javascript,${encodeURIComponent(text)}`);
  const opener = new BlockOpener(keys, program, 0);
  const waiting = openWhole(opener, shared(randomBytes(100, 1)));
  opener.close();
  t.is(await waiting, false, 'not handed over yet');
  t.is(await openWhole(opener, shared(randomBytes(100, 1))), false);
  t.absent(opener.isReady);
  // As long as a thread takes to start.
  const other = new BlockOpener(keys, undefined, 0);
  t.teardown(() => other.close());
  t.ok(await openWhole(other, shared(randomBytes(100, 1))));
  t.absent(existsSync(mark));
});

test('block opener: says which block is not authentic', async (t) => {
  const opener = new BlockOpener(keys, undefined, 0);
  t.teardown(() => opener.close());
  const [good, bad, short] = [shared(randomBytes(100, 1)), shared(randomBytes(100, 2)), 0];
  bad[50] = (bad[50] as number) ^ 1;
  const tooShort = Buffer.from(new SharedArrayBuffer(blockPaddingBytes - 1 + short));
  const opened = await Promise.all([good, bad, tooShort].map((block) => openWhole(opener, block)));
  t.alike(opened, [true, false, false]);
  t.ok(opener.isUsable);
});

test('block opener: once its thread ended it starts another; closed, nobody waits', async (t) => {
  const opener = new BlockOpener(keys, undefined, Number.POSITIVE_INFINITY, REST_MS);
  const threads = countThreads(t);
  t.ok(await openWhole(opener, shared(randomBytes(100, 1))));
  while (opener.isReady) await setImmediate();
  t.ok(await openWhole(opener, shared(randomBytes(100, 2))));
  t.is(await threads(), 2);
  const waiting = openWhole(opener, shared(randomBytes(100, 3)));
  await Promise.resolve();
  opener.close();
  t.is(await waiting, false);
  opener.close();
});

test('block opener: says when its thread works', async (t) => {
  const opener = new BlockOpener(keys, undefined, 0);
  t.teardown(() => opener.close());
  t.absent(opener.isReady, 'it starts');
  while (!opener.isReady) await setImmediate();
  t.ok(await openWhole(opener, shared(randomBytes(100, 1))));
  opener.noteIdle();
  t.ok(opener.isReady, 'also after a pause');
});

test('block opener: its thread does not end while something is asked of it', async (t) => {
  // Starting takes much longer than a millisecond, after which it would end.
  const opener = new BlockOpener(keys, undefined, 0, 1);
  t.teardown(() => opener.close());
  t.ok(await openWhole(opener, shared(randomBytes(100, 1))));
});

test('block opener: its thread ends when nothing is asked of it, and can be started again', async (t) => {
  // So many bytes are never decrypted elsewhere: only who prepares it starts the thread.
  const opener = new BlockOpener(keys, undefined, Number.POSITIVE_INFINITY, REST_MS);
  t.teardown(() => opener.close());
  for (let round = 0; round < 2; round++) {
    t.absent(opener.isReady);
    opener.prepare();
    while (!opener.isReady) await setImmediate();
    const large = Array.from({ length: 200 }, (_, i) => shared(randomBytes(100_000, i)));
    const opened = await Promise.all(large.map((block) => openWhole(opener, block)));
    t.ok(opened.every((isOpen) => isOpen));
    while (opener.isReady) await setImmediate();
  }
});

test('block opener: a thread that fails is done without', async (t) => {
  const program = new URL('data:text/javascript,throw new Error("broken")');
  const opener = new BlockOpener(keys, program, 0);
  t.teardown(() => opener.close());
  t.is(await openWhole(opener, shared(randomBytes(100, 1))), false);
  t.absent(opener.isUsable);
  t.absent(opener.isReady);
});

test('block cache: a reserved place is nobody else’s until it is settled', async (t) => {
  const cache = new BlockCache(100);
  const place = cache.reserve(1, 40);
  if (place === null) throw new Error('There is no place');
  place.memory.fill(1);
  t.absent(cache.has(1));
  t.is(cache.get(1), undefined);
  cache.set(2, Buffer.alloc(40, 2));
  // Round the buffer, over the place.
  cache.set(3, Buffer.alloc(40, 3));
  t.absent(cache.has(3), 'there was no room');
  t.alike(place.memory, Buffer.alloc(40, 1));
  place.settle(10);
  t.alike(cache.get(1), Buffer.alloc(30, 1));
  t.alike(cache.get(2), Buffer.alloc(40, 2));
  await setImmediate();
  cache.set(3, Buffer.alloc(40, 3));
  t.alike(cache.get(3), Buffer.alloc(40, 3));
  t.is(cache.get(1), undefined, 'the oldest goes first');
});

test('block cache: what was handed out stays as it is until something is waited for', async (t) => {
  const cache = new BlockCache(100);
  for (const key of [1, 2, 3]) cache.set(key, Buffer.alloc(30, key));
  const lent = cache.get(1);
  cache.set(4, Buffer.alloc(30, 4));
  t.alike(lent, Buffer.alloc(30, 1));
  t.absent(cache.has(4), 'there was no room');
  t.is(cache.reserve(5, 30), null);
  await setImmediate();
  cache.set(6, Buffer.alloc(30, 6));
  t.alike(cache.get(6), Buffer.alloc(30, 6));
  t.is(cache.get(1), undefined);
});

test('block cache: blocks that are made late go when their turn comes', async (t) => {
  const cache = new BlockCache(100);
  const place = cache.reserve(1, 30);
  cache.set(2, Buffer.alloc(30, 2));
  place?.memory.fill(1);
  place?.settle(0);
  cache.set(3, Buffer.alloc(30, 3));
  cache.set(4, Buffer.alloc(50, 4));
  t.absent(cache.has(4), 'who made it may still look at it');
  t.alike(place?.memory, Buffer.alloc(30, 1));
  await setImmediate();
  cache.set(4, Buffer.alloc(50, 4));
  t.alike(
    [1, 2, 3, 4].map((key) => cache.has(key)),
    [false, false, true, true],
  );
  t.alike(cache.get(3), Buffer.alloc(30, 3));
});

test('block cache: a place given up, dropped or of an emptied cache is not kept', (t) => {
  const cache = new BlockCache(100);
  cache.reserve(1, 30)?.settle(null);
  t.absent(cache.has(1));
  const dropped = cache.reserve(2, 30);
  cache.delete(2);
  dropped?.settle(0);
  t.absent(cache.has(2));
  const replaced = cache.reserve(3, 10);
  cache.set(3, Buffer.alloc(10, 9));
  replaced?.memory.fill(1);
  replaced?.settle(0);
  t.alike(cache.get(3), Buffer.alloc(10, 9));
  const old = cache.reserve(4, 30);
  cache.clear();
  cache.set(5, Buffer.alloc(90, 5));
  old?.memory.fill(1);
  old?.settle(0);
  t.absent(cache.has(4));
  t.alike(cache.get(5), Buffer.alloc(90, 5));
  t.is(cache.bytes, 90);
});

test('block opener: a thread is started when there is much to do', async (t) => {
  const opener = new BlockOpener(keys, undefined, 1000, REST_MS);
  t.teardown(() => opener.close());
  const threads = countThreads(t);
  const startedByNow = (): Promise<number> => {
    void opener.isReady;
    return threads();
  };
  t.is(await startedByNow(), 0);
  opener.noteOpenedHere(999);
  t.is(await startedByNow(), 0);
  opener.noteOpenedHere(1);
  t.is(await startedByNow(), 1);
  while (!opener.isReady) await setImmediate();
  while (opener.isReady) await setImmediate();
  opener.noteOpenedHere(999);
  t.is(await startedByNow(), 1, 'counted anew');
  opener.noteIdle();
  opener.noteOpenedHere(999);
  t.is(await startedByNow(), 1, 'and once more after a pause');
});
