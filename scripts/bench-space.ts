/** Measures time and space of drives, part by part: `scripts/bench-space [OPTIONS] [PART...]`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cachePart } from './space/cache.js';
import { dedupPart } from './space/dedup.js';
import { historyPart } from './space/history.js';
import type { Figure, SpacePart } from './space/part.js';
import { rewritesPart } from './space/rewrites.js';
import { scalePart } from './space/scale.js';

/** In the order in which they run. */
const parts: readonly SpacePart[] = [dedupPart, rewritesPart, cachePart, historyPart, scalePart];

const USAGE = `Usage: scripts/bench-space [OPTIONS] [PART...]

Runs the named parts, or all, and prints their figures; one that misses what was aimed at is marked, and the exit code
is 1 then, or when a part failed. "Cold" means that the kernel's caches were dropped, which needs root.

  --quick        small sizes: minutes instead of an hour
  --sizes N,...  numbers of files, for the part 'scale'
  --folder DIR   where drives are made (a folder in it, removed at the end); the system's temporary one
  --json         print JSON
  --help         print this

Parts:
${parts.map(({ name, what }) => `  ${name.padEnd(14)} ${what}`).join('\n')}`;

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench-space: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      sizes: { type: 'string' },
      folder: { type: 'string', default: tmpdir() },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const unknown = positionals.find((name) => parts.every((part) => part.name !== name));
  if (unknown !== undefined) throw new Error(`There is no part '${unknown}'; see --help`);
  const chosen = parts.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const sizes = values.sizes?.split(',').map(Number) ?? null;
  if (sizes?.some((size) => !Number.isSafeInteger(size) || size < 100) === true) {
    throw new Error(`Cannot use --sizes ${values.sizes}: give numbers of files, at least 100`);
  }
  const folder = mkdtempSync(join(values.folder, 'bench-space-'));
  const figures: (Figure & { part: string })[] = [];
  let hasFailed = false;
  try {
    for (const part of chosen) {
      const options = {
        folder,
        quick: values.quick,
        sizes,
        say: (line: string) => console.error(line),
      };
      // What the other parts found in an hour is not lost with it.
      try {
        for (const figure of await part.run(options)) figures.push({ part: part.name, ...figure });
      } catch (error) {
        hasFailed = true;
        console.error(`bench-space: part '${part.name}' failed:`, error);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (values.json) console.log(JSON.stringify(figures, null, 2));
  else console.log(format(figures));
  return hasFailed || figures.some(isMissed) ? 1 : 0;
}

function isMissed({ value, atMost }: Figure): boolean {
  return atMost !== undefined && !(value <= atMost);
}

function format(figures: readonly (Figure & { part: string })[]): string {
  const rows = figures.map((figure) => [
    figure.part,
    figure.name,
    `${round(figure.value)} ${figure.unit}`,
    figure.atMost === undefined
      ? ''
      : `at most ${figure.atMost}${isMissed(figure) ? ': MISSED' : ''}`,
  ]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  return rows
    .map(([part, name, value, target]) =>
      `${part?.padEnd(widths[0] as number)}  ${name?.padEnd(widths[1] as number)}  ${value?.padStart(widths[2] as number)}  ${target}`.trimEnd(),
    )
    .join('\n');
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
