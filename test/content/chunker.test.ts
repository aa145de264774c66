import { createHash } from 'node:crypto';
import test from 'brittle';
import { Chunker } from '../../src/content/chunker.js';
import { randomBytes } from '../support/random-bytes.js';
import { parameters, secret } from './support/chunk-store.js';

/** Hashes of the chunks. */
function chunksOf(chunker: Chunker, data: Buffer): string[] {
  let start = 0;
  return chunker.boundaries([data], true).map((end) => {
    const hash = createHash('sha256').update(data.subarray(start, end)).digest('hex');
    start = end;
    return hash;
  });
}

function sizesOf(ends: number[]): number[] {
  return ends.map((end, i) => end - (ends[i - 1] ?? 0));
}

test('chunker: sizes are within bounds and about the average', (t) => {
  const chunker = new Chunker(parameters, secret);
  const data = randomBytes(32 << 20, 1);
  const ends = chunker.boundaries([data], true);
  const sizes = sizesOf(ends);
  t.is(ends.at(-1), data.length);
  t.ok(
    sizes.slice(0, -1).every((size) => size > parameters.minBytes && size <= parameters.maxBytes),
  );
  const average = data.length / sizes.length;
  t.ok(average > 48 << 10 && average < 96 << 10, `average ${average}`);
});

test('chunker: data without any boundary is cut at the maximum', (t) => {
  const chunker = new Chunker(parameters, secret);
  const sizes = sizesOf(chunker.boundaries([Buffer.alloc(1_000_000)], true));
  t.alike(sizes, [262_144, 262_144, 262_144, 213_568]);
});

test('chunker: it does not matter in which pieces the data lies', (t) => {
  const chunker = new Chunker(parameters, secret);
  const data = randomBytes(1 << 20, 11);
  const whole = chunker.boundaries([data], true);
  for (const size of [1000, 4096, 65_537, 300_000]) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < data.length; at += size) pieces.push(data.subarray(at, at + size));
    t.alike(chunker.boundaries(pieces, true), whole, `pieces of ${size}`);
  }
});

test('chunker: without `final`, only complete chunks, wherever the data is cut off', (t) => {
  const chunker = new Chunker(parameters, secret);
  const data = randomBytes(2 << 20, 2);
  const all = chunker.boundaries([data], true);
  for (const cut of [0, 1, 16_384, 16_385, 100_000, 262_143, 262_144, 300_001, 1_999_999]) {
    const some = chunker.boundaries([data.subarray(0, cut)], false);
    t.alike(
      some,
      all.filter((end) => end <= cut),
      `of ${cut} bytes`,
    );
  }
  t.alike(chunker.boundaries([Buffer.alloc(0)], true), []);
  t.alike(chunker.boundaries([Buffer.alloc(1)], true), [1]);
  t.alike(chunker.boundaries([Buffer.alloc(16_384)], false), []);
  t.alike(chunker.boundaries([Buffer.alloc(262_144)], false), [262_144]);
});

test('chunker: from any boundary on, the rest is cut the same', (t) => {
  const chunker = new Chunker(parameters, secret);
  const data = randomBytes(4 << 20, 3);
  const ends = chunker.boundaries([data], true);
  for (const [i, start] of ends.slice(0, 5).entries()) {
    const rest = chunker.boundaries([data.subarray(start)], true).map((end) => end + start);
    t.alike(rest, ends.slice(i + 1));
  }
});

test('chunker: an insertion in the middle changes a few chunks only', (t) => {
  const chunker = new Chunker(parameters, secret);
  const data = randomBytes(16 << 20, 4);
  const before = new Set(chunksOf(chunker, data));
  const middle = 8 << 20;
  const changed = Buffer.concat([
    data.subarray(0, middle),
    Buffer.from('!'),
    data.subarray(middle),
  ]);
  const fresh = chunksOf(chunker, changed).filter((hash) => !before.has(hash));
  t.ok(before.size > 150);
  t.ok(fresh.length >= 1 && fresh.length <= 4, `${fresh.length} new chunks`);
});

test('chunker: another secret cuts elsewhere', (t) => {
  const data = randomBytes(4 << 20, 5);
  const one = new Set(new Chunker(parameters, secret).boundaries([data], false));
  const other = new Chunker(parameters, Buffer.alloc(32, 8)).boundaries([data], false);
  t.ok(one.size > 20 && other.length > 20);
  t.ok(other.filter((end) => one.has(end)).length <= 2);
});

test('chunker: frozen vector of format 1', (t) => {
  const ends = new Chunker(parameters, secret).boundaries([randomBytes(1 << 20, 6)], true);
  t.alike(ends, FROZEN_ENDS);
});

test('chunker: parameters that make no sense are refused', async (t) => {
  for (const wrong of [
    { minBytes: 0 },
    { minBytes: 64 << 10 },
    { averageBytes: 60_000 },
    { maxBytes: 64 << 10 },
    { maxBytes: 1 << 20 },
    { minBytes: Number.NaN },
  ]) {
    await t.exception.all(
      () => new Chunker({ ...parameters, ...wrong }, secret),
      /Cannot cut chunks/,
    );
  }
  await t.exception.all(() => new Chunker(parameters, Buffer.alloc(31)), /secret is 31 bytes/);
});

const FROZEN_ENDS = [
  53527, 148113, 219309, 291958, 377491, 449862, 517775, 595077, 669530, 755423, 826197, 913163,
  1019354, 1047779, 1048576,
];
