/** Reads all that is stored, slowly and again and again: a disk loses bytes in silence. What is damaged is taken away and fetched anew. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CoreContext } from 'hypercore';
import { averageBlockBytes, type HostedLogs } from './hosted-logs.js';
import type { RateBudget } from './rate-budget.js';
import { HOSTED_LOGS, type HostedLog } from './wire/hosts-messages.js';

/** Between two rounds. */
const REST_MS = 60_000;
/** While there is nothing to read. */
const EMPTY_REST_MS = 1000;

export interface ScrubFigures {
  /** Blocks read since the start. */
  blocks: number;
  /** Blocks that were not what they should be, also when others asked for them. */
  damaged: number;
  /** Milliseconds since 1970 when everything had been read once more; null before that. */
  roundMs: number | null;
}

export class Scrubber {
  readonly figures: ScrubFigures = { blocks: 0, damaged: 0, roundMs: null };
  readonly #logs: HostedLogs;
  readonly #budget: RateBudget;

  constructor(logs: HostedLogs, budget: RateBudget) {
    this.#logs = logs;
    this.#budget = budget;
  }

  /** Ends when the signal aborts. Throws what the store throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const before = this.figures.blocks;
      for (const log of HOSTED_LOGS) await this.#readAll(log, signal);
      const isEmpty = this.figures.blocks === before;
      if (!isEmpty) this.figures.roundMs = Date.now();
      await sleep(isEmpty ? EMPTY_REST_MS : REST_MS, undefined, { signal });
    }
  }

  async #readAll(log: HostedLog, signal: AbortSignal): Promise<void> {
    const core = this.#logs.get(log);
    const { bitfield } = core.core as CoreContext;
    for (let block = 0; ; block++) {
      block = bitfield.findFirst(true, block);
      if (block < 0 || block >= core.length) return;
      await this.#budget.take(averageBlockBytes(core), signal);
      if (signal.aborted || !bitfield.get(block)) continue;
      this.figures.blocks++;
      await this.#logs.readBlock(log, block);
    }
  }
}
