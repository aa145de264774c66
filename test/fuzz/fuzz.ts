/** Runs decoders on broken inputs, the same for the same seed. */
import { getHeapStatistics } from 'node:v8';
import { SeededRandom } from '../support/seeded-random.js';
import type { Target } from './target.js';
import { fuseTarget } from './targets/fuse.js';
import { hostRecordTargets } from './targets/host-records.js';
import { hostTargets } from './targets/hosts.js';
import { peerTarget } from './targets/peer.js';
import { recordTargets } from './targets/records.js';
import { textTargets } from './targets/texts.js';
import { treeTarget } from './targets/tree.js';

/** One input may take so much memory at once; the largest that are taken have some hundred KiB. */
const STEP_BYTES_MAX = 128 << 20;
/** Keeps apart the random numbers of two steps. */
const STEP_STRIDE = 0x9e37_79b9;

export interface FuzzOptions {
  seed: number;
  /** First step, to begin where another run ended. */
  from?: number;
  steps: number;
  /** Only targets with this in their name. */
  only?: string | undefined;
  onStep?: (step: number) => void;
}

/** How often a target took its input, and how often it refused it. */
export type FuzzCounts = Map<string, { taken: number; refused: number }>;

export class Fuzzer {
  readonly #targets: readonly Target[];
  readonly #rarities: number;

  private constructor(targets: readonly Target[]) {
    this.#targets = targets;
    this.#rarities = targets.reduce((sum, { rarity }) => sum + 1 / rarity, 0);
  }

  static async open(): Promise<Fuzzer> {
    const opened = [await treeTarget(), await peerTarget()];
    return new Fuzzer([
      ...recordTargets,
      ...hostRecordTargets,
      ...textTargets(),
      ...hostTargets,
      fuseTarget,
      ...opened,
    ]);
  }

  /** Throws an error that names seed, step and decoder. */
  async run(options: FuzzOptions): Promise<FuzzCounts> {
    const { seed, from = 0, steps, only = '', onStep } = options;
    const counts: FuzzCounts = new Map();
    for (let step = from; step < from + steps; step++) {
      onStep?.(step);
      const random = new SeededRandom((seed + Math.imul(step, STEP_STRIDE)) >>> 0);
      // The first numbers of seeds that are close together are close together, too.
      random.next();
      const target = this.#pick(random.next());
      if (!target.name.includes(only)) continue;
      const count = counts.get(target.name) ?? { taken: 0, refused: 0 };
      counts.set(target.name, count);
      const before = bytesInUse();
      try {
        const result = target.run(random);
        const wasTaken = typeof result === 'boolean' ? result : await result;
        if (wasTaken) count.taken++;
        else count.refused++;
        const bytes = bytesInUse() - before;
        if (bytes > STEP_BYTES_MAX) throw new Error(`It takes ${bytes >> 20} MiB`);
      } catch (error) {
        const text = error instanceof Error ? error.stack : String(error);
        throw new Error(`Seed ${seed}, step ${step}, ${target.name}: ${text}`, { cause: error });
      }
    }
    return counts;
  }

  async close(): Promise<void> {
    for (const target of this.#targets) await target.close?.();
  }

  #pick(number: number): Target {
    let left = number * this.#rarities;
    for (const target of this.#targets) {
      left -= 1 / target.rarity;
      if (left < 0) return target;
    }
    return this.#targets[0] as Target;
  }
}

function bytesInUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}
