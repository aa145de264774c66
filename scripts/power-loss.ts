/** Losses of power at random points of mixed work: `scripts/power-loss [--points N] [--seed S]`. */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { losePower } from '../test/durability/power-loss/power-loss.js';
import { SeededRandom } from '../test/support/seeded-random.js';

const USAGE = `Usage: scripts/power-loss [--points N] [--seed S]

Works on a mounted drive whose store lies on a disk that can lose power, and takes the power away at random points:
what was not synced is lost, in part or whole, in any order, pages torn. After each, the drive must open, its tree must
be whole, and everything must be there that a program was told is durable. Exits with 1 when anything was wrong.

  --points N    losses of power (200)
  --seed S      repeats a run's plan (else from the clock)
  --help        print this`;

const INTERRUPTED = 130;
const POINTS = 200;
const POINTS_PER_ROUND = 10;
/** Enough at times for the store to begin new files. */
const OPERATIONS = [150, 300, 1000];

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`power-loss: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      points: { type: 'string', default: String(POINTS) },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const points = Number(values.points);
  if (!(points > 0)) {
    throw new Error(`Cannot use --points '${values.points}': it must be a number above 0`);
  }
  const seed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed) >>> 0;
  console.log(`seed ${seed}`);
  const folder = mkdtempSync(path.join(tmpdir(), 'power-loss-'));
  let done = 0;
  let wrong = 0;
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => abort.abort(new Error('Interrupted')));
  }
  const beganMs = performance.now();
  try {
    await losePower(folder, {
      random: new SeededRandom(seed),
      points,
      pointsPerRound: POINTS_PER_ROUND,
      operations: OPERATIONS,
      signal: abort.signal,
      onPoint: ({ number, title, problems }) => {
        done++;
        if (problems.length > 0) wrong++;
        const verdict = problems.length === 0 ? 'whole' : `WRONG: ${problems.join('; ')}`;
        console.log(`${number}/${points} ${title}: ${verdict}`);
      },
    });
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    console.error(`power-loss: ended after ${done} losses of power, ${wrong} of them wrong`);
    return INTERRUPTED;
  } finally {
    rmdirSync(folder);
  }
  const minutes = ((performance.now() - beganMs) / 60_000).toFixed(1);
  console.log(
    `${done} losses of power, ${wrong} with something lost or damaged, ${minutes} minutes`,
  );
  return done === points && wrong === 0 ? 0 : 1;
}
