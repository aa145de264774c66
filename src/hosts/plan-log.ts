/** The owner's plan log: the newest plan and garbage, and new records. */
import type Hypercore from 'hypercore';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import {
  decodePlan,
  decodePlanGarbage,
  encodePlan,
  encodePlanGarbage,
  type Plan,
  type PlanGarbage,
  planRecordKind,
} from './plan-record.js';

/** Of a drive that has no hosts yet. */
export const FIRST_PLAN: Plan = {
  timeMs: 0,
  repairAfterMs: limits.host_repair_after_ms,
  scheme: { kind: 'erasure', data: 4, parity: 2 },
  epochs: [],
  hosts: [],
  garbageBlock: null,
};

export class PlanLog {
  readonly #core: Hypercore;
  #plan: Plan = FIRST_PLAN;
  /** Blocks of the log with the plan in force: hosts that know fewer go by an older one. */
  #planLength = 0;
  #writing: Promise<void> = Promise.resolve();

  /** @param core A session that may append, ready. Use {@link PlanLog.open}. */
  private constructor(core: Hypercore) {
    this.#core = core;
  }

  /** Throws DamagedError, StoreError. */
  static async open(core: Hypercore): Promise<PlanLog> {
    const log = new PlanLog(core);
    for (let index = core.length - 1; index >= 0; index--) {
      const block = await readBlock(core, index);
      if (planRecordKind(block) !== 'plan') continue;
      log.#plan = decodePlan(block);
      log.#planLength = index + 1;
      break;
    }
    return log;
  }

  get core(): Hypercore {
    return this.#core;
  }
  get plan(): Plan {
    return this.#plan;
  }
  get planLength(): number {
    return this.#planLength;
  }

  /** The garbage of the plan in force; null for none. Throws DamagedError. */
  async garbage(): Promise<PlanGarbage | null> {
    const { garbageBlock } = this.#plan;
    if (garbageBlock === null) return null;
    return decodePlanGarbage(await readBlock(this.#core, garbageBlock));
  }

  /** Says which blocks are garbage, unless the plan in force says so. Throws DamagedError, and what the log throws. */
  async sayGarbage(garbage: PlanGarbage): Promise<void> {
    const said = await this.garbage();
    if (said !== null && encodePlanGarbage(said).equals(encodePlanGarbage(garbage))) return;
    await this.change((plan) => plan, garbage);
  }

  /** Changes the plan, one change after the other. Not synced yet. Throws what the log throws. */
  change(changed: (plan: Plan) => Plan, garbage?: PlanGarbage): Promise<void> {
    const write = async (): Promise<void> => {
      const blocks: Buffer[] = [];
      let plan = changed(this.#plan);
      if (garbage !== undefined) {
        plan = { ...plan, garbageBlock: this.#core.length };
        blocks.push(encodePlanGarbage(garbage));
      }
      plan = { ...plan, timeMs: Date.now() };
      blocks.push(encodePlan(plan));
      const { length } = await this.#core.append(blocks);
      this.#plan = plan;
      this.#planLength = length;
    };
    const written = this.#writing.then(write);
    // A failed change is told to who made it.
    this.#writing = written.catch(() => undefined);
    return written;
  }
}

async function readBlock(core: Hypercore, index: number): Promise<Buffer> {
  const block = await core.get(index, { wait: false });
  if (block === null) throw new DamagedError(`Cannot read block ${index} of the plan log`);
  return block;
}
