/** Entries of the sync journal, and which of them continue a commit. */
import test from 'brittle';
import { continuationOf } from '../../src/drive/replay-journal.js';
import { DamagedError } from '../../src/errors.js';
import { decodeSyncEntry, encodeSyncEntry, type SyncEntry } from '../../src/fs/sync-entry.js';
import { commitKey } from '../../src/tree/keys.js';

const base = { version: 7, timeMs: 1_790_000_000_000, treeLength: 40 };
const commit = { key: commitKey, value: Buffer.from('commit') };

function entry(sequence: number, more: Partial<SyncEntry> = {}): SyncEntry {
  return { base, sequence, changes: [commit], puts: [], ...more };
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
});

test('sync entry: what is cut, too long or of another version is damaged', (t) => {
  const bytes = encodeSyncEntry(full);
  for (let length = 0; length < 60; length++) {
    t.exception(() => decodeSyncEntry(bytes.subarray(0, length)), DamagedError);
  }
  t.exception(() => decodeSyncEntry(Buffer.concat([bytes, Buffer.of(0)])), /left over/);
  const newer = Buffer.from(bytes);
  newer[0] = 2;
  t.exception(() => decodeSyncEntry(newer), /version 2/);
});

test('sync entry: the newest of those that continue the commit, and the chunks of all', (t) => {
  const put = (block: number) => ({ block, offset: 1, compress: false, data: Buffer.of(block) });
  const first = entry(0, { puts: [put(1)] });
  const second = entry(1, { puts: [put(2), put(3)] });
  t.alike(continuationOf([first, second], base), {
    newest: second,
    puts: [put(1), put(2), put(3)],
  });
  const older = entry(2, { base: { ...base, version: 6 } });
  t.is(continuationOf([first, second, older], base).newest, second, 'an older one ends it');
  t.is(continuationOf([first, entry(2)], base).newest, first, 'and a gap');
  t.is(continuationOf([second], base).newest, null, 'without the first there is none');
  for (const other of [{ version: 8 }, { timeMs: 1 }, { treeLength: 41 }]) {
    t.is(continuationOf([first], { ...base, ...other }).newest, null, 'another commit');
  }
  t.exception(() => continuationOf([entry(0, { changes: [] })], base), DamagedError);
});
