/** Losses of power at random points of mixed work. SHOAL_TEST_SEED repeats a run's plan; `scripts/power-loss` does many. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { losePower, type PointOutcome, type PowerLossOptions } from './power-loss/power-loss.js';

const POINTS = 12;
const POINTS_PER_ROUND = 6;
const LYING_POINTS = 3;
const OPERATIONS = [100];
const TEST_TIME_MS_MAX = 200_000;

test('power loss - all that was synced is there, and the tree is whole', {
  timeout: TEST_TIME_MS_MAX,
}, async (t) => {
  const outcomes = await losses(t, { points: POINTS, pointsPerRound: POINTS_PER_ROUND });
  t.is(outcomes.length, POINTS);
  for (const { title, problems } of outcomes) t.alike(problems, [], title);
});

test('power loss - a disk that only says it has synced is found out', {
  timeout: TEST_TIME_MS_MAX,
}, async (t) => {
  const outcomes = await losses(t, {
    points: LYING_POINTS,
    pointsPerRound: LYING_POINTS,
    syncsLie: true,
  });
  t.ok(outcomes.some(({ problems }) => problems.length > 0));
});

async function losses(
  t: Assertions,
  options: Omit<PowerLossOptions, 'random' | 'operations' | 'onPoint'>,
): Promise<PointOutcome[]> {
  const seed = seedOfRun();
  t.comment(`SHOAL_TEST_SEED=${seed}`);
  const folder = mkdtempSync(join(tmpdir(), 'power-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }), { force: true });
  const outcomes: PointOutcome[] = [];
  const random = new SeededRandom(seed);
  await losePower(folder, {
    ...options,
    random,
    operations: OPERATIONS,
    onPoint: (outcome) => outcomes.push(outcome),
  });
  return outcomes;
}
