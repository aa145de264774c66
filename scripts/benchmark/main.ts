/** Measures file systems with fixed workloads: `scripts/bench --help`. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { barChartSvg } from './bar-chart.js';
import { type BenchArguments, parseBenchArguments, USAGE } from './bench-arguments.js';
import { compare } from './compare.js';
import {
  type BenchRecord,
  type Comparison,
  lossesSince,
  mergeRecords,
  parseRecord,
  recordOf,
} from './comparison.js';
import { chartOf } from './comparison-chart.js';
import { comparisonTable } from './comparison-table.js';
import { competitorNamed } from './competitors/all.js';
import { type Cost, costTable } from './costs.js';
import { measureDirectories } from './directories.js';
import { withSection } from './document.js';

const RECORD = fileURLToPath(new URL('../../../docs/performance.json', import.meta.url));

try {
  process.exitCode = await main(parseBenchArguments(process.argv.slice(2)));
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(args: BenchArguments): Promise<number> {
  if (args.mode === 'help') console.log(USAGE);
  if (args.mode === 'directories') await measureDirectories(args);
  if (args.mode === 'compare') await compareAndWrite(args);
  return args.mode === 'check' ? await check(args) : 0;
}

async function compareAndWrite(args: BenchArguments): Promise<void> {
  const { comparison, costs } = await compare(args);
  print(args, comparison, costs);
  write(args, comparison, costs);
  if (!args.record) return;
  const record = mergeRecords(readRecord(), recordOf(comparison));
  writeFileSync(RECORD, `${JSON.stringify(record, null, 2)}\n`);
}

async function check(args: BenchArguments): Promise<number> {
  const record = readRecord();
  if (record === null) {
    throw new Error(
      `Cannot check: nothing is recorded in ${RECORD}; run with --against and --record first`,
    );
  }
  const names = record.competitors.filter((name) => name !== 'shoal');
  const chosen = args.chosen.filter(({ id }) => record.rows[id] !== undefined);
  if (chosen.length === 0) throw new Error('Cannot check: none of these workloads is recorded');
  const against = args.against ?? names.map(competitorNamed);
  const { comparison, costs } = await compare({ ...args, chosen, against });
  print(args, comparison, costs);
  write(args, comparison, costs);
  const losses = lossesSince(record, comparison);
  console.error(`bench: held against the record of ${record.circumstances.date}`);
  for (const { name, before, after } of losses) {
    console.error(
      `bench: LOST: ${name}: ${before.toFixed(2)} of the best peer then, ${after.toFixed(2)} now`,
    );
  }
  if (losses.length === 0) console.error('bench: no row lost more than 10 %');
  return losses.length === 0 ? 0 : 1;
}

function print(args: BenchArguments, comparison: Comparison, costs: Record<string, Cost>): void {
  if (args.json) {
    console.log(JSON.stringify({ ...comparison, sizes: args.sizes, costs }, null, 2));
    return;
  }
  console.log(comparisonTable(comparison));
  if (Object.keys(costs).length > 0) console.log(`\n${costTable(costs)}`);
}

function write(args: BenchArguments, comparison: Comparison, costs: Record<string, Cost>): void {
  if (args.markdown !== null) {
    const old = existsSync(args.markdown) ? readFileSync(args.markdown, 'utf8') : '';
    let text = withSection(old, 'comparison', comparisonTable(comparison));
    if (Object.keys(costs).length > 0) text = withSection(text, 'costs', costTable(costs));
    writeFileSync(args.markdown, text);
  }
  if (args.svg !== null) writeFileSync(args.svg, barChartSvg(chartOf(comparison)));
}

function readRecord(): BenchRecord | null {
  return existsSync(RECORD) ? parseRecord(readFileSync(RECORD, 'utf8')) : null;
}
