/** Chunks that get smaller are stored compressed, and every way to read them gives what was written. */
import test from 'brittle';
import { looksCompressible } from '../../src/content/compressible.js';
import type { ChunkReference } from '../../src/content/content-store.js';
import { compress, decompress, frameBytesMax, hasZstd, rawFrame } from '../../src/content/zstd.js';
import { DamagedError } from '../../src/errors.js';
import { plainBytesOf } from '../../src/log/sectors.js';
import { randomBytes } from '../support/random-bytes.js';
import { SeededRandom } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { failureOf, openChunkLog, readAll } from './support/chunk-store.js';

const WORDS = 'const return import export await offset length buffer read write'.split(' ');

/** Bytes like a program's source. */
function text(bytes: number, seed: number): Buffer {
  const random = new SeededRandom(seed);
  let written = '';
  while (written.length < bytes) written += `${random.pick(WORDS)}${random.below(1000)} `;
  return Buffer.from(written.slice(0, bytes));
}

test('zstd: what comes out is what went in', (t) => {
  t.ok(hasZstd());
  for (const bytes of [1, 100, 5000, 131_072, 131_073, 524_288]) {
    for (const data of [text(bytes, bytes), randomBytes(bytes, bytes)]) {
      const frame = Buffer.from(compress(data));
      t.ok(frame.length <= bytes + frameBytesMax, `${bytes} bytes fit their room`);
      t.ok(decompress(frame, bytes).equals(data));
      t.ok(decompress(rawFrame(data), bytes).equals(data), 'without compressing');
    }
  }
  t.ok(compress(text(65_536, 1)).length < 30_000);
});

test('zstd: a frame that holds another length, or is broken, is refused', async (t) => {
  const bomb = Buffer.from(compress(Buffer.alloc(1 << 20)));
  t.ok(bomb.length < 1000);
  const good = Buffer.from(compress(text(1000, 2)));
  for (const [frame, length] of [
    [bomb, 1000],
    [bomb, (1 << 20) - 1],
    [good, 999],
    [good, 1001],
    [good.subarray(0, -1), 1000],
    [Buffer.alloc(50), 1000],
    [Buffer.alloc(0), 1000],
    [randomBytes(500, 3), 1000],
    // Two frames are not one.
    [Buffer.concat([good, good]), 1000],
  ] as const) {
    const failure = await failureOf(() => decompress(frame, length));
    t.ok(failure instanceof DamagedError, `${frame.length} bytes for ${length}`);
  }
});

test('compressible: a sample tells text from what is compressed already', (t) => {
  t.ok(looksCompressible([text(65_536, 4)]));
  t.ok(looksCompressible([Buffer.alloc(300)]));
  t.absent(looksCompressible([randomBytes(65_536, 4)]));
  t.absent(looksCompressible([Buffer.from(compress(text(200_000, 5)))]));
  const data = Buffer.concat([randomBytes(30_000, 6), text(40_000, 6)]);
  const pieces = [data.subarray(0, 7), data.subarray(7, 50_001), data.subarray(50_001)];
  t.is(looksCompressible(pieces), looksCompressible([data]), 'the same in pieces');
});

/** Chunks of every kind: below and above the size of those that share blocks, that shrink and that do not. */
const inputs = [
  ...[100, 300, 5000, 32_767, 32_768, 65_536, 200_000].map((bytes) => text(bytes, bytes)),
  ...[100, 5000, 32_767, 40_000, 200_000].map((bytes) => randomBytes(bytes, bytes)),
];

