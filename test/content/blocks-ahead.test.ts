/** What is read ahead of a program by a thread of its own. */
import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import { BlockCache } from '../../src/content/block-cache.js';
import { BlocksAhead } from '../../src/content/blocks-ahead.js';
import type { ChunkReference } from '../../src/content/content-store.js';
import type { LogEncryption } from '../../src/log/encryption.js';
import { LocalBlocks } from '../../src/log/local-blocks.js';
import type { BlockLayout } from '../../src/log/sectors.js';
import { VALUES } from '../../src/log/values/value-files.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openChunkLog } from './support/chunk-store.js';

const CHUNKS = 40;

/** A log of large chunks, and who reads ahead in it. */
async function openAhead(t: Assertions, layout: BlockLayout) {
  const directory = temporaryFolder(t, 'ahead');
  const { core, log } = await openChunkLog(t, { directory, layout });
  const data = Array.from({ length: CHUNKS }, (_, i) => randomBytes(50_000 + i, i));
  const chunks = data.map((bytes) => log.put([bytes]));
  await log.drain();
  const cache = new BlockCache();
  const encryption = core.encryption as unknown as LogEncryption;
  const ahead = new BlocksAhead(core, new LocalBlocks(core, 16), encryption, cache, 0, 0);
  t.teardown(() => ahead.close());
  const isReady = async () => {
    // How blocks are sealed is known once one was opened.
    await log.read(chunks[1] as ChunkReference, 0, 1);
    while ((await ahead.read((chunks[0] as ChunkReference).block)) === null) await setImmediate();
  };
  return { directory, core, data, chunks, cache, ahead, isReady };
}

const contentOf = (block: Buffer | null, { offset, length }: ChunkReference) =>
  block?.subarray(offset, offset + length);

for (const layout of ['whole', 'sectors'] as const) {
  test(`blocks ahead: blocks sealed '${layout}' are read into the cache`, async (t) => {
    const { data, chunks, cache, ahead, isReady } = await openAhead(t, layout);
    t.is(await ahead.read((chunks[0] as ChunkReference).block), null, 'its thread starts');
    await isReady();
    const blocks = await Promise.all(chunks.map(({ block }) => ahead.read(block)));
    for (const [i, chunk] of chunks.entries()) {
      const isSame = contentOf(blocks[i] ?? null, chunk)?.equals(data[i] as Buffer);
      const isCached = contentOf(cache.get(chunk.block) ?? null, chunk)?.equals(data[i] as Buffer);
      if (isSame !== true || isCached !== true) t.fail(`block ${chunk.block}`);
    }
    t.is(await ahead.read(CHUNKS + 10), null, 'there is none');
    ahead.close();
    t.is(await ahead.read((chunks[0] as ChunkReference).block), null, 'closed');
  });
}

test('blocks ahead: what is damaged is left to who reads it in the common way', async (t) => {
  const { directory, data, chunks, cache, ahead, isReady } = await openAhead(t, 'sectors');
  await isReady();
  const [name] = (await readdir(path.join(directory, VALUES))).filter((file) => /^\d/.test(file));
  const handle = await open(path.join(directory, VALUES, name as string), 'r+');
  const damaged = Math.floor(data.length / 2);
  const { size } = await handle.stat();
  await handle.write(Buffer.alloc(100), 0, 100, Math.floor(size / 2));
  await handle.close();
  const blocks = await Promise.all(chunks.map(({ block }) => ahead.read(block)));
  const bad = blocks.flatMap((block, i) => (block === null ? [i] : []));
  t.is(bad.length, 1);
  t.ok(Math.abs((bad[0] as number) - damaged) < 3);
  t.absent(cache.has((chunks[bad[0] as number] as ChunkReference).block));
});
