/** Measures Shoal beside others: one workload on all of them before the next, and that several times over. */
import { loadavg } from 'node:os';
import type { BenchArguments } from './bench-arguments.js';
import { circumstancesNow } from './circumstances.js';
import type { Comparison } from './comparison.js';
import { shoal } from './competitors/file-systems.js';
import { type Cost, costsOf } from './costs.js';
import { type RunningSubject, Subjects, untilQuiet } from './subjects.js';
import { measure, rateOf, settle, type Workload } from './workloads.js';

export interface CompareResult {
  comparison: Comparison;
  /** By the name of what is mounted; empty unless asked for. */
  costs: Record<string, Cost>;
}

type Rates = Record<string, Record<string, number[]>>;
type Failures = Record<string, Record<string, string>>;

/** Throws when Shoal itself cannot be measured; what goes wrong with others is said and noted. */
export async function compare(args: BenchArguments): Promise<CompareResult> {
  const circumstances = circumstancesNow(args.rounds, args.sizesName);
  if (!circumstances.cold) say('not root: caches are not dropped, and what says cold is warm');
  const subjects = new Subjects(args.folder, args.sizes);
  const stop = endWhenInterrupted(subjects);
  const rates: Rates = {};
  const failures: Failures = {};
  const costs: Record<string, Cost> = {};
  try {
    for (const competitor of [shoal, ...(args.against ?? [])]) {
      const missing = competitor.missing();
      if (missing !== null) {
        say(`left out: ${missing}`);
        continue;
      }
      try {
        await subjects.start(competitor);
        rates[competitor.name] = {};
        failures[competitor.name] = {};
      } catch (error) {
        if (competitor === shoal) throw error;
        say(`left out: ${competitor.name}: ${textOf(error)}`);
      }
    }
    for (let round = 0; round < args.rounds; round++) {
      subjects.newSource(round + 1);
      for (const workload of args.chosen) {
        // Whoever comes first has it easier or harder; so each time it is another one.
        for (const running of rotated(subjects.running, round)) {
          await measureOne(workload, running, `round ${round + 1}`, rates, failures);
        }
      }
    }
    if (args.costs) {
      for (const running of subjects.running) {
        say(`costs of ${running.competitor.name}`);
        const cost = await costsOf(running);
        if (cost !== null) costs[running.competitor.name] = cost;
      }
    }
  } finally {
    stop();
    await subjects.close();
  }
  const columns = [shoal, ...(args.against ?? [])]
    .filter(({ name }) => rates[name] !== undefined)
    .map(({ name, what, encrypts }) => ({ name, what, encrypts }));
  const rows = args.chosen.map(({ id, name, unit }) => ({ id, name, unit }));
  circumstances.loadAfter = loadavg()[0] ?? 0;
  return { comparison: { rows, columns, rates, failures, circumstances }, costs };
}

async function measureOne(
  workload: Workload,
  { competitor, subject, place }: RunningSubject,
  label: string,
  rates: Rates,
  failures: Failures,
): Promise<void> {
  const { name } = competitor;
  try {
    const rate =
      subject.directory === null
        ? await measureApi(workload, { subject, place })
        : await measure(workload, place);
    if (rate === null) return;
    const row = rates[name] as Record<string, number[]>;
    row[workload.id] = [...(row[workload.id] ?? []), rate];
    say(`${label}: ${workload.name}: ${name}: ${rate.toFixed(1)} ${workload.unit}`);
    await untilQuiet(subject.pid);
  } catch (error) {
    if (competitor.name === shoal.name) throw error;
    (failures[name] as Record<string, string>)[workload.id] = textOf(error);
    say(`${label}: ${workload.name}: ${name} FAILED: ${textOf(error)}`);
  }
}

async function measureApi(
  workload: Workload,
  { subject, place }: Pick<RunningSubject, 'subject' | 'place'>,
): Promise<number | null> {
  const run = (await subject.runApi?.(workload.id, place.sizes)) ?? null;
  if (run === null) return null;
  await settle(place, workload.cold === true);
  return rateOf(workload, await run());
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/** Takes everything down when the benchmark is interrupted; returns what ends that. */
function endWhenInterrupted(subjects: Subjects): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const end = () => void subjects.close().finally(() => process.exit(130));
  for (const signal of signals) process.once(signal, end);
  return () => {
    for (const signal of signals) process.off(signal, end);
  };
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n').slice(0, 2).join(' ');
}

function say(line: string): void {
  console.error(`bench: ${line}`);
}