test('compressed chunks: read while pending, from memory, and after a restart', async (t) => {
  const directory = temporaryFolder(t, 'chunk-log');
  const first = await openChunkLog(t, { directory, compress: true });
  const all = Buffer.concat(inputs);
  const chunks = inputs.map((data) => first.log.put([data.subarray(0, 50), data.subarray(50)]));
  t.alike(
    chunks.map(({ compressedBytes }) => compressedBytes !== undefined),
    [false, true, true, true, true, true, true, false, false, false, false, false],
  );
  t.is(chunks[5]?.compressedBytes, 0, 'a chunk with its own block is compressed later');
  t.ok((await readAll(first.log, chunks)).equals(all), 'pending');
  await first.log.drain();
  t.ok((await readAll(first.log, chunks)).equals(all), 'from memory');
  const { storedBytes } = first.log.statistics();
  t.ok(storedBytes < all.length * 0.75, `${storedBytes} of ${all.length} bytes`);
  let logBytes = 0;
  for (let block = 0; block < first.core.length; block++) {
    const sealed = (await first.core.get(block, { raw: true })) as Buffer;
    logBytes += (plainBytesOf(sealed.length) as number) - 1;
  }
  t.is(logBytes, storedBytes, 'is what the log has');
  await first.close();

  const second = await openChunkLog(t, { directory });
  t.ok((await readAll(second.log, chunks)).equals(all), 'from the store');
  t.ok((await readAll(second.log, chunks)).equals(all), 'from memory again');
  const large = chunks[6] as ChunkReference;
  t.ok(Buffer.isBuffer(second.log.read(large, 10, 10)), 'a part is at hand');
  t.alike(await second.log.read(large, 70_000, 999), inputs[6]?.subarray(70_000, 70_999));
  t.alike(second.log.put([inputs[6] as Buffer]).compressedBytes, undefined, 'as it was opened');
});

test('compressed chunks: many at once go through the sealing thread', async (t) => {
  const { log, core } = await openChunkLog(t, { compress: true });
  const parts = Array.from({ length: 60 }, (_, i) =>
    i % 3 === 0 ? randomBytes(100_000, i) : text(100_000, i),
  );
  const chunks = parts.map((data) => log.put([data]));
  await log.drain();
  log.releaseMemory();
  t.ok((await readAll(log, chunks)).equals(Buffer.concat(parts)));
  t.ok(core.byteLength < 4_000_000, `${core.byteLength} bytes`);
});

test('compressed chunks: found again after a restart', async (t) => {
  const directory = temporaryFolder(t, 'chunk-log');
  const first = await openChunkLog(t, { directory, compress: true });
  const chunks = inputs.map((data) => first.log.put([data]));
  await first.log.drain();
  const { length } = first.core;
  await first.close();
  const second = await openChunkLog(t, { directory, compress: true });
  for (const chunk of chunks) second.log.learn(chunk);
  t.alike(
    inputs.map((data) => second.log.put([data])),
    chunks,
  );
  await second.log.drain();
  t.is(second.core.length, length, 'nothing was stored');
});

test('compressed chunks: references that are none are damage', async (t) => {
  const { log } = await openChunkLog(t, { compress: true });
  const small = log.put([text(5000, 1)]);
  const large = log.put([text(65_536, 2)]);
  const plain = log.put([randomBytes(50_000, 3)]);
  await log.drain();
  const compressedBytes = small.compressedBytes as number;
  const wrong: ChunkReference[] = [
    { ...small, length: 4999 },
    { ...small, length: 5001 },
    { ...small, compressedBytes: compressedBytes - 1 },
    { ...small, compressedBytes: 1 << 19 },
    { ...small, compressedBytes: 2 ** 40 },
    { ...small, compressedBytes: -1 },
    { ...small, compressedBytes: 0.5 },
    { ...small, offset: small.offset + 1 },
    { ...small, offset: 0 },
    { ...large, length: 65_535 },
    { ...large, length: 1 << 21 },
    { ...large, offset: 1 << 19 },
    { ...plain, compressedBytes: 0 },
    { ...plain, compressedBytes: 100 },
  ];
  for (let round = 0; round < 2; round++) {
    for (const chunk of wrong) {
      const failure = await failureOf(() => log.read(chunk, 0, 10));
      t.ok(failure instanceof DamagedError, JSON.stringify({ ...chunk, hash: '' }));
    }
    // Now with the decompressed chunk at hand.
    await log.read(large, 0, 10);
  }
});
