/** Measures directories that are there, each once. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeSourceTree } from '../../test/support/source-tree.js';
import type { BenchArguments } from './bench-arguments.js';
import { findMountProcess, MemorySampler, residentBytes } from './mount-process.js';
import { type DirectoryReport, formatTable } from './report.js';
import { makeFolder, measure, type Place } from './workloads.js';

interface Measured {
  place: Place;
  report: DirectoryReport;
  sampler: MemorySampler | null;
}

export async function measureDirectories(args: BenchArguments): Promise<void> {
  for (const directory of args.directories) {
    if (!statSync(directory).isDirectory())
      throw new Error(`Cannot measure '${directory}': it is no directory`);
  }
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) console.error('bench: not root: caches are not dropped, and what says cold is warm');

  const { sizes, chosen } = args;
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
    for (const directory of args.directories) {
      const pid = args.pid ?? findMountProcess(directory);
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
        if (!args.json)
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
  if (args.json) console.log(JSON.stringify({ sizes, cold: isRoot, reports }, null, 2));
  else console.log(`\n${formatTable(chosen, reports)}`);
}

async function readIdleMemory(measured: readonly Measured[]): Promise<void> {
  if (measured.every(({ sampler }) => sampler === null)) return;
  await sleep(measured[0]?.place.sizes.idleMs);
  for (const { report, sampler } of measured) {
    if (sampler === null || report.memory === undefined) continue;
    sampler.stop();
    report.memory.peak = sampler.peakBytes;
    report.memory.idleAfter = residentBytes(report.memory.pid);
  }
}
