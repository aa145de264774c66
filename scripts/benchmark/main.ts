/** Measures directories with fixed workloads: `scripts/bench [OPTIONS] DIR [DIR...]`. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { writeSourceTree } from '../../test/support/source-tree.js';
import { findMountProcess, MemorySampler, residentBytes } from './mount-process.js';
import { type DirectoryReport, formatTable } from './report.js';
import {
  FULL_SIZES,
  makeFolder,
  measure,
  type Place,
  QUICK_SIZES,
  workloads,
} from './workloads.js';

const USAGE = `Usage: scripts/bench [OPTIONS] DIR [DIR...]

Measures each directory with the same workloads and prints rates, and their ratio to the first directory.
Every workload starts with everything before it written back. "Cold" means that the kernel's caches were dropped,
which needs root. Works in a folder of its own in DIR, and removes it.

  --quick        small sizes: half a minute instead of minutes; rates are less sure
  --only NAME    only workloads with NAME in their name; may be given several times
  --pid PID      the process whose memory is shown (found by itself for a FUSE mount)
  --json         print JSON
  --help         print this`;

/** How long a mount is left alone before its idle memory is read. */
const IDLE_MS = 10_000;

interface Measured {
  place: Place;
  report: DirectoryReport;
  sampler: MemorySampler | null;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      pid: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || positionals.length === 0) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  for (const directory of positionals) {
    if (!statSync(directory).isDirectory())
      throw new Error(`Cannot measure '${directory}': it is no directory`);
  }
  const chosen = workloads.filter(
    ({ name }) => values.only.length === 0 || values.only.some((only) => name.includes(only)),
  );
  if (chosen.length === 0)
    throw new Error(`No workload has '${values.only.join("' or '")}' in its name`);
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) console.error('bench: not root: caches are not dropped, and what says cold is warm');

  const sizes = values.quick ? QUICK_SIZES : FULL_SIZES;
  const source = mkdtempSync(path.join(tmpdir(), 'shoal-bench-'));
  const measured: Measured[] = [];
  const cleanUp = () => {
    for (const { place, sampler } of measured) {
      sampler?.stop();
      rmSync(place.folder, { recursive: true, force: true });
    }
    rmSync(source, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      cleanUp();
      process.exit(1);
    });
  }
  try {
    writeSourceTree(source, { files: sizes.treeFiles, bytes: sizes.treeBytes, seed: 1 });
    for (const directory of positionals) {
      const given = values.pid === undefined ? null : Number(values.pid);
      const pid = given ?? findMountProcess(directory);
      const report: DirectoryReport = { directory, rates: {} };
      if (pid !== null) {
        const idleBefore = residentBytes(pid);
        if (idleBefore === 0) throw new Error(`Cannot read the memory of process ${pid}`);
        report.memory = { pid, idleBefore, peak: 0, idleAfter: 0 };
      }
      const place = { folder: makeFolder(directory), source, sizes };
      measured.push({ place, report, sampler: pid === null ? null : new MemorySampler(pid) });
    }
    // One workload on all directories before the next one: what disturbs the machine disturbs all alike.
    for (const workload of chosen) {
      for (const { place, report } of measured) {
        report.rates[workload.name] = await measure(workload, place);
        if (!values.json)
          console.error(
            `${workload.name}: ${report.directory}: ${report.rates[workload.name]?.toFixed(1)} ${workload.unit}`,
          );
      }
    }
    await readIdleMemory(measured);
  } finally {
    cleanUp();
  }
  const reports = measured.map(({ report }) => report);
  if (values.json) console.log(JSON.stringify({ sizes, cold: isRoot, reports }, null, 2));
  else console.log(`\n${formatTable(chosen, reports)}`);
  return 0;
}

async function readIdleMemory(measured: readonly Measured[]): Promise<void> {
  if (measured.every(({ sampler }) => sampler === null)) return;
  await sleep(IDLE_MS);
  for (const { report, sampler } of measured) {
    if (sampler === null || report.memory === undefined) continue;
    sampler.stop();
    report.memory.peak = sampler.peakBytes;
    report.memory.idleAfter = residentBytes(report.memory.pid);
  }
}
