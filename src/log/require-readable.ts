import type Hypercore from 'hypercore';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { localStretches } from './hash-tree.js';

/**
 * Reads all blocks of logs that are here, before the database is told to move them: it takes no more writes once it has come
 * upon one that is damaged. `pause` is called between batches. Throws DamagedError.
 */
export async function requireReadable(
  cores: readonly Hypercore[],
  pause: () => Promise<void> | undefined,
): Promise<void> {
  for (const core of cores) {
    for (const [start, end] of localStretches(core, [[0, core.length]])) {
      for (let block = start; block < end; block += limits.check_reads_max) {
        await readBatch(core, block, Math.min(end, block + limits.check_reads_max));
        await pause();
      }
    }
  }
}

async function readBatch(core: Hypercore, start: number, end: number): Promise<void> {
  const read = core.state?.storage?.read();
  if (read === undefined) return;
  const blocks = Array.from({ length: end - start }, (_, i) => read.getBlock(start + i));
  read.tryFlush();
  for (const result of await Promise.allSettled(blocks)) {
    if (result.status === 'fulfilled') continue;
    throw new DamagedError(
      `The space is not given back, since a block that would be moved is damaged (${String(result.reason)}); unmount, and run 'shoal check NAME --repair'`,
      { cause: result.reason },
    );
  }
}
