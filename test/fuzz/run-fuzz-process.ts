/** Runs a fuzzer in a process of its own, and watches over it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ended } from '../support/command.js';
import type { FuzzCounts } from './fuzz.js';

/** How often the process says where it is. */
export const STEPS_PER_LINE = 200;

const PROGRAM = fileURLToPath(new URL('./fuzz-process.js', import.meta.url));
/** That many steps take a second; a decoder that takes so long hangs. */
const SILENCE_MS_MAX = 120_000;
const HEAP_MIB = 512;

export interface FuzzRun {
  seed: number;
  from?: number | undefined;
  steps: number;
  only?: string | undefined;
}

/** Rejects with an error that says how to run the step again. */
export async function runFuzzProcess({
  seed,
  from = 0,
  steps,
  only,
}: FuzzRun): Promise<FuzzCounts> {
  const args = [PROGRAM, `${seed}`, `${from}`, `${steps}`, ...(only === undefined ? [] : [only])];
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MIB}`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let at = from;
  let counts: FuzzCounts | null = null;
  let failure: string | null = null;
  let errors = '';
  let rest = '';
  let watchdog: NodeJS.Timeout | undefined;
  const watch = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => {
      failure = `hangs, within ${STEPS_PER_LINE} steps`;
      child.kill('SIGKILL');
    }, SILENCE_MS_MAX);
  };
  watch();
  child.stderr.on('data', (piece: Buffer) => {
    errors = `${errors}${piece}`.slice(-4000);
  });
  child.stdout.on('data', (piece: Buffer) => {
    watch();
    const lines = `${rest}${piece}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [word, ...texts] = line.split(' ');
      const text = texts.join(' ');
      if (word === 'step') at = Number(text);
      else if (word === 'done') counts = new Map(JSON.parse(text));
      else if (word === 'failed') {
        const failed = JSON.parse(text) as { step: number; text: string };
        at = failed.step;
        failure = failed.text;
      }
    }
  });
  const { code, signal } = await ended(child);
  clearTimeout(watchdog);
  if (counts !== null && code === 0) return counts;
  const what = failure ?? `ended with ${signal ?? `code ${code}`}: ${errors}`;
  throw new Error(
    `The fuzzer failed at step ${at}; again with: scripts/fuzz --seed ${seed} --from ${at}\n${what}`,
  );
}
