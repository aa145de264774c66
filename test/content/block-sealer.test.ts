import { setImmediate } from 'node:timers/promises';
import test from 'brittle';
import type { CoreContext } from 'hypercore';
import crypto from 'hypercore-crypto';
import { BlockSealer, type Plaintext, SealSpace } from '../../src/content/block-sealer.js';
import { limits } from '../../src/limits.js';
import { blockPaddingBytes, openWith } from '../../src/log/aead.js';
import { createEncryptionProvider } from '../../src/log/encryption.js';
import { leafHash } from '../../src/log/leaf-hashes.js';
import { checksumOf, crc32InPlace } from '../../src/log/values/checksum.js';
import { randomBytes } from '../support/random-bytes.js';
import { countThreads } from './support/count-threads.js';

const encryption = createEncryptionProvider(Buffer.alloc(32, 1));
const core = { key: Buffer.alloc(32, 2) } as CoreContext;
const spaceBytes = 3 << 20;
/** For a thread that is to end soon. */
const REST_MS = 100;
/** Number of the first block in its log. */
const FIRST = 1000;

function plaintextsOf(blocks: Buffer[]): Plaintext[] {
  return blocks.map((block) => ({
    bytes: block.length,
    compress: false,
    copyTo: (target) => block.copy(target),
  }));
}

function opened(blocks: Buffer[]): Buffer[] {
  return blocks.map((block, i) => encryption.open(FIRST + i, block, core, false));
}

const large = [100_000, 1, 65_537, 500_000].map((bytes, i) => randomBytes(bytes, i));
const small = [10, 4000].map((bytes, i) => randomBytes(bytes, i));

async function untilReady(sealer: BlockSealer): Promise<void> {
  while (!sealer.isReady) await setImmediate();
}

test('block sealer: large batches in a thread, small ones at once, for the same result', async (t) => {
  const sealer = new BlockSealer(encryption.sealingKeys(core), 'sectors', undefined, 0);
  t.teardown(() => sealer.close());
  const space = new SealSpace(spaceBytes);
  t.alike(opened(await sealer.seal(space, plaintextsOf(large), FIRST)), large, 'while it starts');
  await untilReady(sealer);
  for (const plain of [large, small, [...large].reverse(), large]) {
    const sealed = await sealer.seal(space, plaintextsOf(plain), FIRST);
    t.alike(opened(sealed), plain);
    for (const block of sealed) {
      t.alike(crypto.data(block), leafHash(Buffer.from(block)));
      t.is(checksumOf(block), crc32InPlace(block));
    }
  }
});

test('block sealer: in one piece, as older drives have their blocks', async (t) => {
  const sealer = new BlockSealer(encryption.sealingKeys(core), 'whole', undefined, 0);
  t.teardown(() => sealer.close());
  const space = new SealSpace(spaceBytes);
  for (const where of ['here', 'in a thread']) {
    const sealed = await sealer.seal(space, plaintextsOf(large), FIRST);
    const lengths = large.map(({ length }) => length + blockPaddingBytes);
    t.alike(
      sealed.map(({ length }) => length),
      lengths,
      where,
    );
    t.alike(
      sealed.map((block) => openWith(encryption.sealingKeys(core), block)),
      large,
    );
    await untilReady(sealer);
  }
});

test('block sealer: many blocks that end with a short sector have room', async (t) => {
  const sealer = new BlockSealer(encryption.sealingKeys(core), 'sectors', undefined, 0);
  t.teardown(() => sealer.close());
  const blocks = Array.from({ length: limits.append_batch_blocks_max }, (_, i) =>
    randomBytes(8193, i),
  );
  const space = new SealSpace(blocks.length * 8193);
  t.alike(opened(await sealer.seal(space, plaintextsOf(blocks), FIRST)), blocks);
});

test('block sealer: two batches at once stay apart', async (t) => {
  const sealer = new BlockSealer(encryption.sealingKeys(core), 'sectors', undefined, 0);
  t.teardown(() => sealer.close());
  const batches = [large, [...large].reverse()];
  await untilReady(sealer);
  const sealed = await Promise.all(
    batches.map((plain) => sealer.seal(new SealSpace(spaceBytes), plaintextsOf(plain), FIRST)),
  );
  t.alike(sealed.map(opened), batches);
});

