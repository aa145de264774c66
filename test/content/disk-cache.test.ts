import { type Assertions, test } from 'brittle';
import type Corestore from 'corestore';
import { DiskCache, type StoreSpace } from '../../src/content/disk-cache.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { connect, openCore } from './support/chunk-store.js';

const BLOCK_BYTES = 32 << 10;
const BLOCKS = 256;
const CACHE_BYTES = 64 * BLOCK_BYTES;

test('what is fetched stays below the bound, and the newest is kept', async (t) => {
  const { reader, cache, space } = await openReader(t);
  let most = 0;
  for (let block = 0; block < BLOCKS; block++) {
    await cache.room();
    await reader.get(block);
    most = Math.max(most, space.used);
  }
  await cache.settled();
  t.ok(most <= CACHE_BYTES * 1.05, `at most ${most} of ${CACHE_BYTES} bytes`);
  t.ok(cache.bytes > CACHE_BYTES / 4, `${cache.bytes} bytes are kept`);
  t.ok(reader.core?.bitfield.get(BLOCKS - 1), 'the last block is here');
  t.absent(reader.core?.bitfield.get(0), 'the first is gone');
  t.alike(await reader.get(0), contentOf(0), 'and is fetched again');
});

test('what is used again and again stays, and so does what is pinned or read', async (t) => {
  const { reader, cache } = await openReader(t);
  cache.pin(1);
  cache.isBusy = (block) => block === 2;
  for (let block = 0; block < BLOCKS; block++) {
    await reader.get(block);
    cache.touch(0);
  }
  await cache.settled();
  const isHere = (block: number): boolean => reader.core?.bitfield.get(block) ?? false;
  t.ok(isHere(0), 'used again');
  t.ok(isHere(1), 'pinned');
  t.ok(isHere(2), 'read');
  t.absent(isHere(3), 'its neighbour is none of them');
  t.ok(cache.pinnedBytes >= BLOCK_BYTES && cache.pinnedBytes < 2 * BLOCK_BYTES);
  cache.setPinned([]);
  t.is(cache.pinnedBytes, 0);
});

test('a third peer gets from a reader what that has kept, and only that', async (t) => {
  const { reader, cache, store } = await openReader(t);
  const third = await openCore(t, temporaryFolder(t, 'third'), reader.key);
  connect(t, store, third.store);
  await third.core.update({ wait: true });
  for (let block = 0; block < 16; block++) await reader.get(block);
  // The third one knows now that the first sixteen are there.
  t.alike(await third.core.get(0), contentOf(0));
  for (let block = 16; block < BLOCKS; block++) await reader.get(block);
  await cache.settled();
  const kept = reader.core?.bitfield.firstSet(1) ?? -1;
  t.ok(kept > 1, 'some are gone');
  for (const block of [kept, kept + 1, BLOCKS - 1]) {
    t.alike(await third.core.get(block, { timeout: 10_000 }), contentOf(block));
  }
  await t.exception(third.core.get(kept - 1, { timeout: 300 }));
});

test('what was kept and when it was used is known after a restart', async (t) => {
  const directory = temporaryFolder(t, 'restart');
  const first = await openReader(t, directory);
  for (let block = 0; block < 40; block++) await first.reader.get(block);
  for (let i = 0; i < 100; i++) first.cache.touch(0);
  await first.cache.settled();
  const saved = first.cache.encode();
  const here = localBlocks(first.reader);
  await first.cache.close();
  await first.store.close();

  const again = await openReader(t, directory, { saved, key: first.reader.key });
  t.alike(localBlocks(again.reader), here, 'the store has the same blocks');
  t.is(again.cache.bytes, first.cache.bytes);
  const from = Math.max(...here) + 1;
  for (let block = from; block < from + 30; block++) await again.reader.get(block);
  await again.cache.settled();
  t.ok(again.reader.core?.bitfield.get(0), 'used last before the restart');
  t.absent(again.reader.core?.bitfield.get(1));

  const garbage = await openReader(t, temporaryFolder(t, 'garbage'), { saved: saved.subarray(1) });
  t.is(garbage.cache.bytes, 0, 'what was saved and is broken is not used');
});

test('a disk that gives nothing back does not keep anybody from reading', async (t) => {
  const lines: string[] = [];
  const space = { used: 0, usedBytes: async () => CACHE_BYTES * 4, reclaim: async () => {} };
  const { reader, cache } = await openReader(t, undefined, { space, lines });
  for (let block = 0; block < 100; block++) {
    await cache.room();
    await reader.get(block);
  }
  t.pass('all were read');
});

interface ReaderOptions {
  saved?: Buffer;
  space?: StoreSpace & { used: number };
  lines?: string[];
  key?: Buffer;
}

/** A reader of a log of 256 blocks, connected to who wrote it, with a bounded cache. */
async function openReader(t: Assertions, directory?: string, options: ReaderOptions = {}) {
  const writer = await writerOf(t);
  const opened = await openCore(t, directory ?? temporaryFolder(t, 'reader'), writer.key);
  const { store, core: reader } = opened;
  connect(t, writer.store, store);
  await reader.update({ wait: true });
  const space = options.space ?? spaceOf(() => cache);
  const cache: DiskCache = new DiskCache({
    core: reader,
    bytesMax: CACHE_BYTES,
    fixedBytes: 0,
    onTopBytes: 0,
    space,
    saved: options.saved ?? null,
    log: (line) => options.lines?.push(line),
  });
  t.teardown(() => cache.close(), { force: true });
  return { reader, cache, store, space };
}

/** A disk on which removed blocks take room until it is given back. */
function spaceOf(cache: () => DiskCache): StoreSpace & { used: number } {
  let garbage = 0;
  let before = 0;
  return {
    get used() {
      return cache().bytes + garbage;
    },
    async usedBytes() {
      const { bytes } = cache();
      garbage += Math.max(0, before - bytes);
      before = bytes;
      return bytes + garbage;
    },
    async reclaim() {
      before = cache().bytes;
      garbage = 0;
    },
  };
}

const writers = new WeakMap<Assertions, { store: Corestore; key: Buffer }>();

async function writerOf(t: Assertions): Promise<{ store: Corestore; key: Buffer }> {
  const known = writers.get(t);
  if (known !== undefined) return known;
  const { store, core } = await openCore(t, temporaryFolder(t, 'writer'));
  for (let block = 0; block < BLOCKS; block++) await core.append(contentOf(block));
  const writer = { store, key: core.key };
  writers.set(t, writer);
  return writer;
}

function contentOf(block: number): Buffer {
  return Buffer.alloc(BLOCK_BYTES, block % 251);
}

function localBlocks(core: Awaited<ReturnType<typeof openCore>>['core']): number[] {
  return Array.from({ length: BLOCKS }, (_, i) => i).filter((i) => core.core?.bitfield.get(i));
}
