/** Entries of the sync journal, and which of them continue a commit. */
import test from 'brittle';
import { continuationOf } from '../../src/drive/replay-journal.js';
import { DamagedError } from '../../src/errors.js';
import { decodeSyncEntry, encodeSyncEntry, type SyncEntry } from '../../src/fs/sync-entry.js';
import { commitKey } from '../../src/tree/keys.js';

const base = { version: 7, timeMs: 1_790_000_000_000, treeLength: 40 };
const commit = { key: commitKey, value: Buffer.from('commit') };

function entry(sequence: number, more: Partial<SyncEntry> = {}): SyncEntry {
  return { base, sequence, changes: [commit], puts: [], forgotten: [], writes: [], ...more };
}

const full = entry(3, {
  changes: [
    commit,
    { key: Buffer.from('gone'), value: null },
    { key: Buffer.of(1), value: Buffer.alloc(0) },
  ],
  puts: [
    { block: 9, offset: 1, compress: false, data: Buffer.from('chunk') },
    { block: 10, offset: 1, compress: true, data: Buffer.alloc(70_000, 1) },
  ],
});

test('sync entry: comes back as it was', (t) => {
  t.alike(decodeSyncEntry(encodeSyncEntry(full)), full);
  t.alike(decodeSyncEntry(encodeSyncEntry(entry(0, { changes: [] }))), entry(0, { changes: [] }));
  const written = entry(1, {
    forgotten: [3, 2 ** 44 + 1],
    writes: [
      { ino: 2, offset: 0, data: Buffer.alloc(70_000, 2) },
      { ino: 2 ** 44 + 1, offset: 2 ** 50 - 3, data: Buffer.from('end') },
    ],
  });
  t.alike(decodeSyncEntry(encodeSyncEntry(written)), written);
  t.is(encodeSyncEntry(full)[0], 1, 'an older program knows one without written data');
  t.is(encodeSyncEntry(written)[0], 2);
});

/** As the programs wrote them that knew this version first: what is here is never changed. */
const FROZEN: [hex: string, SyncEntry][] = [
  [
    '0107ff006c50c4a001000028030201010106636f6d6d697404676f6e650002090100056368756e6bfd2c010101046d6f7265',
    entry(3, {
      changes: [commit, { key: Buffer.from('gone'), value: null }],
      puts: [
        { block: 9, offset: 1, compress: false, data: Buffer.from('chunk') },
        { block: 300, offset: 1, compress: true, data: Buffer.from('more') },
      ],
    }),
  ],
  [
    '0207ff006c50c4a001000028040201010106636f6d6d697404676f6e65000001fe701101000105ff0000000002000000077772697474656e',
    entry(4, {
      changes: [commit, { key: Buffer.from('gone'), value: null }],
      forgotten: [70_000],
      writes: [{ ino: 5, offset: 2 ** 33, data: Buffer.from('written') }],
    }),
  ],
];

test('sync entry: those of each version are read, and written, as ever', (t) => {
  for (const [hex, written] of FROZEN) {
    t.alike(decodeSyncEntry(Buffer.from(hex, 'hex')), written);
    t.is(encodeSyncEntry(written).toString('hex'), hex);
  }
});

test('sync entry: what is cut, too long or of another version is damaged', (t) => {
  const bytes = encodeSyncEntry(full);
  for (let length = 0; length < 60; length++) {
    t.exception(() => decodeSyncEntry(bytes.subarray(0, length)), DamagedError);
  }
  t.exception(() => decodeSyncEntry(Buffer.concat([bytes, Buffer.of(0)])), /left over/);
  const newer = Buffer.from(bytes);
  newer[0] = 3;
  t.exception(() => decodeSyncEntry(newer), /version 3/);
  const behind = entry(0, { writes: [{ ino: 2, offset: 2 ** 50 - 2, data: Buffer.from('end') }] });
  t.exception(() => decodeSyncEntry(encodeSyncEntry(behind)), /behind the largest file/);
});

test('sync entry: the newest of those that continue the commit, and the chunks of all', (t) => {
  const put = (block: number) => ({ block, offset: 1, compress: false, data: Buffer.of(block) });
  const first = entry(0, { puts: [put(1)] });
  const second = entry(1, { puts: [put(2), put(3)] });
  t.alike(continuationOf([first, second], base), {
    newest: second,
    puts: [put(1), put(2), put(3)],
    writes: [],
  });
  const write = (ino: number, offset: number) => ({ ino, offset, data: Buffer.of(offset) });
  const writing = [
    entry(0, { writes: [write(5, 1), write(6, 1)] }),
    entry(1, { writes: [write(5, 2)] }),
    entry(2, { forgotten: [5], writes: [write(5, 3), write(6, 4)] }),
  ];
  t.alike(continuationOf(writing, base).writes, [write(6, 1), write(5, 3), write(6, 4)]);
  const older = entry(2, { base: { ...base, version: 6 } });
  t.is(continuationOf([first, second, older], base).newest, second, 'an older one ends it');
  t.is(continuationOf([first, entry(2)], base).newest, first, 'and a gap');
  t.is(continuationOf([second], base).newest, null, 'without the first there is none');
  for (const other of [{ version: 8 }, { timeMs: 1 }, { treeLength: 41 }]) {
    t.is(continuationOf([first], { ...base, ...other }).newest, null, 'another commit');
  }
  t.exception(() => continuationOf([entry(0, { changes: [] })], base), DamagedError);
  const many = Array.from({ length: 300_000 }, () => write(5, 1));
  t.is(continuationOf([entry(0, { writes: many })], base).writes.length, many.length, 'many');
  const left = function* () {
    yield first;
    yield older;
    throw new Error('of another program');
  };
  t.is(continuationOf(left(), base).newest, first, 'what lies behind them is not looked at');
});
