import test from 'brittle';
import { chooseKept, type KeepRules } from '../../src/drive/kept-versions.js';
import { limits } from '../../src/limits.js';
import { decodeGarbage, encodeGarbage } from '../../src/tree/garbage-record.js';
import { DEFAULT_RETENTION, type Retention } from '../../src/tree/retention-record.js';
import type { VersionPoint } from '../../src/tree/version-point.js';

const DAY_MS = 86_400_000;
/** Noon. */
const NOW_MS = 20_000 * DAY_MS + DAY_MS / 2;

/** A version for each age in days, the newest first. */
function versionsOfAges(ages: readonly number[]): VersionPoint[] {
  return ages.map((days, i) => {
    const version = ages.length - i;
    return { version, timeMs: NOW_MS - days * DAY_MS, head: { length: 10 * version, fork: 0 } };
  });
}

async function keptAges(
  ages: readonly number[],
  retention: Retention,
  others: Partial<KeepRules> = {},
): Promise<number[]> {
  const rules = { snapshots: new Set<number>(), inUse: new Set<number>(), ...others };
  const kept = await chooseKept(versionsOfAges(ages), { retention, nowMs: NOW_MS, ...rules });
  return kept.lengths.map((length) => ages[ages.length - length / 10] as number);
}

const nothing: Retention = { keepAll: false, keepMs: 0, keepDailyMs: 0, keepSnapshots: true };

test('kept versions - the newest in any case', async (t) => {
  t.alike(await keptAges([500, 600], nothing), [500]);
  t.alike(await keptAges([500, 600], { ...nothing, keepAll: true }), [500, 600]);
});

test('kept versions - what the drive was at every moment of the time that is kept', async (t) => {
  const week = { ...nothing, keepMs: 7 * DAY_MS };
  t.alike(await keptAges([1, 2, 6, 9, 12], week), [1, 2, 6, 9], 'up to the one before it');
});

test('kept versions - by default a week, then the last of each day', async (t) => {
  const ages = [0, 6.9, 7.1, 8, 8.1, 8.2, 20, 20.3, 36.9, 37.6, 40];
  t.alike(await keptAges(ages, DEFAULT_RETENTION), [0, 6.9, 7.1, 8, 20, 36.9]);
});

/** In days: a clock that knows nothing says 1970. */
const EPOCH = NOW_MS / DAY_MS;

test('kept versions - a clock that was behind says nothing about the versions before', async (t) => {
  const week = { ...nothing, keepMs: 7 * DAY_MS };
  t.alike(await keptAges([0, EPOCH, 0.1, 6, 9, 12], week), [0, EPOCH, 0.1, 6, 9]);
  const several = [0, EPOCH - 0.2, EPOCH - 0.1, EPOCH, 0.1, 9, 12];
  t.alike(await keptAges(several, week), several.slice(0, -1), 'all of what was made meanwhile');
  const asOfDay = [0, 20, 1, 10, 20.1, 20.2];
  t.alike(await keptAges(asOfDay, DEFAULT_RETENTION), asOfDay.slice(0, -1), 'and is of no day');
});

test('kept versions - a clock that was ahead keeps nothing but what it dated', async (t) => {
  const week = { ...nothing, keepMs: 7 * DAY_MS };
  const kept = await keptAges([0, 1, 10, 11, -365, 20, 21, 22], week);
  t.alike(kept, [0, 1, 10, -365, 20], 'and the one before each');
});

test('kept versions - of those that a clock was behind for, so many as fit into memory', async (t) => {
  const week = { ...nothing, keepMs: 7 * DAY_MS };
  const wrong = new Array<number>(5000).fill(EPOCH);
  const kept = await keptAges([0, ...wrong, 1], week);
  t.is(kept.length, 2 + 1 + limits.collect_misdated_versions_max);
});

test('kept versions - labelled ones and those in use', async (t) => {
  const others = { snapshots: new Set([1]), inUse: new Set([20]) };
  t.alike(await keptAges([0, 1, 2, 3], nothing, others), [0, 2, 3]);
  t.alike(await keptAges([0, 1, 2, 3], { ...nothing, keepSnapshots: false }, others), [0, 2]);
});

test('kept versions - the record tells those without a gap from the others', async (t) => {
  const rules = { nowMs: NOW_MS, snapshots: new Set([1]), inUse: new Set<number>() };
  const retention = { ...nothing, keepMs: 2 * DAY_MS };
  const points = versionsOfAges([0, 1, 3, 4, 5]);
  const { record, dropped } = await chooseKept(points, { ...rules, retention });
  t.alike(record, { contiguous: 3, kept: [points[4] as VersionPoint] });
  t.is(dropped, 1);
});

test('garbage record - few runs and many', (t) => {
  for (const step of [2, 3, 1000, 65_535]) {
    const bits = Buffer.alloc(8192);
    for (let i = 0; i < 65_536; i += step)
      bits[i >>> 3] = (bits[i >>> 3] as number) | (1 << (i & 7));
    t.ok(Buffer.from(decodeGarbage(encodeGarbage(bits))).equals(bits), `every ${step}th`);
    t.ok(encodeGarbage(bits).length <= 8200);
  }
});
