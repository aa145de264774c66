/** Measures how files come from machines to others: `scripts/bench-swarm --help`. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import path from 'node:path';
import { markdownTable } from '../benchmark/comparison-table.js';
import { withSection } from '../benchmark/document.js';
import { formatNumber } from '../benchmark/number-format.js';
import { missingForNetwork, Network } from './network.js';
import type { SwarmFigure, SwarmPart } from './parts.js';
import {
  parseSwarmArguments,
  type SwarmArguments,
  type SwarmCondition,
  USAGE,
} from './swarm-arguments.js';
import type { SwarmSystem } from './swarm-system.js';

interface SwarmRow {
  part: string;
  condition: string;
  system: string;
  figures: SwarmFigure[];
  /** Why there are none. */
  failure: string | null;
}

/** The network that is measured now. */
let network: Network | null = null;
let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);

try {
  process.exitCode = await main(parseSwarmArguments(process.argv.slice(2)));
} catch (error) {
  console.error(`bench-swarm: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(args: SwarmArguments): Promise<number> {
  if (args.help) {
    console.log(USAGE);
    return 0;
  }
  const missing = missingForNetwork();
  if (missing !== null && args.conditions.some(({ network }) => network !== null)) {
    throw new Error(`Cannot make machines: ${missing}; or use --conditions loopback`);
  }
  const systems = args.systems.filter((system) => {
    const reason = system.missing();
    if (reason !== null) say(`left out: ${reason}`);
    return reason === null;
  });
  const loadBefore = loadavg()[0] ?? 0;
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  const wires = new Set<string>();
  const rows: SwarmRow[] = [];
  for (const part of args.parts) {
    for (const system of systems) {
      if (part.needsSwarm === true && !system.isSwarm) continue;
      for (const condition of args.conditions) {
        rows.push(await measure(args, part, system, condition, wires));
        if (isInterrupted) return 130;
      }
    }
  }
  const head = `${date}, ${cpus().length} processors, ${cpus()[0]?.model ?? '?'}, Node.js ${process.version}; all machines on this one, joined by: ${[...wires].join(', ')}; load average ${loadBefore.toFixed(1)} before, ${(loadavg()[0] ?? 0).toFixed(1)} after.`;
  const text = `${head}\n\n${tables(args, rows)}`;
  if (args.json) console.log(JSON.stringify({ head, sizes: args.sizes, rows }, null, 2));
  else console.log(text);
  if (args.markdown !== null) {
    const old = existsSync(args.markdown) ? readFileSync(args.markdown, 'utf8') : '';
    writeFileSync(args.markdown, withSection(old, 'swarm', text));
  }
  return rows.some(({ system, failure }) => failure !== null && system.startsWith('shoal')) ? 1 : 0;
}

/** Ends what is measured: everything that was started is taken away as after any failure. */
function interrupt(): void {
  isInterrupted = true;
  say('interrupted; takes away what it started');
  network?.interrupt();
}

/** What goes wrong is noted: what was measured before is not lost with it. */
async function measure(
  args: SwarmArguments,
  part: SwarmPart,
  system: SwarmSystem,
  condition: SwarmCondition,
  wires: Set<string>,
): Promise<SwarmRow> {
  const row: SwarmRow = {
    part: part.name,
    condition: condition.name,
    system: system.name,
    figures: [],
    failure: null,
  };
  const folder = mkdtempSync(path.join(args.folder, 'bench-swarm-'));
  const count = part.machines(args.sizes);
  try {
    network =
      condition.network === null
        ? Network.loopback(count)
        : await Network.open(count, condition.network, args.wire);
    if (isInterrupted) throw new Error('interrupted');
    wires.add(network.wire);
    row.figures = await part.run({ system, network, sizes: args.sizes, folder });
    const words = row.figures.map(
      ({ name, value, unit }) => `${name} ${formatNumber(value)} ${unit}`,
    );
    say(`${part.name}: ${condition.name}: ${system.name}: ${words.join(', ')}`);
  } catch (error) {
    row.failure = error instanceof Error ? error.message : String(error);
    say(`${part.name}: ${condition.name}: ${system.name} FAILED: ${row.failure}`);
  } finally {
    await network?.close();
    network = null;
    rmSync(folder, { recursive: true, force: true });
  }
  return row;
}

/** A table for each part: a line for each system, a column for each figure under each condition. */
function tables(args: SwarmArguments, rows: readonly SwarmRow[]): string {
  return args.parts
    .map((part) => {
      const own = rows.filter((row) => row.part === part.name);
      const names = [
        ...new Set(
          own.flatMap(({ figures }) => figures.map(({ name, unit }) => `${name}, ${unit}`)),
        ),
      ];
      const body = own.map(({ condition, system, figures, failure }) => [
        condition,
        system,
        ...names.map((name) => {
          const figure = figures.find((each) => `${each.name}, ${each.unit}` === name);
          if (figure !== undefined) return formatNumber(figure.value);
          return failure === null ? '–' : 'failed';
        }),
      ]);
      return `**${part.what(args.sizes)}**\n\n${markdownTable(['way', 'by', ...names], body, 2)}`;
    })
    .join('\n\n');
}

function say(line: string): void {
  console.error(`bench-swarm: ${line}`);
}
