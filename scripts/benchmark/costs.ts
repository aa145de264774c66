/** What a mounted file system takes for what it does: processor time of its process, disk, memory. */
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskBytes } from '../space/disk-bytes.js';
import { cpuMs } from '../space/idle.js';
import { markdownTable } from './comparison-table.js';
import { residentBytes } from './mount-process.js';
import { formatNumber } from './number-format.js';
import { type RunningSubject, untilQuiet } from './subjects.js';
import { loop, settle } from './workloads.js';

/** Null is what does not apply, or could not be told. */
export interface Cost {
  /** Processor time of the process for a GiB, in seconds; what the kernel and the program do is not in it. */
  writeCpuSecondsPerGib: number | null;
  readCpuSecondsPerGib: number | null;
  /** Growth of the disk that its data takes, for each byte written to a new file that does not compress. */
  storedPerByte: number;
  /** Create, chmod, rename and unlink of empty files, the average of them. */
  metadataCpuMs: number | null;
  metadataLogBytes: number | null;
  /** Resident memory of the process, in bytes. */
  restBytes: number | null;
  peakBytes: number | null;
  /** Some time after the last work. */
  afterBytes: number | null;
}

const GIB = 2 ** 30;
const MEBIBYTE = 1 << 20;

/** Null for what has no mount. */
export async function costsOf(running: RunningSubject): Promise<Cost | null> {
  const { subject, place, sampler, restBytes } = running;
  if (subject.directory === null) return null;
  const { pid, backing } = subject;
  const cpu = () => (pid === null ? 0 : cpuMs(pid));
  const rest = async () => {
    await settle(place, false);
    await untilQuiet(pid);
    await settle(place, false);
  };
  const file = path.join(place.folder, 'cost');
  const bytes = place.sizes.largeMebibytes * MEBIBYTE;
  const perGib = (ms: number) => (pid === null ? null : (ms / 1000) * (GIB / bytes));

  await rest();
  const diskBefore = diskBytes(backing);
  let before = cpu();
  await loop('sequentialWrite', file, place.sizes.largeMebibytes, MEBIBYTE);
  await rest();
  const writeCpuSecondsPerGib = perGib(cpu() - before);
  const storedPerByte = (diskBytes(backing) - diskBefore) / bytes;

  await settle(place, true);
  before = cpu();
  await loop('sequentialRead', file, 0, MEBIBYTE);
  await untilQuiet(pid);
  const readCpuSecondsPerGib = perGib(cpu() - before);
  rmSync(file);

  await rest();
  before = cpu();
  const logBefore = (await subject.metadataLogBytes?.()) ?? null;
  const names = path.join(place.folder, 'names');
  const { operations } = await loop('changeNames', names, place.sizes.smallFiles, 0);
  await rest();
  const metadataCpuMs = pid === null ? null : (cpu() - before) / operations;
  const logAfter = (await subject.metadataLogBytes?.()) ?? null;
  if (existsSync(names)) rmSync(names, { recursive: true });

  if (pid !== null) await sleep(place.sizes.idleMs);
  return {
    writeCpuSecondsPerGib,
    readCpuSecondsPerGib,
    storedPerByte,
    metadataCpuMs,
    metadataLogBytes:
      logBefore === null || logAfter === null ? null : (logAfter - logBefore) / operations,
    restBytes: pid === null ? null : restBytes,
    peakBytes: sampler?.peakBytes ?? null,
    afterBytes: pid === null ? null : residentBytes(pid),
  };
}

const rows: readonly [name: string, unit: string, value: (cost: Cost) => number | null][] = [
  ['processor time of its process, writing', 's/GiB', (cost) => cost.writeCpuSecondsPerGib],
  ['processor time of its process, reading cold', 's/GiB', (cost) => cost.readCpuSecondsPerGib],
  ['processor time of a metadata operation', 'ms', (cost) => cost.metadataCpuMs],
  ['bytes of disk per byte written', '', (cost) => cost.storedPerByte],
  ['log of metadata per operation', 'bytes', (cost) => cost.metadataLogBytes],
  ['resident memory, mounted', 'MB', (cost) => megabytes(cost.restBytes)],
  ['resident memory, at most', 'MB', (cost) => megabytes(cost.peakBytes)],
  ['resident memory, a while after', 'MB', (cost) => megabytes(cost.afterBytes)],
];

export function costTable(costs: Readonly<Record<string, Cost>>): string {
  const head = ['cost', 'unit', ...Object.keys(costs)];
  const body = rows.map(([name, unit, value]) => [
    name,
    unit,
    ...Object.values(costs).map((cost) => {
      const number = value(cost);
      return number === null ? '–' : formatNumber(number);
    }),
  ]);
  return markdownTable(head, body, 2);
}

function megabytes(bytes: number | null): number | null {
  return bytes === null ? null : bytes / 1e6;
}
