/** Blocks in sectors: a part is as authentic as the whole. */
import test from 'brittle';
import type { CoreContext } from 'hypercore';
import { DamagedError } from '../../src/errors.js';
import { sealWith } from '../../src/log/aead.js';
import { createEncryptionProvider } from '../../src/log/encryption.js';
import {
  gatherSectors,
  openGathered,
  openSectors,
  openStretch,
  plainBytesOf,
  sealSectors,
  sector_bytes,
  sectoredBytes,
  sectorsWith,
} from '../../src/log/sectors.js';
import { randomBytes } from '../support/random-bytes.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';

const keys = { key: Buffer.alloc(32, 1), associatedData: Buffer.alloc(32, 2) };
const STRIDE = sector_bytes + 40;
const SIZES = [1, 2, sector_bytes - 1, sector_bytes, sector_bytes + 1, 3 * sector_bytes, 70_000];

function sealed(plain: Buffer, index = 5): Buffer {
  const block = Buffer.alloc(sectoredBytes(plain.length));
  sealSectors(keys, index, plain, block);
  return block;
}

test('sectors - what is sealed is opened, whole or gathered', (t) => {
  for (const bytes of SIZES) {
    const plain = randomBytes(bytes, bytes);
    const block = sealed(plain);
    t.is(plainBytesOf(block.length), bytes);
    t.alike(openSectors(keys, 5, block), plain);
    const memory = Buffer.alloc(block.length);
    const start = gatherSectors(block, memory) as number;
    t.ok(openGathered(keys, 5, memory));
    t.alike(memory.subarray(start), plain);
    t.is(openSectors(keys, 6, block), null, 'as another block of the log');
    t.is(openSectors({ ...keys, associatedData: Buffer.alloc(32) }, 5, block), null);
    t.unlike(sealed(plain), block, 'each time anew');
  }
});

test('sectors - any stretch is what the plaintext has there', (t) => {
  const random = new SeededRandom(seedOfRun());
  for (let i = 0; i < 300; i++) {
    const plain = random.bytes(1 + random.below(5 * sector_bytes));
    const block = sealed(plain, i);
    const from = random.below(plain.length);
    const to = from + 1 + random.below(plain.length - from);
    const stretch = sectorsWith(block.length, from, to);
    if (stretch === null) throw new Error('There is no stretch');
    const { offset, length, first } = stretch;
    t.ok(length <= to - from + 2 * STRIDE);
    const part = block.subarray(offset, offset + length);
    const opened = openStretch(keys, i, block.length, stretch, part);
    const start = from - first * sector_bytes;
    if (opened?.subarray(start, start + to - from).equals(plain.subarray(from, to)) !== true) {
      t.fail(`[${from}, ${to}) of ${plain.length}`);
    }
  }
});

test('sectors - there is no stretch where no block has one', (t) => {
  const bytes = sectoredBytes(20_000);
  for (const [from, to] of [
    [-1, 5],
    [5, 5],
    [6, 5],
    [0, 20_001],
    [20_000, 20_001],
  ] as const) {
    t.is(sectorsWith(bytes, from, to), null);
  }
  for (const impossible of [0, 1, 40, STRIDE + 1, STRIDE + 40]) {
    t.is(plainBytesOf(impossible), null);
    t.is(sectorsWith(impossible, 0, 1), null);
    t.is(openSectors(keys, 5, Buffer.alloc(impossible)), null);
    t.is(gatherSectors(Buffer.alloc(impossible), Buffer.alloc(impossible)), null);
    t.absent(openGathered(keys, 5, Buffer.alloc(impossible)));
  }
});

test('sectors - what was changed, moved or cut off is not authentic', (t) => {
  const plain = randomBytes(3 * sector_bytes, 1);
  const block = sealed(plain);
  const sectorOf = (from: Buffer, n: number): Buffer => from.subarray(n * STRIDE, (n + 1) * STRIDE);
  for (const at of [0, 30, 41, STRIDE, 2 * STRIDE + 100, block.length - 1]) {
    const changed = Buffer.from(block);
    changed[at] = (changed[at] as number) ^ 1;
    t.is(openSectors(keys, 5, changed), null, `byte ${at}`);
  }
  const [a, b, c] = [0, 1, 2].map((n) => sectorOf(block, n)) as [Buffer, Buffer, Buffer];
  t.is(openSectors(keys, 5, Buffer.concat([b, a, c])), null, 'two sectors changed places');
  t.is(openSectors(keys, 5, Buffer.concat([a, b])), null, 'the last one is gone');
  t.is(openSectors(keys, 5, Buffer.concat([a, b, c, c])), null);
  t.is(openSectors(keys, 5, Buffer.concat([a, b, sectorOf(sealed(plain, 6), 2)])), null);
  const stretch = sectorsWith(block.length, sector_bytes, sector_bytes + 10);
  if (stretch === null) throw new Error('There is no stretch');
  t.ok(openStretch(keys, 5, block.length, stretch, b));
  t.is(openStretch(keys, 5, block.length, stretch, a), null);
  t.is(openStretch(keys, 5, block.length - STRIDE, stretch, b), null, 'it is not the last one');
});

test('sectors - the encryption of a log opens both kinds, in any order', (t) => {
  const encryption = createEncryptionProvider(Buffer.alloc(32, 3));
  const core = { key: Buffer.alloc(32, 4) } as CoreContext;
  const own = encryption.sealingKeys(core);
  const plain = randomBytes(20_000, 1);
  const random = new SeededRandom(seedOfRun());
  for (let i = 0; i < 50; i++) {
    const isWhole = random.below(2) === 0;
    const block = Buffer.alloc(isWhole ? plain.length + 40 : sectoredBytes(plain.length));
    if (isWhole) sealWith(own, plain, block);
    else sealSectors(own, i, plain, block);
    const before = Buffer.from(block);
    t.alike(encryption.open(i, block, core, false), plain);
    t.alike(block, before, 'its memory is as it was');
    t.alike(encryption.open(i, block, core, true), plain);
    t.is(encryption.layoutOf(core), isWhole ? 'whole' : 'sectors');
    before[100] = (before[100] as number) ^ 1;
    t.exception(() => encryption.open(i, before, core, false), /wrong key or damaged block/);
  }
  t.exception(() => encryption.open(0, Buffer.alloc(39), core, true), DamagedError);
});
