/**
 * How near the kernel driver comes to the fastest a plain Node process can be: `scripts/bench-driver [--probe PATH]`.
 *
 * The same three measurements run against the driver with a file system that does nothing, and, when the path of a
 * reference server is given (a script that mounts the directory it is given), against that, in turns. Every
 * measurement is a program's, not this process's: it must not touch its own mount.
 *
 * With `--serve DIR` this script is the server of the driver's side. With `--json` it prints the driver's medians only.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { NoOpFileSystem } from '../test/mount/support/no-op-file-system.js';
import { serveForBenchmark, withServed } from './benchmark/served-directory.js';

const MEBIBYTE = 1 << 20;
const READ_MIB = 1024;
const WRITE_MIB = 1024;
const LOOKUPS = 30_000;
const RUNS = 3;

/** Asks for names that are not there, one after the other, each another one; prints the seconds it took. */
const LOOKUP_PROGRAM = `
  const { statSync } = require('node:fs');
  const began = process.hrtime.bigint();
  for (let i = 0; i < ${LOOKUPS}; i++) statSync(process.argv[1] + '/x' + i, { throwIfNoEntry: false });
  console.log(Number(process.hrtime.bigint() - began) / 1e9);`;

interface Rates {
  'cold reads, MB/s': number;
  '1 MiB writes, MB/s': number;
  'lookups, 1/s': number;
}

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    probe: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    serve: { type: 'string' },
  },
});

if (options.serve !== undefined) await serveForBenchmark(new NoOpFileSystem(), options.serve);
else await compare(Number(options.rounds), options.probe);

async function compare(rounds: number, probe: string | undefined): Promise<void> {
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError('--rounds must be 1 or more');
  const servers: Record<string, string[]> = {
    driver: [process.argv[1] ?? '', '--serve'],
    ...(probe === undefined ? {} : { probe: [probe] }),
  };
  const results: Record<string, Rates[]> = {};
  for (let round = 0; round < rounds; round++) {
    // In turns, and each first in every other round: the machine's other load hits both.
    const names = Object.keys(servers);
    for (const name of round % 2 === 0 ? names : names.reverse()) {
      const rates = await measure(servers[name] ?? []);
      results[name] = [...(results[name] ?? []), rates];
      if (!options.json) console.log(`round ${round + 1}, ${name.padEnd(6)}  ${format(rates)}`);
    }
  }
  if (options.json) {
    console.log(JSON.stringify(medianOf(results.driver ?? [])));
    return;
  }
  console.log(`\nmedian of ${rounds} rounds, ${cpus().length} processors, Node ${process.version}`);
  const medians = Object.fromEntries(
    Object.entries(results).map(([name, rates]) => [name, medianOf(rates)]),
  );
  for (const [name, rates] of Object.entries(medians)) {
    console.log(`${name.padEnd(6)}  ${format(rates)}`);
  }
  const { driver, probe: ceiling } = medians;
  if (driver === undefined || ceiling === undefined) return;
  for (const key of Object.keys(driver) as (keyof Rates)[]) {
    console.log(`driver / probe, ${key.padEnd(18)} ${(driver[key] / ceiling[key]).toFixed(2)}`);
  }
}

/** Starts a server on a directory of its own, measures, unmounts. */
async function measure(server: string[]): Promise<Rates> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-driver-'));
  try {
    return await withServed(server, directory, async () => {
      const read = ['dd', `if=${directory}/f`, 'of=/dev/null', 'bs=1M'];
      const write = ['dd', 'if=/dev/zero', `of=${directory}/w`, 'bs=1M', `count=${WRITE_MIB}`];
      const lookup = [process.execPath, '-e', LOOKUP_PROGRAM, directory];
      return {
        'cold reads, MB/s': await best(() => megabytesPerSecond(READ_MIB, read)),
        '1 MiB writes, MB/s': await best(() =>
          megabytesPerSecond(WRITE_MIB, [...write, 'conv=notrunc']),
        ),
        'lookups, 1/s': await best(async () => LOOKUPS / Number(await run(lookup))),
      };
    });
  } finally {
    rmdirSync(directory);
  }
}

async function megabytesPerSecond(mebibytes: number, command: string[]): Promise<number> {
  const began = performance.now();
  await run(command);
  return (mebibytes * MEBIBYTE) / 1e6 / ((performance.now() - began) / 1000);
}

/** The best of a few runs, the first of which warms the server up. Each open drops the kernel's cache of the file. */
async function best(measureOnce: () => Promise<number>): Promise<number> {
  let rate = 0;
  for (let run = 0; run < RUNS; run++) rate = Math.max(rate, await measureOnce());
  return rate;
}

/** Runs a program; returns what it printed. */
function run([command = '', ...args]: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ended with ${code}: ${errors}`));
    });
  });
}

function medianOf(all: Rates[]): Rates {
  const median = (key: keyof Rates) => {
    const sorted = all.map((rates) => rates[key]).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  };
  return {
    'cold reads, MB/s': median('cold reads, MB/s'),
    '1 MiB writes, MB/s': median('1 MiB writes, MB/s'),
    'lookups, 1/s': median('lookups, 1/s'),
  };
}

function format(rates: Rates): string {
  return Object.entries(rates)
    .map(([key, rate]) => `${key}: ${Math.round(rate).toString().padStart(6)}`)
    .join('   ');
}
