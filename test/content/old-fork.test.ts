/** What is read while the log goes on under a new fork is not taken for what it has there now. */
import test, { type Assertions } from 'brittle';
import { BlockCache } from '../../src/content/block-cache.js';
import { BlockReader } from '../../src/content/block-reader.js';
import { InterruptedError } from '../../src/errors.js';
import type { LogEncryption } from '../../src/log/encryption.js';
import { LocalBlocks } from '../../src/log/local-blocks.js';
import { randomBytes } from '../support/random-bytes.js';
import { openChunkLog } from './support/chunk-store.js';

const BLOCKS = 8;
const BYTES = 60_000;

async function openReader(t: Assertions) {
  const { core, log } = await openChunkLog(t);
  for (let i = 0; i < BLOCKS; i++) log.put([randomBytes(BYTES, i)]);
  await log.drain();
  const encryption = core.encryption as unknown as LogEncryption;
  const reader = new BlockReader(core, encryption, 0, new BlockCache(), 1000);
  t.teardown(() => reader.close());
  return { core, reader };
}

/** What is read of the disk from now on is handed on once it is let go. */
function holdReads(t: Assertions): () => void {
  const { get } = LocalBlocks.prototype;
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const restore = (): void => {
    LocalBlocks.prototype.get = get;
  };
  t.teardown(restore);
  LocalBlocks.prototype.get = async function (block: number) {
    const stored = await get.call(this, block);
    await held;
    return stored;
  };
  return () => {
    restore();
    letGo();
  };
}

/** The log has other blocks from half of it on. */
async function goOn(core: Awaited<ReturnType<typeof openReader>>['core']) {
  await core.truncate(BLOCKS / 2, core.fork + 1);
  const blocks = [];
  for (let i = BLOCKS / 2; i < BLOCKS; i++) {
    const block = Buffer.concat([Buffer.of(1), randomBytes(BYTES, 100 + i)]);
    blocks.push(block);
    await core.append(block);
  }
  return blocks;
}

for (const how of ['fetch', 'preload'] as const) {
  test(`old fork: what was read by a ${how} when the log was cut is for nobody else`, async (t) => {
    const { core, reader } = await openReader(t);
    const numbers = Array.from({ length: BLOCKS }, (_, i) => i);
    const letGo = holdReads(t);
    const old = numbers.map((block) => reader[how](block).catch(() => null));
    await core.get(0, { raw: true });
    const now = await goOn(core);
    setImmediate(letGo);
    const first = await Promise.all(numbers.slice(BLOCKS / 2).map((block) => reader.fetch(block)));
    await Promise.all(old);
    const later = await Promise.all(numbers.slice(BLOCKS / 2).map((block) => reader.fetch(block)));
    t.alike(first, now);
    t.alike(later, now);
  });
}

test('old fork: a wait for a block that the log has not yet ends as before, also after a cut', async (t) => {
  const { core, reader } = await openReader(t);
  const signal = new AbortController();
  const left = reader.fetch(BLOCKS, { signal: signal.signal, deadlineMs: 600_000 });
  const kept = reader.fetch(BLOCKS + 1, { deadlineMs: 600_000 });
  const ended = t.exception(kept, InterruptedError);
  while (core.waits < 2) await new Promise((resolve) => setImmediate(resolve));
  await core.truncate(BLOCKS / 2, core.fork + 1);
  signal.abort();
  await t.exception(left, InterruptedError);
  reader.close();
  await ended;
});
