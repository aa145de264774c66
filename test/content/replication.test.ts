import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import { BlockCache } from '../../src/content/block-cache.js';
import { BlockReader } from '../../src/content/block-reader.js';
import type { ChunkReference } from '../../src/content/content-store.js';
import type { LogEncryption } from '../../src/log/encryption.js';
import { LocalBlocks } from '../../src/log/local-blocks.js';
import { randomBytes } from '../support/random-bytes.js';
import {
  connect,
  type OpenChunkLog,
  openChunkLog,
  putAll,
  readAll,
} from './support/chunk-store.js';

const data = randomBytes(8 << 20, 1);

async function openOrigin(t: Assertions) {
  const origin = await openChunkLog(t);
  const chunks = putAll(origin.log, data);
  await origin.log.drain();
  return { origin, chunks };
}

function blocksOf(chunks: readonly ChunkReference[]): Set<number> {
  return new Set(chunks.map((chunk) => chunk.block));
}

async function waitForPeer(reader: OpenChunkLog, count = 1): Promise<void> {
  while (reader.core.peers.length < count) await once(reader.core, 'peer-add');
}

test('replication: reading a part fetches only its blocks', async (t) => {
  const { origin, chunks } = await openOrigin(t);
  const reader = await openChunkLog(t, { key: origin.core.key });
  connect(t, origin.store, reader.store);
  const middle = chunks.slice(40, 50);
  const start = chunks.slice(0, 40).reduce((sum, chunk) => sum + chunk.length, 0);
  const got = await readAll(reader.log, middle);
  t.ok(got.equals(data.subarray(start, start + got.length)));
  const { downloadedBlocks, downloadedBytes } = reader.log.statistics();
  const blocks = blocksOf(middle).size;
  t.ok(blocks >= 8);
  t.is(downloadedBlocks, blocks);
  // Small chunks come with their neighbours in a block.
  t.ok(downloadedBytes >= got.length + blocks && downloadedBytes < got.length + 3 * 65_536);
  await readAll(reader.log, middle);
  t.is(reader.log.statistics().downloadedBlocks, blocks, 'once');
});

test('replication: many who wait for a block make one request', async (t) => {
  const { origin, chunks } = await openOrigin(t);
  const reader = await openChunkLog(t, { key: origin.core.key });
  const get = reader.core.get.bind(reader.core);
  let gets = 0;
  reader.core.get = (index, options) => {
    gets++;
    return get(index, options);
  };
  const waits = Array.from({ length: 20 }, () => reader.log.read(chunks[3]!, 0, 100));
  connect(t, origin.store, reader.store);
  for (const got of await Promise.all(waits)) t.is(got.length, 100);
  t.is(gets, 1);
  t.is(reader.log.statistics().downloadedBlocks, 1);
});

test('replication: prefetch fetches what is announced, and each block once', async (t) => {
  const { origin, chunks } = await openOrigin(t);
  const reader = await openChunkLog(t, { key: origin.core.key });
  connect(t, origin.store, reader.store);
  await waitForPeer(reader);
  const wanted = chunks.slice(10, 60);
  reader.log.prefetch(wanted);
  reader.log.prefetch(wanted);
  const start = chunks.slice(0, 10).reduce((sum, chunk) => sum + chunk.length, 0);
  const got = await readAll(reader.log, wanted);
  t.ok(got.equals(data.subarray(start, start + got.length)));
  t.is(reader.log.statistics().downloadedBlocks, blocksOf(wanted).size);
});

test('replication: without a read, what was announced arrives', async (t) => {
  const { origin, chunks } = await openOrigin(t);
  const reader = await openChunkLog(t, { key: origin.core.key });
  connect(t, origin.store, reader.store);
  const wanted = chunks.slice(20, 40);
  reader.log.prefetch(wanted);
  const blocks = blocksOf(wanted);
  while (reader.log.statistics().downloadedBlocks < blocks.size) {
    await once(reader.core, 'download');
  }
  for (const block of blocks) t.ok(await reader.core.has(block));
});

