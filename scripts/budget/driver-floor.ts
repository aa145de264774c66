/** What waits for the disk, on a file system that does nothing else. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { command } from '../../test/support/command.js';
import type { Sizes } from '../benchmark/sizes.js';
import { median } from '../benchmark/statistics.js';
import { chooseWorkloads } from '../benchmark/workloads.js';

const MEMORY_MOUNT = fileURLToPath(new URL('./memory-mount.js', import.meta.url));
const MOUNT_MS_MAX = 10_000;
const ROUNDS = 3;
/** The workloads that one call of after the other waits for the disk. */
export const SYNCED_WORKLOADS = ['append', 'sqlite', 'sqlite-wal'] as const;

/** Microseconds for one operation, by workload. */
export type SyncedFigures = Record<(typeof SYNCED_WORKLOADS)[number], number>;

/** Measures in a folder on the disk in question. */
export async function syncedFigures(folder: string, sizes: Sizes): Promise<SyncedFigures> {
  const directory = path.join(folder, 'memory');
  mkdirSync(directory);
  const device = statSync(directory).dev;
  const server = spawn(process.execPath, [MEMORY_MOUNT, directory, path.join(folder, 'synced')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(server, 'exit');
  try {
    const deadline = performance.now() + MOUNT_MS_MAX;
    while (statSync(directory).dev === device) {
      if (server.exitCode !== null || performance.now() > deadline) {
        throw new Error('A file system in memory cannot be mounted');
      }
      await sleep(20);
    }
    const figures: SyncedFigures = { append: 0, sqlite: 0, 'sqlite-wal': 0 };
    for (const id of SYNCED_WORKLOADS) figures[id] = await timeOf(id, directory, sizes);
    return figures;
  } finally {
    if (statSync(directory).dev !== device) await command('umount', [directory]);
    else server.kill();
    await ended;
  }
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
