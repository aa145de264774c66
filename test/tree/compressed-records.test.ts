/** Records of compressed chunks, and of the drive's settings. */
import test from 'brittle';
import { DamagedError } from '../../src/errors.js';
import { decodeSegment, type ExtentRecord, encodeSegment } from '../../src/tree/segment-record.js';
import { decodeSettings, encodeSettings } from '../../src/tree/settings-record.js';

const chunk = { writer: 1, block: 300, offset: 1, length: 5000, hash: Buffer.alloc(16, 7) };
const plain: ExtentRecord[] = [
  { start: 0, length: 5000, chunk, skip: 0 },
  { start: 6000, length: 10, chunk, skip: 30 },
];
const mixed: ExtentRecord[] = [
  ...plain,
  { start: 7000, length: 5000, chunk: { ...chunk, compressedBytes: 900 }, skip: 0 },
  { start: 20_000, length: 10, chunk: { ...chunk, compressedBytes: 0 }, skip: 30 },
  { start: 30_000, length: 10, chunk: null, skip: 0 },
];

test('segment record: compressed and other chunks beside each other', (t) => {
  t.is(encodeSegment(plain)[0], 1, 'as before where none is compressed');
  t.alike(decodeSegment(5, 0, encodeSegment(plain)), plain);
  const bytes = encodeSegment(mixed);
  t.is(bytes[0], 2);
  t.alike(decodeSegment(5, 0, bytes), mixed);
});

test('segment record: broken ones are refused', (t) => {
  const asFirst = encodeSegment(mixed);
  asFirst[0] = 1;
  const unknownKind = encodeSegment([mixed[2] as ExtentRecord]);
  const kindAt = 1 + 1 + 3;
  t.is(unknownKind[kindAt], 3);
  unknownKind[kindAt] = 5;
  const tooLong = encodeSegment([
    { start: 0, length: 10, chunk: { ...chunk, compressedBytes: 2 ** 20 + 1 }, skip: 0 },
  ]);
  for (const bytes of [asFirst, unknownKind, tooLong, encodeSegment(mixed).subarray(0, -1)]) {
    t.exception(() => decodeSegment(5, 0, bytes), DamagedError);
  }
});

test('settings record', (t) => {
  for (const compression of ['none', 'zstd'] as const) {
    t.alike(decodeSettings(encodeSettings({ compression })), { compression });
  }
  for (const bytes of [[], [1], [1, 2], [2, 0], [1, 0, 0]]) {
    t.exception(() => decodeSettings(Buffer.from(bytes)), DamagedError);
  }
});
