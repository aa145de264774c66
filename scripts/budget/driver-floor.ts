/** What waits for the disk, on a file system that does nothing else. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { withServed } from '../benchmark/served-directory.js';
import type { Sizes } from '../benchmark/sizes.js';
import { median } from '../benchmark/statistics.js';
import { chooseWorkloads } from '../benchmark/workloads.js';

const MEMORY_MOUNT = fileURLToPath(new URL('./memory-mount.js', import.meta.url));
const ROUNDS = 3;
/** Workloads of calls that wait for the disk, one after the other. */
const SYNCED_WORKLOADS = ['append', 'sqlite', 'sqlite-wal'] as const;

/** Microseconds for one operation, by workload. */
export type SyncedFigures = Record<(typeof SYNCED_WORKLOADS)[number], number>;

/** Measures in a folder on the disk in question. */
export async function syncedFigures(folder: string, sizes: Sizes): Promise<SyncedFigures> {
  const directory = path.join(folder, 'memory');
  mkdirSync(directory);
  const server = [MEMORY_MOUNT, path.join(folder, 'synced')];
  return await withServed(server, directory, async () => {
    const figures: SyncedFigures = { append: 0, sqlite: 0, 'sqlite-wal': 0 };
    for (const id of SYNCED_WORKLOADS) figures[id] = await timeOf(id, directory, sizes);
    return figures;
  });
}

async function timeOf(id: string, folder: string, sizes: Sizes): Promise<number> {
  const [workload] = chooseWorkloads([id]);
  if (workload === undefined) throw new Error(`There is no workload '${id}'`);
  const place = { folder, source: folder, sizes };
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await workload.prepare?.(place);
    const { seconds, operations } = await workload.run(place);
    times.push((seconds * 1e6) / operations);
  }
  return median(times);
}
