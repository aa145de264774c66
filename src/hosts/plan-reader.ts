/** The newest plan of a plan log, from what is here of it. */
import type Hypercore from 'hypercore';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { decodePlan, decodePlanGarbage, type Plan, planRecordKind } from './plan-record.js';

/** A plan as of a length of the plan log. */
export interface PlanView {
  /** Of the plan log. */
  length: number;
  fork: number;
  plan: Plan;
  /** Blocks of the tree log and of the content log that need not be kept. */
  treeGarbage: BlockSet;
  contentGarbage: BlockSet;
  /** The plan's record of garbage, when that is not here yet: till then nothing is known to be garbage. */
  garbageAwaited: number | null;
}

/**
 * The newest plan, as {@link readPlan} reads it, where it is not the one that is known already. A record of garbage comes by
 * itself: it may come when a later plan is here, and the log as long as it was.
 */
export async function newestPlan(
  core: Hypercore,
  known: PlanView | null,
  log: (line: string) => void,
): Promise<PlanView | null> {
  if (known !== null && known.length === core.length && known.fork === core.fork) {
    const { garbageAwaited } = known;
    if (garbageAwaited === null || !(await core.has(garbageAwaited))) return known;
  }
  return (await readPlan(core, log)) ?? known;
}

/**
 * Null when none is here yet. A record that does not decode is passed over, with a line in the log.
 */
export async function readPlan(
  core: Hypercore,
  log: (line: string) => void,
): Promise<PlanView | null> {
  const { length, fork } = core;
  for (let block = length - 1; block >= length - limits.host_plan_records_max; block--) {
    if (block < 0) return null;
    const bytes = await core.get(block, { wait: false });
    if (bytes === null) return null;
    if (planRecordKind(bytes) !== 'plan') continue;
    try {
      const plan = decodePlan(bytes);
      return { length, fork, plan, ...(await readGarbage(core, plan)) };
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      log(`Passing over record ${block} of a plan: ${error.message}`);
    }
  }
  return null;
}

async function readGarbage(
  core: Hypercore,
  { garbageBlock }: Plan,
): Promise<Pick<PlanView, 'treeGarbage' | 'contentGarbage' | 'garbageAwaited'>> {
  const treeGarbage = new BlockSet();
  const contentGarbage = new BlockSet();
  const bytes =
    garbageBlock === null || garbageBlock >= core.length
      ? null
      : await core.get(garbageBlock, { wait: false });
  // Without the record everything is kept, which is never wrong.
  if (bytes !== null && planRecordKind(bytes) === 'garbage') {
    const garbage = decodePlanGarbage(bytes);
    for (const [start, end] of garbage.tree) treeGarbage.addRange(start, end);
    for (const [start, end] of garbage.content) contentGarbage.addRange(start, end);
  }
  return { treeGarbage, contentGarbage, garbageAwaited: bytes === null ? garbageBlock : null };
}
