/** Records of format version 2 that refer to older versions. */
import test from 'brittle';
import { DamagedError } from '../../src/errors.js';
import { decodeCollection, encodeCollection } from '../../src/tree/collection-record.js';
import {
  type CommitRecord,
  decodeCommit,
  encodeCommit,
  skipsAfter,
} from '../../src/tree/commit-record.js';
import { GarbageLog, garbageKey, garbageOfKey, snapshotKey } from '../../src/tree/keys.js';
import {
  decodeSnapshot,
  encodeSnapshot,
  isValidLabel,
  labelOfKey,
} from '../../src/tree/snapshot-record.js';
import type { VersionPoint } from '../../src/tree/version-point.js';

function point(version: number): VersionPoint {
  return { version, timeMs: 1e12 + version * 1000, head: { length: version * 3, fork: 1 } };
}

function commit(version: number, skips: VersionPoint[] | null): CommitRecord {
  const { timeMs } = point(version);
  const previous = { length: (version - 1) * 3, fork: 1 };
  const counts = { nextIno: 2, inodeCount: 1, fileBytes: 0 };
  return { version, timeMs, previous, ...counts, changes: null, skips };
}

test('snapshot and collection records come back as they went in', (t) => {
  t.alike(decodeSnapshot(encodeSnapshot(point(70_000))), point(70_000));
  const collection = { contiguous: 900, kept: [point(1), point(16), point(899)] };
  t.alike(decodeCollection(encodeCollection(collection)), collection);
  t.alike(labelOfKey(snapshotKey('before-move')), 'before-move');
  t.alike(garbageOfKey(garbageKey(GarbageLog.chunks, 70_000)), { log: 1, group: 70_000 });
});

test('records that no writer makes are refused', (t) => {
  const refused: [string, () => unknown][] = [
    [
      'unordered',
      () => decodeCollection(encodeCollection({ contiguous: 9, kept: [point(3), point(2)] })),
    ],
    ['kept twice', () => decodeCollection(encodeCollection({ contiguous: 9, kept: [point(9)] }))],
    ['version 0', () => decodeSnapshot(encodeSnapshot(point(0)))],
    ['a skip ahead', () => decodeCommit(encodeCommit(commit(16, [point(16)])))],
    ['no label', () => labelOfKey(Buffer.from('\x15.hidden'))],
    ['a slash', () => labelOfKey(Buffer.from('\x15a/b'))],
    ['no log', () => garbageOfKey(Buffer.from('160200000001', 'hex'))],
  ];
  for (const [what, decode] of refused) t.exception(decode, DamagedError, what);
  t.exception.all(
    () => encodeCollection({ contiguous: 10_000, kept: points(1, 8193) }),
    RangeError,
  );
  t.absent(isValidLabel('a'.repeat(65)));
});

function points(first: number, count: number): VersionPoint[] {
  return Array.from({ length: count }, (_, i) => point(first + i));
}

test('a commit record of version 1 has no skip pointers, and is still read', (t) => {
  const old = encodeCommit(commit(40, null));
  t.is(old[0], 1);
  t.is(decodeCommit(old).skips, null);
  const record = commit(40, [point(16), point(32)]);
  t.alike(decodeCommit(encodeCommit(record)), record);
});

test('skip pointers lead to the newest multiples of 16, 256 and 4,096 before a version', (t) => {
  const commits = chain(10_010);
  const skipsOf = (version: number) => commits[version]?.skips?.map((each) => each.version);
  t.alike(skipsOf(16), []);
  t.alike(skipsOf(17), [16]);
  t.alike(skipsOf(256), [240]);
  t.alike(skipsOf(300), [256, 288]);
  t.alike(skipsOf(4097), [4096]);
  t.alike(skipsOf(10_000), [8192, 9984]);
  t.alike(skipsOf(10_001), [8192, 9984, 10_000]);
});

test('by skip pointers any version is found in some dozens of steps', (t) => {
  const newest = 20_000;
  const commits = chain(newest);
  let most = 0;
  for (let wanted = 1; wanted <= newest; wanted += 7) {
    let at = newest;
    let steps = 0;
    for (; at > wanted; steps++) {
      const skip = commits[at]?.skips?.find((each) => each.version >= wanted);
      at = skip?.version ?? at - 1;
    }
    if (at !== wanted) t.fail(`version ${wanted} was missed`);
    most = Math.max(most, steps);
  }
  t.ok(most <= 75, `${most} steps at most`);
});

test('a drive that has no skip pointers yet gets them from now on', (t) => {
  const first = skipsAfter(commit(4096, null), point(4096).head);
  t.alike(
    first.map((each) => each.version),
    [4096],
  );
  t.alike(skipsAfter(commit(4097, null), point(4097).head), []);
});

/** Commits 1 to `count`, at their numbers. */
function chain(count: number): CommitRecord[] {
  const commits = [commit(0, null), commit(1, [])];
  for (let version = 2; version <= count; version++) {
    const last = commits[version - 1] as CommitRecord;
    commits.push(commit(version, skipsAfter(last, point(last.version).head)));
  }
  return commits;
}