test('block sealer: its thread ends when nothing is asked of it, and another is started', async (t) => {
  const sealer = new BlockSealer(encryption.sealingKeys(core), 'sectors', undefined, 1, REST_MS);
  t.teardown(() => sealer.close());
  const space = new SealSpace(spaceBytes);
  for (let round = 0; round < 2; round++) {
    t.absent(sealer.isReady);
    t.alike(opened(await sealer.seal(space, plaintextsOf(large), FIRST)), large);
    await untilReady(sealer);
    sealer.noteIdle();
    const sealed = [1, 2, 3].map(() =>
      sealer.seal(new SealSpace(spaceBytes), plaintextsOf(large), FIRST),
    );
    t.ok(sealer.isReady, 'also after a pause');
    for (const blocks of await Promise.all(sealed)) t.alike(opened(blocks), large);
    while (sealer.isReady) await setImmediate();
  }
});

test('block sealer: its thread does not end while something is asked of it', async (t) => {
  const sealer = new BlockSealer(encryption.sealingKeys(core), 'sectors', undefined, 0, 1);
  t.teardown(() => sealer.close());
  // Starting takes much longer than a millisecond, after which it would end.
  await untilReady(sealer);
  t.pass('it answers');
});

test('block sealer: a thread that fails half-way through a batch is done without', async (t) => {
  const program = `
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ id, content: { memory, rooms } }) => {
      if (rooms.length === 0) {
        return parentPort.postMessage({ id, content: { lengths: [], checksums: [] } });
      }
      Buffer.from(memory).fill(7, 0, 100_000);
      throw new Error('broken');
    });`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const sealer = new BlockSealer(encryption.sealingKeys(core), 'sectors', url, 0);
  t.teardown(() => sealer.close());
  const space = new SealSpace(spaceBytes);
  await untilReady(sealer);
  t.ok(large.reduce((sum, block) => sum + block.length, 0) > limits.seal_thread_batch_bytes_min);
  t.alike(opened(await sealer.seal(space, plaintextsOf(large), FIRST)), large);
  t.absent(sealer.isReady);
  t.alike(opened(await sealer.seal(space, plaintextsOf(large), FIRST)), large, 'nor asked again');
});

test('block sealer: a thread is started when there is much to do', async (t) => {
  const bytes = large.reduce((sum, block) => sum + block.length, 0);
  const layout = 'sectors';
  const keys = encryption.sealingKeys(core);
  const sealer = new BlockSealer(keys, layout, undefined, 2 * bytes, REST_MS);
  t.teardown(() => sealer.close());
  const threads = countThreads(t);
  const startedByNow = (): Promise<number> => {
    void sealer.isReady;
    return threads();
  };
  const space = new SealSpace(spaceBytes);
  t.is(await startedByNow(), 0);
  await sealer.seal(space, plaintextsOf(large), FIRST);
  await sealer.seal(space, plaintextsOf(small), FIRST);
  t.is(await startedByNow(), 0);
  await sealer.seal(space, plaintextsOf(large), FIRST);
  t.is(await startedByNow(), 1);
  await untilReady(sealer);
  while (sealer.isReady) await setImmediate();
  await sealer.seal(space, plaintextsOf(large), FIRST);
  t.is(await startedByNow(), 1, 'counted anew');
  sealer.noteIdle();
  await sealer.seal(space, plaintextsOf(large), FIRST);
  t.is(await startedByNow(), 1, 'and once more after a pause');
});

test('block sealer: the memory of a space is given back, and can be used as before', async (t) => {
  const sealer = new BlockSealer(encryption.sealingKeys(core), 'sectors');
  const space = new SealSpace(16 << 20);
  const blocks = Array.from({ length: 16 }, (_, i) => randomBytes(900_000, 200 + i));
  const sealAll = async (): Promise<boolean> => {
    const sealed = opened(await sealer.seal(space, plaintextsOf(blocks), FIRST));
    return blocks.every((block, i) => block.equals(sealed[i] as Buffer));
  };
  t.ok(await sealAll());
  const before = process.memoryUsage.rss();
  space.releaseMemory();
  t.ok(before - process.memoryUsage.rss() > 16 << 20, 'of plaintexts and sealed blocks');
  t.ok(await sealAll());
});
