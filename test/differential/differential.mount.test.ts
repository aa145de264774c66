/**
 * The same random operations on a mount and on a plain directory. SHOAL_TEST_SEED runs one seed again, and
 * SHOAL_TEST_STEPS more or fewer operations of it.
 */
import { type Assertions, test } from 'brittle';
import { seedOfRun } from '../support/seeded-random.js';
import { Scenario, VARIETIES } from './scenario.js';

const FIXED_SEEDS = [1, 2, 3];
const STEPS = 800;
const given = process.env.SHOAL_TEST_STEPS;
const steps = given === undefined ? STEPS : Number(given);
const seed = seedOfRun();
const seeds = process.env.SHOAL_TEST_SEED === undefined ? [...FIXED_SEEDS, seed] : [seed];

async function runSeeds(
  t: Assertions,
  variety: keyof typeof VARIETIES,
  seedsToRun: readonly number[],
): Promise<void> {
  const scenario = await Scenario.start({ reader: variety === 'reader' });
  try {
    for (const one of seedsToRun) {
      await scenario.run({ ...VARIETIES[variety], seed: one, steps });
      t.pass(`${steps} operations of seed ${one}`);
    }
    await scenario.mount.unmount();
  } catch (error) {
    // brittle ends the whole process when a test throws.
    t.fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await scenario.close();
  }
}

/** The runner's deadline ends the file; brittle's own would end it without a word of what was going on. */
const TIME = { timeout: 0 };

test('differential: a mount is like a plain directory', TIME, (t) => runSeeds(t, 'quiet', seeds));

test('differential: it stays so when it is remounted and killed', TIME, (t) =>
  runSeeds(t, 'crashes', [seed]),
);

test('differential: a reader shows the same', TIME, (t) => runSeeds(t, 'reader', [seed]));
