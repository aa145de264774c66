import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import type { ChunkReference } from '../../src/content/content-store.js';
import { NoSpaceError } from '../../src/errors.js';
import { SpaceGuard } from '../../src/log/space-guard.js';
import { StoreSync } from '../../src/log/store-sync.js';
import { command } from '../support/command.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { failureOf, openChunkLog, putAll, readAll } from './support/chunk-store.js';

const isRoot = process.getuid?.() === 0;

/** A disk of its own, 320 MiB. */
async function smallDisk(t: Assertions): Promise<string> {
  const folder = temporaryFolder(t, 'disk-full');
  await command('mount', ['-t', 'tmpfs', '-o', 'size=320m', 'tmpfs', folder]);
  t.teardown(() => command('umount', ['-l', folder]), { order: 900, force: true });
  return folder;
}

/**
 * Removes what `fill` made, and waits for its space. While somebody has the kernel drop its caches, as other tests do, it holds
 * each file that it looks through, also removed ones.
 */
async function removeFiller(disk: string, filler: string): Promise<void> {
  const { size } = statSync(filler);
  rmSync(filler);
  for (;;) {
    const { bavail, bsize } = statfsSync(disk);
    if (bavail * bsize >= size) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Takes all space that is left, but for `leave` bytes. */
function fill(disk: string, leave: number): string {
  const filler = join(disk, 'filler');
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - leave)));
  return filler;
}

test('disk full: nothing synced is lost, and it works again when space returns', {
  skip: !isRoot,
  timeout: 120_000,
}, async (t) => {
  const disk = await smallDisk(t);
  const directory = join(disk, 'store');
  const first = await openChunkLog(t, { directory });
  const sync = new StoreSync(directory, () => first.store.storage.db.flush());
  t.teardown(() => sync.close(), { force: true });
  const kept = randomBytes(4 << 20, 1);
  const keptChunks = putAll(first.log, kept);
  await first.log.drain();
  await sync.sync();
  const filler = fill(disk, 1 << 20);
  // RocksDB has taken the room of its write-ahead file in advance, so it takes some writing to run out.
  const late: { data: Buffer; chunks: ChunkReference[] }[] = [];
  let error: unknown;
  for (let i = 0; i < 40 && error === undefined; i++) {
    const data = randomBytes(4 << 20, 100 + i);
    late.push({ data, chunks: putAll(first.log, data) });
    error = await failureOf(() => first.log.drain());
  }
  t.ok(error instanceof NoSpaceError, String(error));
  t.ok((await readAll(first.log, keptChunks)).equals(kept), 'reads go on');
  const last = late.at(-1)!;
  t.ok((await readAll(first.log, last.chunks)).equals(last.data), 'also of what was not stored');

  await removeFiller(disk, filler);
  // RocksDB looks for space every few seconds after it has run out.
  while ((await failureOf(() => first.log.drain())) instanceof NoSpaceError) {
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await sync.sync();
  await sync.close();
  const { length } = first.core;
  await first.close();

  const { log, core } = await openChunkLog(t, { directory });
  t.is(core.length, length);
  t.ok((await readAll(log, keptChunks)).equals(kept));
  for (const [i, { data, chunks }] of late.entries()) {
    t.ok((await readAll(log, chunks)).equals(data), `what was put when the disk ran full, ${i}`);
  }
});

test('disk full: with a space guard the disk never runs full', {
  skip: !isRoot,
  timeout: 60_000,
}, async (t) => {
  const disk = await smallDisk(t);
  const spaceGuard = new SpaceGuard({ directory: disk, reserveBytes: 16 << 20 });
  const { log } = await openChunkLog(t, { directory: join(disk, 'store'), spaceGuard });
  putAll(log, randomBytes(1 << 20, 2));
  await log.drain();
  const filler = fill(disk, 4 << 20);
  const data = randomBytes(1 << 20, 3);
  const chunks = putAll(log, data);
  const error = await failureOf(() => log.drain());
  t.ok(error instanceof NoSpaceError && /nearly full/.test(error.message), String(error));
  await removeFiller(disk, filler);
  await log.drain();
  t.ok((await readAll(log, chunks)).equals(data), 'at once when space is back');
});

/** Nothing fits while `isFull`. */
function guardOfSmallDisk() {
  const disk = { isFull: false };
  const spaceGuard = new SpaceGuard({
    directory: '/small',
    reserveBytes: 0,
    measure: () => ({ availableBytes: disk.isFull ? 0 : 16 << 20, totalBytes: 1000 << 20 }),
  });
  return { disk, spaceGuard };
}

test('disk full: pending blocks that nobody needs are stored empty, those in the journal in spite of it', async (t) => {
  const { disk, spaceGuard } = guardOfSmallDisk();
  const { log, core } = await openChunkLog(t, { spaceGuard });
  disk.isFull = true;
  const journaled = putAll(log, randomBytes(300_000, 1));
  const journaledEnd = log.statistics().blocks;
  const unused = randomBytes(1 << 20, 2);
  putAll(log, unused);
  const used = putAll(log, randomBytes(1 << 20, 3));
  let released = 0;
  const held = log.put([randomBytes(60_000, 4)], () => released++);
  t.ok((await failureOf(() => log.drain())) instanceof NoSpaceError);

  t.is(released, 0);
  t.ok(await log.dropUnused(0, () => [...journaled, ...used]), 'some of it is not needed');
  t.is(released, 1, 'its memory is free');
  t.absent(await log.dropUnused(0, () => [...journaled, ...used]), 'once');
  t.ok((await failureOf(() => log.drain())) instanceof NoSpaceError, 'the rest is');
  t.ok(await log.dropUnused(journaledEnd, () => used), 'some has its room');
  t.absent(await log.dropUnused(journaledEnd, () => used));
  t.ok((await failureOf(() => log.drain())) instanceof NoSpaceError);
  // Opens a block of small chunks.
  const small = log.put([randomBytes(100, 7)]);
  t.ok(await log.dropUnused(journaledEnd, () => []));
  const late = randomBytes(200, 5);
  const lateChunk = log.put([late]);
  t.ok(
    small.block > held.block && lateChunk.block > small.block,
    'a block that was dropped takes no more',
  );
  disk.isFull = false;
  await log.drain();
  t.is(log.pendingBytes, 0);
  t.is(core.length, lateChunk.block + 1);
  t.ok((await readAll(log, journaled)).equals(randomBytes(300_000, 1)));
  t.ok((await readAll(log, [lateChunk])).equals(late));
  const again = putAll(log, unused);
  await log.drain();
  t.ok((await readAll(log, again)).equals(unused), 'it is not taken for stored');
});

test('disk full: what is being appended is not dropped', async (t) => {
  const { log } = await openChunkLog(t);
  const data = randomBytes(4 << 20, 6);
  const chunks = putAll(log, data);
  const draining = log.drain();
  await new Promise((resolve) => setImmediate(resolve));
  t.ok(log.pendingBytes > 0, 'appending has begun');
  await log.dropUnused(0, () => []);
  await draining;
  t.is(log.pendingBytes, 0);
  t.ok((await readAll(log, chunks)).equals(data));
});
