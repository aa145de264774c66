import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import test from 'brittle';
import { BlockCache } from '../../src/content/block-cache.js';
import { ChunkIndex } from '../../src/content/chunk-index.js';
import { BlockSet } from '../../src/log/block-set.js';
import { alignment_bytes } from '../../src/log/direct-io.js';
import { SeededRandom } from '../support/seeded-random.js';

function hashOf(i: number): Buffer {
  return createHash('sha256').update(String(i)).digest().subarray(0, 16);
}

function placeOf(i: number) {
  return { writer: i % 3, block: i * 7, offset: 1 + (i % 1000), length: 1 + (i % 50_000) };
}

test('chunk index: finds what was set, through growth', (t) => {
  const index = new ChunkIndex(1 << 20);
  for (let i = 0; i < 50_000; i++) index.set(hashOf(i), placeOf(i));
  let found = 0;
  for (let i = 0; i < 50_000; i++) if (index.get(hashOf(i))?.block === i * 7) found++;
  t.is(found, 50_000);
  t.is(index.size, 50_000);
  t.alike(index.get(hashOf(123)), placeOf(123));
  t.is(index.get(hashOf(50_001)), undefined);
});

test('chunk index: a hash that differs in its last byte is another', (t) => {
  const index = new ChunkIndex();
  const hash = hashOf(1);
  index.set(hash, placeOf(1));
  for (let at = 0; at < 16; at++) {
    const other = Buffer.from(hash);
    other[at] = other[at]! ^ 0x80;
    t.is(index.get(other), undefined);
  }
  index.set(hash, placeOf(2));
  t.alike(index.get(hash), placeOf(2), 'set again, it is replaced');
  t.is(index.size, 1);
});

test('chunk index: at its limit new chunks take the place of others', (t) => {
  const index = new ChunkIndex(1000);
  for (let i = 0; i < 20_000; i++) index.set(hashOf(i), placeOf(i));
  t.is(index.size, 1000);
  t.alike(index.get(hashOf(19_999)), placeOf(19_999), 'the newest is there');
  let found = 0;
  for (let i = 0; i < 20_000; i++) if (index.get(hashOf(i)) !== undefined) found++;
  t.is(found, 1000);
});

test('chunk index: forgets the chunks of a range of blocks', (t) => {
  const index = new ChunkIndex();
  for (let i = 0; i < 100; i++)
    index.set(hashOf(i), { writer: i % 2, block: i, offset: 1, length: 5 });
  const garbage = new BlockSet();
  garbage.addRange(10, 20);
  index.forget(0, garbage);
  const gone = Array.from({ length: 100 }, (_, i) => i).filter((i) => !index.get(hashOf(i)));
  t.alike(gone, [10, 12, 14, 16, 18]);
  t.is(index.size, 95);
});

test('chunk index: blocks beyond 32 bits are not remembered wrongly', (t) => {
  const index = new ChunkIndex();
  index.set(hashOf(1), { writer: 0, block: 2 ** 32 + 5, offset: 1, length: 5 });
  t.is(index.get(hashOf(1)), undefined);
});

test('block cache: holds so many bytes, the oldest go', (t) => {
  const cache = new BlockCache(100);
  for (let i = 0; i < 4; i++) cache.set(i, Buffer.alloc(25, i));
  t.is(cache.bytes, 100);
  cache.set(4, Buffer.alloc(30, 4));
  const kept = (): number[] => [...Array(10).keys()].filter((key) => cache.has(key));
  t.alike(kept(), [2, 3, 4], 'the first two made room');
  cache.set(4, Buffer.alloc(10, 5));
  t.alike(kept(), [2, 3, 4], 'replaced, not added');
  t.is(cache.bytes, 60);
  t.alike(cache.get(4), Buffer.alloc(10, 5));
  cache.set(5, Buffer.alloc(101));
  t.absent(cache.has(5), 'larger than the cache');
  cache.clear();
  t.is(cache.bytes, 0);
  t.is(cache.get(4), undefined);
});

test('block cache: what it holds is what was put, whatever the sizes and the order', async (t) => {
  const cache = new BlockCache(1000);
  const put = new Map<number, Buffer>();
  const random = new SeededRandom(7);
  for (let step = 0; step < 20_000; step++) {
    const key = random.below(40);
    if (random.below(10) === 0) cache.delete(key);
    else {
      const block = Buffer.alloc(1 + random.below(300), step);
      cache.set(key, block);
      put.set(key, block);
      if (!cache.has(key)) t.fail('the newest block is there');
    }
    let bytes = 0;
    for (const [held, block] of put) {
      const found = cache.get(held);
      if (found === undefined) continue;
      bytes += found.length;
      if (!found.equals(block)) t.fail(`block ${held} after step ${step}`);
    }
    if (bytes !== cache.bytes || bytes > 1000) t.fail(`${bytes} bytes after step ${step}`);
    // What was looked at is not put over before.
    await setImmediate();
  }
  t.pass();
});

test('block cache: gives its memory back, but for what is being written to or looked at', async (t) => {
  const bytes = 1 << 20;
  const cache = new BlockCache(4 * bytes);
  cache.set(1, Buffer.alloc(bytes, 1));
  const before = cache.get(1);
  await setImmediate();
  cache.releaseMemory();
  t.is(cache.get(1), undefined);
  t.is(cache.bytes, 0);
  t.ok(
    before?.subarray(alignment_bytes, -alignment_bytes).every((byte) => byte === 0),
    'it went',
  );
  cache.set(2, Buffer.alloc(bytes, 2));
  const lent = cache.get(2);
  t.alike(lent, Buffer.alloc(bytes, 2));
  cache.releaseMemory();
  t.alike(lent, Buffer.alloc(bytes, 2), 'in this turn it stays');
  await setImmediate();
  const reserved = cache.reserve(3, bytes);
  reserved?.memory.fill(3);
  cache.releaseMemory();
  t.alike(reserved?.memory, Buffer.alloc(bytes, 3), 'a thread may be at work in it');
  reserved?.settle(0);
  t.is(cache.get(3), undefined);
  cache.set(4, Buffer.alloc(bytes, 4));
  t.alike(cache.get(4), Buffer.alloc(bytes, 4));
});
