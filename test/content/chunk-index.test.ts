import { createHash } from 'node:crypto';
import test from 'brittle';
import { BlockCache } from '../../src/content/block-cache.js';
import { ChunkIndex } from '../../src/content/chunk-index.js';

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
  index.forget(0, 10, 20);
  const gone = Array.from({ length: 100 }, (_, i) => i).filter((i) => !index.get(hashOf(i)));
  t.alike(gone, [10, 12, 14, 16, 18]);
  t.is(index.size, 95);
});

test('chunk index: blocks beyond 32 bits are not remembered wrongly', (t) => {
  const index = new ChunkIndex();
  index.set(hashOf(1), { writer: 0, block: 2 ** 32 + 5, offset: 1, length: 5 });
  t.is(index.get(hashOf(1)), undefined);
});

test('block cache: holds so many bytes, the least recently used go', (t) => {
  const cache = new BlockCache(100);
  for (let i = 0; i < 4; i++) cache.set(i, Buffer.alloc(25, i));
  cache.get(0);
  cache.set(4, Buffer.alloc(30));
  t.alike(
    [0, 1, 2, 3, 4].filter((key) => cache.has(key)),
    [0, 3, 4],
  );
  t.is(cache.bytes, 80);
  cache.set(4, Buffer.alloc(10));
  t.is(cache.bytes, 60, 'replaced, not added');
  cache.set(5, Buffer.alloc(101));
  t.absent(cache.has(5), 'larger than the cache');
  t.is(cache.bytes, 60);
  cache.clear();
  t.is(cache.bytes, 0);
});
