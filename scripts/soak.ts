/** Random operations on mounts for as long as wanted: `scripts/soak --minutes N [--seed S]`. */
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Scenario, VARIETIES } from '../test/differential/scenario.js';
import { Kills } from '../test/durability/support/kills.js';
import { BootstrapNode, Machine } from '../test/support/drive-mount.js';
import { SeededRandom } from '../test/support/seeded-random.js';
import { residentBytes } from './benchmark/mount-process.js';
import { growthOf, SAMPLES_MIN } from './growth.js';

const USAGE = `Usage: scripts/soak --minutes N [--seed S] [--steps N]

Does the same random operations on mounted drives and on a plain directory, and compares everything, with a new seed in
each cycle. One drive stays mounted all the time, with a second machine that reads it; another one is remounted, and
killed with SIGKILL between operations. A third one is killed in the middle of work: what programs had been told is
durable must be there, the tree whole, and a machine that has nothing of it must read it all. Memory and open files of the processes that stay are sampled after each cycle.
Prints a table at the end. Exits with 1 when anything differed, failed or went on growing.

  --minutes N    how long; the last cycle is finished
  --seed S       the first cycle's seed (else from the clock); the next ones count up
  --steps N      operations of a run (1500)
  --kills N      kills in the middle of work in each cycle (10)
  --help         print this`;

const STEPS = 1500;
const KILLS = 10;
/** With a look at the whole tree, and from a machine that has nothing of the drive. */
const KILLS_PER_CHECK = 10;
const ROWS_MAX = 24;
const MIB = 1 << 20;
/** What a process may have grown by after its warm-up, and is still called steady. */
const MEMORY_GROWTH = { share: 0.1, slack: 24 };
const FILES_GROWTH = { share: 0, slack: 8 };

interface Sample {
  cycle: number;
  minute: number;
  seed: number;
  writerMiB: number;
  writerFiles: number;
  readerMiB: number;
  readerFiles: number;
}

const COLUMNS: readonly (keyof Sample)[] = [
  'cycle',
  'minute',
  'seed',
  'writerMiB',
  'writerFiles',
  'readerMiB',
  'readerFiles',
];

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string' },
      steps: { type: 'string', default: String(STEPS) },
      kills: { type: 'string', default: String(KILLS) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || values.minutes === undefined) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const minutes = positive('--minutes', values.minutes);
  const steps = positive('--steps', values.steps);
  const seed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed) >>> 0;
  const kills = Number(values.kills);
  if (!(kills >= 0)) throw new Error(`Cannot use --kills '${values.kills}': it must be a number`);
  return await soak(minutes, steps, kills, seed);
}

async function soak(
  minutes: number,
  steps: number,
  killsPerCycle: number,
  firstSeed: number,
): Promise<number> {
  let stopping = false;
  const stop = () => {
    if (!stopping) console.error('soak: ending after this cycle');
    stopping = true;
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);

  const scenarios: Scenario[] = [];
  const undo: (() => Promise<void>)[] = [];
  let killed = 0;
  const samples: Sample[] = [];
  let failure: unknown;
  const beganMs = performance.now();
  const minute = () => (performance.now() - beganMs) / 60_000;
  try {
    const steady = await Scenario.start({ reader: true });
    scenarios.push(steady);
    const crashing = await Scenario.start({ reader: false });
    scenarios.push(crashing);
    const node = await BootstrapNode.start();
    undo.push(() => node.close());
    const machine = new Machine({ bootstrap: node.address });
    undo.push(() => machine.close());
    const kills = await Kills.start(machine, node.address);
    for (let cycle = 0; (cycle === 0 || minute() < minutes) && !stopping; cycle++) {
      const seed = (firstSeed + cycle) >>> 0;
      await steady.run({ ...VARIETIES.quiet, seed, steps });
      await steady.run({ ...VARIETIES.reader, seed, steps });
      await crashing.run({ ...VARIETIES.crashes, seed, steps });
      const random = new SeededRandom(seed);
      for (let kill = 1; kill <= killsPerCycle; kill++) {
        expectNone(seed, kill, await kills.kill(random));
        killed++;
        if (kill % KILLS_PER_CHECK !== 0 && kill < killsPerCycle) continue;
        expectNone(seed, kill, await kills.check());
        expectNone(seed, kill, await kills.readFromPeer());
      }
      const taken = { cycle, minute: Number(minute().toFixed(1)), seed, ...sample(steady) };
      samples.push(taken);
      console.error(`soak: ${COLUMNS.map((column) => `${column} ${taken[column]}`).join(', ')}`);
    }
    for (const scenario of scenarios) await scenario.mount.unmount();
    await kills.end();
  } catch (error) {
    failure = error;
  } finally {
    for (const scenario of scenarios) await scenario.close();
    for (const step of undo.reverse()) await step();
  }
  console.log(table(samples));
  console.log(`${killed} kills in the middle of work`);
  const growing = growthReport(samples);
  if (failure !== undefined) {
    console.error(`soak: ${failure instanceof Error ? failure.message : String(failure)}`);
  }
  return failure === undefined && !growing ? 0 : 1;
}

function expectNone(seed: number, kill: number, problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new Error(`After kill ${kill} of seed ${seed}: ${problems.join('; ')}`);
}

function sample(scenario: Scenario) {
  const { mount, reader } = scenario;
  if (reader === null) throw new Error('There is no reader');
  return {
    writerMiB: Math.round(residentBytes(mount.pid) / MIB),
    writerFiles: openFiles(mount.pid),
    readerMiB: Math.round(residentBytes(reader.pid) / MIB),
    readerFiles: openFiles(reader.pid),
  };
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** At most so many rows, evenly spread, the last one always. */
function table(samples: readonly Sample[]): string {
  const every = Math.max(1, Math.ceil(samples.length / ROWS_MAX));
  const rows = samples.filter((_, index) => (samples.length - 1 - index) % every === 0);
  const cells = [
    COLUMNS.map(String),
    ...rows.map((row) => COLUMNS.map((name) => String(row[name]))),
  ];
  const widths = COLUMNS.map((_, column) =>
    Math.max(...cells.map((row) => (row[column] ?? '').length)),
  );
  return cells
    .map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '))
    .join('\n');
}

/** Prints how memory and descriptors went; returns whether anything grows. */
function growthReport(samples: readonly Sample[]): boolean {
  const figures = [
    ['writerMiB', MEMORY_GROWTH],
    ['writerFiles', FILES_GROWTH],
    ['readerMiB', MEMORY_GROWTH],
    ['readerFiles', FILES_GROWTH],
  ] as const;
  let any = false;
  for (const [name, limit] of figures) {
    const growth = growthOf(
      samples.map((one) => one[name]),
      limit,
    );
    if (growth === null) {
      console.log(`${name}: ${samples.length} samples, ${SAMPLES_MIN} are needed to judge growth`);
      continue;
    }
    any ||= growth.grows;
    const verdict = growth.grows ? 'GROWS' : 'steady';
    console.log(`${name}: ${verdict}, ${growth.before} in the middle, ${growth.after} at the end`);
  }
  return any;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`Cannot use ${option} '${text}': it must be a number above 0`);
  return value;
}
