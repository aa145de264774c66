/** Single blocks of a fast disk are read in place, and what is read so is no different. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'brittle';
import { packedChunkBytesMax } from '../../src/content/block-format.js';
import type { ChunkReference } from '../../src/content/content-store.js';
import { DamagedError } from '../../src/errors.js';
import { limits } from '../../src/limits.js';
import { removeBlocks } from '../../src/log/remove-blocks.js';
import { randomBytes } from '../support/random-bytes.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import {
  failureOf,
  type OpenChunkLog,
  openChunkLog,
  putAll,
  readAll,
} from './support/chunk-store.js';

const KIB = 1 << 10;

/** A log that was just opened, in which each read is tried until it comes in place. */
async function openAgain(t: Parameters<typeof openChunkLog>[0], seed: number, bytes = 4 << 20) {
  const directory = temporaryFolder(t, 'in-place');
  const first = await openChunkLog(t, { directory });
  const data = randomBytes(bytes, seed);
  const chunks = putAll(first.log, data);
  await first.log.drain();
  await first.close();
  return { directory, data, chunks, opened: await openChunkLog(t, { directory }) };
}

/** After a slow read the disk is left to others for a while. */
const TRY_MS_MAX = 100_000;
const PAUSE_MS = 5;

/** Bytes that came without a wait, once they do and `isIt` holds; undefined when they never do. */
async function readNow(
  { log }: OpenChunkLog,
  chunk: ChunkReference,
  offset: number,
  length: number,
  isIt = (): boolean => true,
): Promise<Buffer | undefined> {
  const giveUpAt = performance.now() + TRY_MS_MAX;
  while (performance.now() < giveUpAt) {
    const part = log.read(chunk, offset, length);
    if (!(part instanceof Promise) && isIt()) return Buffer.from(part);
    await part;
    log.releaseMemory();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return undefined;
}

test('in place - single blocks come at once, and are what was written', async (t) => {
  const { data, chunks, opened } = await openAgain(t, 1);
  let start = 0;
  for (const chunk of chunks) {
    opened.log.releaseMemory();
    const bytes = await readNow(opened, chunk, 10, 4 * KIB);
    t.ok(bytes?.equals(data.subarray(start + 10, start + 10 + 4 * KIB)));
    start += chunk.length;
  }
});

test('in place - a part is read without the rest, until enough was', async (t) => {
  const { data, chunks, opened } = await openAgain(t, 5);
  const index = chunks.findIndex(({ length }) => length > 60 * KIB);
  const chunk = chunks[index] as ChunkReference;
  const start = chunks.slice(0, index).reduce((sum, { length }) => sum + length, 0);
  t.ok(await readNow(opened, chunk, 0, 32 * KIB), 'now it is known where it lies');
  opened.log.releaseMemory();
  const isNothingKept = () => opened.log.statistics().cachedBytes === 0;
  for (const [i, from] of [0, 8 * KIB - 10, 50 * KIB].entries()) {
    const bytes = await readNow(opened, chunk, from, 4 * KIB, isNothingKept);
    t.alike(bytes, data.subarray(start + from, start + from + 4 * KIB));
    t.is(opened.log.statistics().cachedBytes, 0, `part ${i}`);
  }
  t.ok(await readNow(opened, chunk, 0, 4 * KIB));
  t.ok(opened.log.statistics().cachedBytes > chunk.length, 'then all of it');
});

test('in place - of more blocks than the cache holds, each is read in parts for ever', {
  timeout: 400_000,
}, async (t) => {
  const { chunks: all, opened } = await openAgain(t, 9, 36 << 20);
  const chunks = all.filter(({ length }) => length >= packedChunkBytesMax);
  t.ok(chunks.length > limits.part_read_blocks_max);
  const isNothingKept = () => opened.log.statistics().cachedBytes === 0;
  // Where they lie is known from whole blocks.
  for (const chunk of chunks) await opened.log.read(chunk, 0, chunk.length);
  opened.log.releaseMemory();
  for (let round = 0; round <= limits.part_reads_max; round++) {
    for (const [i, chunk] of chunks.entries()) {
      if (await readNow(opened, chunk, 0, 4 * KIB, isNothingKept)) continue;
      t.fail(`block ${i} in round ${round}`);
      return;
    }
  }
  t.pass();
});

test('in place - of small chunks that share a block all is read', async (t) => {
  const directory = temporaryFolder(t, 'in-place');
  const first = await openChunkLog(t, { directory });
  const chunks = [1, 2, 3].map((seed) => first.log.put([randomBytes(5 * KIB, seed)]));
  await first.close();
  const opened = await openChunkLog(t, { directory });
  t.alike(
    await readNow(opened, chunks[1] as ChunkReference, 10, KIB),
    randomBytes(5 * KIB, 2).subarray(10, 10 + KIB),
  );
  t.ok(opened.log.statistics().cachedBytes > 15 * KIB);
});

test('in place - a log whose blocks are in one piece is read as well', async (t) => {
  const directory = temporaryFolder(t, 'in-place');
  const first = await openChunkLog(t, { directory, layout: 'whole' });
  const data = randomBytes(4 << 20, 6);
  const chunks = putAll(first.log, data);
  await first.close();
  const opened = await openChunkLog(t, { directory });
  const [chunk] = chunks as [ChunkReference];
  t.alike(await readNow(opened, chunk, 10, KIB), data.subarray(10, 10 + KIB));
  t.alike(await readAll(opened.log, chunks), data);
});

test('in place - pieces of one read do not lie where another is put', async (t) => {
  const { directory, data, chunks, opened } = await openAgain(t, 7);
  await opened.close();
  // Room for few blocks, so that most reads put one in the place of another.
  const { log } = await openChunkLog(t, { directory, cacheBytesMax: 600 * KIB });
  const random = new SeededRandom(seedOfRun());
  const starts = chunks.map((_, i) => chunks.slice(0, i).reduce((sum, one) => sum + one.length, 0));
  let compared = 0;
  const giveUpAt = performance.now() + TRY_MS_MAX;
  for (let i = 0; i < 2000 || (compared <= 3000 && performance.now() < giveUpAt); i++) {
    const picked = [0, 1, 2].map(() => random.below(chunks.length));
    const pieces = picked.map((n) => {
      const chunk = chunks[n] as ChunkReference;
      return log.read(chunk, 0, chunk.length);
    });
    for (const [j, n] of picked.entries()) {
      const piece = pieces[j];
      if (!Buffer.isBuffer(piece)) continue;
      compared++;
      const start = starts[n] as number;
      if (!piece.equals(data.subarray(start, start + piece.length))) t.fail(`${i}, chunk ${n}`);
    }
    await Promise.all(pieces);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.ok(compared > 3000, `${compared} at once`);
});

test('in place - a damaged block is an error, as ever', async (t) => {
  const { directory, chunks, opened } = await openAgain(t, 2);
  const chunk = chunks[5] as ChunkReference;
  t.ok(await readNow(opened, chunk, 0, KIB));
  opened.log.releaseMemory();
  const folder = join(directory, 'core');
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.values'))) {
    const bytes = readFileSync(join(folder, name));
    writeFileSync(
      join(folder, name),
      bytes.map((byte) => byte ^ 1),
    );
  }
  t.ok((await failureOf(() => opened.log.read(chunk, 0, KIB))) instanceof DamagedError);
});

test('in place - a removed block is not there any more', async (t) => {
  const { chunks, opened } = await openAgain(t, 3);
  const chunk = chunks[5] as ChunkReference;
  t.ok(await readNow(opened, chunk, 0, KIB));
  opened.log.releaseMemory();
  await removeBlocks(opened.core, [[chunk.block, chunk.block + 1]]);
  t.ok((await failureOf(() => opened.log.read(chunk, 0, KIB, { deadlineMs: 50 }))) !== undefined);
});

test('in place - while another block is read, one waits for the pool', async (t) => {
  const { chunks, opened } = await openAgain(t, 4);
  const [one, other] = [chunks[5], chunks[9]] as [ChunkReference, ChunkReference];
  t.ok(await readNow(opened, one, 0, KIB));
  t.ok(await readNow(opened, other, 0, KIB));
  opened.log.releaseMemory();
  opened.log.prefetch([one]);
  await new Promise((resolve) => process.nextTick(resolve));
  const isReading = opened.log.read(one, 0, KIB) instanceof Promise;
  t.ok(isReading);
  t.ok(opened.log.read(other, 0, KIB) instanceof Promise);
});
