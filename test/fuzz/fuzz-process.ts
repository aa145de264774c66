/**
 * The process that a fuzzer's decoders run in, so that one that hangs, takes all memory or throws where nobody catches
 * can be told. Prints the step it comes to now and then, and what came of all in the end.
 *
 *   node fuzz-process.js SEED FIRST-STEP STEPS [NAME]
 */
import { Fuzzer } from './fuzz.js';
import { STEPS_PER_LINE } from './run-fuzz-process.js';

const [seed = 0, from = 0, steps = 0] = process.argv.slice(2, 5).map(Number);
const only = process.argv[5];
let at = from;

function fail(error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stdout.write(`failed ${JSON.stringify({ step: at, text })}\n`, () => process.exit(1));
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

const fuzzer = await Fuzzer.open();
try {
  const onStep = (step: number) => {
    at = step;
    if (step % STEPS_PER_LINE === 0) process.stdout.write(`step ${step}\n`);
  };
  const counts = await fuzzer.run({ seed, from, steps, only, onStep });
  await fuzzer.close();
  process.stdout.write(`done ${JSON.stringify([...counts])}\n`, () => process.exit(0));
} catch (error) {
  await fuzzer.close();
  fail(error);
}
