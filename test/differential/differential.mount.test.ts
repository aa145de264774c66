/**
 * The same random operations on a mount and on a plain directory. SHOAL_TEST_SEED runs one seed again, and
 * SHOAL_TEST_STEPS more or fewer operations of it.
 */
import { type Assertions, test } from 'brittle';
import { seedOfRun } from '../support/seeded-random.js';
import { type RunOptions, Scenario } from './scenario.js';

const FIXED_SEEDS = [1, 2, 3];
const STEPS = Number(process.env.SHOAL_TEST_STEPS ?? 1500);
const seed = seedOfRun();
const seeds = process.env.SHOAL_TEST_SEED === undefined ? [...FIXED_SEEDS, seed] : [seed];

async function runAll(
  t: Assertions,
  reader: boolean,
  runs: readonly Omit<RunOptions, 'steps'>[],
): Promise<void> {
  const scenario = await Scenario.start({ reader });
  try {
    for (const options of runs) {
      await scenario.run({ ...options, steps: STEPS });
      t.pass(`seed ${options.seed}`);
    }
    await scenario.mount.unmount();
  } catch (error) {
    t.fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await scenario.close();
  }
}

const TIME = { timeout: 0 };

test('differential: a mount is like a plain directory', TIME, (t) =>
  runAll(
    t,
    false,
    seeds.map((one) => ({
      seed: one,
      events: ['compare', 'drop caches', 'fsync'],
      eventEvery: 150,
    })),
  ),
);

test('differential: also after remounts and crashes', TIME, (t) =>
  runAll(t, false, [{ seed, events: ['remount', 'kill', 'drop caches'], eventEvery: 200 }]),
);

test('differential: a reader shows the same', TIME, (t) =>
  runAll(t, true, [{ seed, events: ['reader', 'reader', 'compare', 'fsync'], eventEvery: 100 }]),
);
