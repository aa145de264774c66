/** What is measured as a whole on file systems that do next to nothing, behind the same driver. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { withServed } from '../benchmark/served-directory.js';
import type { Sizes } from '../benchmark/sizes.js';
import { median } from '../benchmark/statistics.js';
import { chooseWorkloads, measure } from '../benchmark/workloads.js';

const MEMORY_MOUNT = fileURLToPath(new URL('./memory-mount.js', import.meta.url));
const SEALED_MOUNT = fileURLToPath(new URL('./sealed-mount.js', import.meta.url));
const ROUNDS = 3;
/** Workloads of calls that wait for the disk, one after the other, and one whose calls have the kernel make what it forgot. */
const MEMORY_WORKLOADS = ['append', 'sqlite', 'sqlite-wal', 'stat'] as const;

/** Microseconds for one operation, by workload. */
export type MemoryFigures = Record<(typeof MEMORY_WORKLOADS)[number], number>;

/** Measures in a folder on the disk in question. */
export async function memoryFigures(folder: string, sizes: Sizes): Promise<MemoryFigures> {
  const directory = path.join(folder, 'memory');
  mkdirSync(directory);
  const server = [MEMORY_MOUNT, path.join(folder, 'synced')];
  return await withServed(server, directory, async () => {
    const figures: MemoryFigures = { append: 0, sqlite: 0, 'sqlite-wal': 0, stat: 0 };
    for (const id of MEMORY_WORKLOADS) figures[id] = await timeOf(id, directory, sizes);
    return figures;
  });
}

/** A file that lies sealed on the disk, read by streams in MB/s. */
export interface SealedFigures {
  /** The first one of the server's process. */
  sealedFirst: number;
  /** The next one. */
  sealedAgain: number;
}

/** Measures in a folder on the disk in question. */
export async function sealedFigures(folder: string, sizes: Sizes): Promise<SealedFigures> {
  const directory = path.join(folder, 'sealed');
  mkdirSync(directory);
  const server = [SEALED_MOUNT, path.join(folder, 'sealed-file'), String(sizes.largeMebibytes)];
  const rates: Record<keyof SealedFigures, number[]> = { sealedFirst: [], sealedAgain: [] };
  for (let round = 0; round < ROUNDS; round++) {
    await withServed(server, directory, async () => {
      for (const list of Object.values(rates)) {
        list.push(1 / (await timeOnce('seq-read', directory, sizes)));
      }
    });
  }
  return { sealedFirst: median(rates.sealedFirst), sealedAgain: median(rates.sealedAgain) };
}

async function timeOf(id: string, folder: string, sizes: Sizes): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    times.push(1e6 * (await timeOnce(id, folder, sizes)));
  }
  return median(times);
}

/** Seconds for one operation, or a megabyte. */
async function timeOnce(id: string, folder: string, sizes: Sizes): Promise<number> {
  const [workload] = chooseWorkloads([id]);
  if (workload === undefined) throw new Error(`There is no workload '${id}'`);
  return 1 / (await measure(workload, { folder, source: folder, sizes }));
}
