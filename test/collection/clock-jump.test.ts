/** A clock that went far ahead is not believed at once. */
import test from 'brittle';
import { clockJumpMs } from '../../src/drive/clock-jump.js';
import type { VersionPoint } from '../../src/tree/version-point.js';

const DAY_MS = 86_400_000;
const NOW_MS = 20_000 * DAY_MS;

/** In days, as are the ages of versions, the newest first. */
async function jumpOf(ages: readonly number[], restedDays = 0): Promise<number> {
  const points: VersionPoint[] = ages.map((days, i) => {
    const version = ages.length - i;
    return { version, timeMs: NOW_MS - days * DAY_MS, head: { length: 10 * version, fork: 0 } };
  });
  const clock = { nowMs: NOW_MS, restedMs: restedDays * DAY_MS };
  return (await clockJumpMs(points, clock)) / DAY_MS;
}

test('clock jump - none in a drive that is written now and then', async (t) => {
  t.is(await jumpOf([0]), 0);
  t.is(await jumpOf([0, 0.5, 2, 4, 300]), 0, 'what is long ago does not matter');
  t.is(await jumpOf([2.5, 300]), 0, 'it rested for a weekend');
});

test('clock jump - since the newest version, or before it', async (t) => {
  t.is(await jumpOf([365, 366]), 365);
  t.is(await jumpOf([0, 0.25, 365.25, 366]), 365, 'versions were made since');
  t.is(await jumpOf([0, 0.5, 1.5, 365.25, 366]), 0, 'for more than a day');
});

test('clock jump - a drive that rested while it was mounted', async (t) => {
  t.is(await jumpOf([365, 366], 365), 0);
  t.is(await jumpOf([365, 366], 30), 335, 'the rest is the clock');
});

test('clock jump - versions of a clock that was behind or ahead are passed over', async (t) => {
  t.is(await jumpOf([0, 20_000, 19_999, 0.5, 20_000, 1.5, 300]), 0);
  t.is(await jumpOf([0, -365, 0.5, 1.5, 300]), 0);
  t.is(await jumpOf([0, 20_000, 365, 366]), 365, 'and hide nothing');
});
