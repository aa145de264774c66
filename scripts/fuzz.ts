/** Broken inputs for every decoder, for as long as wanted: `scripts/fuzz --minutes N [--seed S]`. */
import { parseArgs } from 'node:util';
import { runFuzzProcess } from '../test/fuzz/run-fuzz-process.js';

const USAGE = `Usage: scripts/fuzz --minutes N [--seed S] [--only NAME]
       scripts/fuzz --seed S --from STEP [--steps N] [--only NAME]

Feeds mutations of valid inputs, and noise, to every decoder of what comes from outside: keys, records, blocks, nodes of
the tree, messages of peers, requests of the kernel, the control socket, files. Fails when one throws what it should not,
hangs, or takes much memory; prints seed and step, with which the second form does the same again.

  --minutes N    how long; the last round is finished
  --seed S       the first round's seed (else from the clock); the next ones count up
  --from STEP    begin with this step of the seed
  --steps N      steps of a round (200000); with --from: how many (1000)
  --only NAME    decoders with NAME in their name
  --help         print this`;

const STEPS = 200_000;
const STEPS_AGAIN = 1000;

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`fuzz: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string' },
      from: { type: 'string' },
      steps: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { minutes, from, only } = values;
  if (values.help || (minutes === undefined && (from === undefined || values.seed === undefined))) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  let seed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed) >>> 0;
  if (minutes === undefined) {
    const steps = values.steps === undefined ? STEPS_AGAIN : positive('--steps', values.steps);
    print(seed, await runFuzzProcess({ seed, from: Number(from), steps, only }));
    return 0;
  }
  const steps = values.steps === undefined ? STEPS : positive('--steps', values.steps);
  const endMs = performance.now() + 60_000 * positive('--minutes', minutes);
  do {
    print(seed, await runFuzzProcess({ seed, steps, only }));
    seed = (seed + 1) >>> 0;
  } while (performance.now() < endMs);
  return 0;
}

function print(seed: number, counts: Awaited<ReturnType<typeof runFuzzProcess>>): void {
  const parts = [...counts].map(([name, { taken, refused }]) => `${name} ${taken}/${refused}`);
  console.log(`seed ${seed}, taken/refused: ${parts.sort().join(', ')}`);
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`Cannot use ${option} '${text}': it must be a number above 0`);
  return value;
}