test('replication: what was announced last displaces what a seek made pointless', async (t) => {
  const { origin, chunks } = await openOrigin(t);
  const reader = await openChunkLog(t, { key: origin.core.key, readaheadBytesMax: 1 << 20 });
  const windowOf = (from: number) => chunks.slice(from, from + 12);
  // No peer yet: these all pile up, and only the last two fit.
  for (const from of [0, 20, 40, 60, 80]) reader.log.prefetch(windowOf(from));
  connect(t, origin.store, reader.store);
  const got = await readAll(reader.log, windowOf(80));
  t.ok(got.length > 0);
  // Had the old ranges lived they would have come first: 60 blocks.
  t.ok(reader.log.statistics().downloadedBlocks <= 30);
  t.absent(await reader.core.has(chunks[0]!.block));
  t.absent(await reader.core.has(chunks[45]!.block));
});

test('replication: a peer that stops answering does not hold a block back', async (t) => {
  const { origin, chunks } = await openOrigin(t);
  const mirror = await openChunkLog(t, { key: origin.core.key });
  const { cut } = connect(t, origin.store, mirror.store);
  await mirror.core.download({ start: 0, end: origin.core.length }).done();
  cut();

  const reader = await openChunkLog(t, { key: origin.core.key, deadlineMs: 8000 });
  const frozen = connect(t, origin.store, reader.store);
  connect(t, mirror.store, reader.store);
  await waitForPeer(reader, 2);
  // Until both are known to have everything, only one would be asked.
  while (reader.core.peers.some((peer) => peer.remoteContiguousLength < origin.core.length)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  await reader.log.read(chunks[0]!, 0, 1);
  frozen.freeze();
  // One at a time: while nothing else is asked of the other peer, nothing reminds Hypercore of it.
  const got = await readAll(reader.log, chunks.slice(1, 13));
  const start = chunks[0]!.length;
  t.ok(got.equals(data.subarray(start, start + got.length)));
});

test('replication: a reader of a log that has grown reads the new blocks', async (t) => {
  const { origin, chunks } = await openOrigin(t);
  const reader = await openChunkLog(t, { key: origin.core.key });
  connect(t, origin.store, reader.store);
  await reader.log.read(chunks[0]!, 0, 1);
  const more = randomBytes(50_000, 2);
  const chunk = origin.log.put([more]);
  // Asked for before the reader can know of it.
  const early = reader.log.read(chunk, 0, chunk.length);
  await origin.log.drain();
  t.ok((await early).equals(more));
});

test('replication: what is read ahead is decrypted as it comes, and not read from the disk again', async (t) => {
  const { origin, chunks } = await openOrigin(t);
  const { core, store } = await openChunkLog(t, { key: origin.core.key });
  const cache = new BlockCache();
  const reader = new BlockReader(core, core.encryption as unknown as LogEncryption, 0, cache, 8000);
  t.teardown(() => reader.close());
  const [read, find] = [LocalBlocks.prototype.get, LocalBlocks.prototype.find];
  let reads = 0;
  LocalBlocks.prototype.get = function (block) {
    reads++;
    return read.call(this, block);
  };
  LocalBlocks.prototype.find = function (block) {
    reads++;
    return find.call(this, block);
  };
  t.teardown(() => Object.assign(LocalBlocks.prototype, { get: read, find }));
  const blocks = [...blocksOf(chunks.filter(({ length }) => length > 40_000))];
  const unwanted = blocks.pop() as number;
  reader.openAsTheyCome((block) => block !== unwanted);
  reader.prepare();
  connect(t, origin.store, store);
  const download = (list: number[]) => core.download({ blocks: list }).done();
  await download([unwanted]);
  t.absent(reader.isAtHand(unwanted), 'what is not read ahead is left sealed');
  // It starts meanwhile.
  while (blocks.length > 40 && !reader.isAtHand(blocks.at(-1) as number)) {
    blocks.pop();
    await sleep(20);
    await download(blocks.slice(-1));
  }
  await download(blocks);
  for (const block of blocks.slice(-20)) {
    const plain = reader.cached(block) ?? (await reader.fetch(block));
    const chunk = chunks.find((one) => one.block === block) as ChunkReference;
    t.alike(plain.length, chunk.offset + chunk.length);
  }
  t.ok(blocks.length > 40, `${blocks.length} blocks came once it was there`);
  t.is(reads, 0);
});
