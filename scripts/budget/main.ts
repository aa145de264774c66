/** Where the time of each workload goes, and how far it is from what this stack can do: `scripts/bench-budget --help`. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeSourceTree } from '../../test/support/source-tree.js';
import { wholeNumber } from '../benchmark/bench-arguments.js';
import { circumstancesNow } from '../benchmark/circumstances.js';
import { circumstancesText } from '../benchmark/comparison-table.js';
import { withSection } from '../benchmark/document.js';
import { formatNumber } from '../benchmark/number-format.js';
import { FULL_SIZES, QUICK_SIZES, type Sizes, TINY_SIZES } from '../benchmark/sizes.js';
import { chooseWorkloads, makeFolder, type Place, type Workload } from '../benchmark/workloads.js';
import { budgetTable, floorTable, rawTable, requestTable } from './budget-tables.js';
import { type MeasuredRow, measureRow } from './measured-row.js';
import { measureRawFigures, type RawFigures } from './raw-figures.js';
import { WatchedMount } from './watched-mount.js';

const USAGE = `Usage: scripts/bench-budget [OPTIONS] [DIR]

Runs the workloads of scripts/bench on a mount of its own, on the disk of DIR (the system's temporary folder), with a
profiler and counters in the mount's process, and prints where the time of one operation goes. Then it measures what the
parts do alone, and prints what each workload could reach with them. Needs root to drop caches.

  --only NAME,...  only workloads with this id, or with NAME in their name; may be given several times
  --rounds N       how often each is measured, before it is run with the profiler (3)
  --quick, --tiny  small sizes
  --top N          also the N functions that take most of the main thread's time, of each workload
  --no-floor       without the figures of the parts, and what could be reached
  --json           print JSON
  --markdown FILE  write the tables between the marks "<!-- bench: budget -->" and "<!-- bench: end -->" ("floor" likewise)
  --help           print this`;

const ROUNDS_MAX = 1000;
const TOP_MAX = 400;

interface Options {
  folder: string;
  chosen: Workload[];
  rounds: number;
  sizes: Sizes;
  sizesName: string;
  top: number;
  withFloor: boolean;
  json: boolean;
  markdown: string | undefined;
}

try {
  await main();
} catch (error) {
  console.error(`bench-budget: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      markdown: { type: 'string' },
      'no-floor': { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '3' },
      tiny: { type: 'boolean', default: false },
      top: { type: 'string' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  if (positionals.length > 1) throw new Error('Give one directory at most; see --help');
  const only = values.only.flatMap((value) => value.split(',')).filter((word) => word !== '');
  const sizesName = values.tiny ? 'tiny' : values.quick ? 'quick' : 'full';
  await run({
    folder: positionals[0] ?? tmpdir(),
    chosen: chooseWorkloads(only).filter(({ isExtra }) => only.length > 0 || isExtra !== true),
    rounds: wholeNumber('--rounds', values.rounds, ROUNDS_MAX),
    sizes: { tiny: TINY_SIZES, quick: QUICK_SIZES, full: FULL_SIZES }[sizesName],
    sizesName,
    top: values.top === undefined ? 0 : wholeNumber('--top', values.top, TOP_MAX),
    withFloor: !values['no-floor'],
    json: values.json,
    markdown: values.markdown,
  });
}

async function run(options: Options): Promise<void> {
  const circumstances = circumstancesNow(options.rounds, options.sizesName);
  if (!circumstances.cold) say('not root: caches are not dropped, and what says cold is warm');
  const folder = mkdtempSync(path.join(options.folder, 'shoal-budget-'));
  try {
    const rows = await measureRows(folder, options);
    const raw = options.withFloor ? await measureRawFigures(folder, options.sizes, say) : null;
    circumstances.loadAfter = loadavg()[0] ?? 0;
    const when = circumstancesText(circumstances).replace(' (smallest–largest)', '');
    print(options, when, rows, raw);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureRows(folder: string, options: Options): Promise<MeasuredRow[]> {
  const { sizes, chosen, rounds } = options;
  const source = path.join(folder, 'source');
  const plainFolder = path.join(folder, 'plain');
  mkdirSync(plainFolder);
  const plain: Place = { folder: plainFolder, source, sizes };
  const watched = await WatchedMount.start(folder);
  const stop = (): void => {
    void watched.close().finally(() => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(130);
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  try {
    const place = {
      folder: makeFolder(watched.mount.directory),
      source,
      sizes,
      backing: watched.store,
    };
    let seed = 0;
    const newSource = (): void => {
      for (const { folder: one } of [place, plain]) {
        rmSync(path.join(one, 'tree'), { recursive: true, force: true });
      }
      writeSource(source, sizes, ++seed);
    };
    newSource();
    const rows: MeasuredRow[] = [];
    for (const workload of chosen) {
      const row = await measureRow(workload, watched, place, plain, rounds, newSource);
      rows.push(row);
      say(`${row.name}: ${formatNumber(1e6 / row.us)} ${row.unit}`);
    }
    return rows;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
    await watched.close();
  }
}

/** Without links, which not all have. */
function writeSource(source: string, { treeFiles, treeBytes }: Sizes, seed: number): void {
  rmSync(source, { recursive: true, force: true });
  mkdirSync(source);
  writeSourceTree(source, { files: treeFiles, bytes: treeBytes, seed });
  for (const name of ['link', 'dangling', 'hard-link']) rmSync(path.join(source, name));
}

function print(options: Options, when: string, rows: MeasuredRow[], raw: RawFigures | null): void {
  const budget = `${when}\n\n${budgetTable(rows)}\n\n${requestTable(rows)}`;
  const floor = raw === null ? '' : `${when}\n\n${rawTable(raw)}\n\n${floorTable(rows, raw)}`;
  if (options.json) console.log(JSON.stringify({ when, rows, raw }, null, 2));
  else console.log(`${budget}\n${floor === '' ? '' : `\n${floor}\n`}${topText(rows, options.top)}`);
  if (options.markdown === undefined) return;
  const old = existsSync(options.markdown) ? readFileSync(options.markdown, 'utf8') : '';
  let text = withSection(old, 'budget', budget);
  if (floor !== '') text = withSection(text, 'floor', floor);
  writeFileSync(options.markdown, text);
}

function topText(rows: readonly MeasuredRow[], count: number): string {
  if (count === 0) return '';
  const lines = rows.flatMap(({ name, profile }) => [
    '',
    `${name}, µs of the main thread for one:`,
    ...profile.top
      .slice(0, count)
      .map((one) => `${formatNumber(one.ms * 1000).padStart(10)}  ${one.name}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function say(line: string): void {
  console.error(`bench-budget: ${line}`);
}
