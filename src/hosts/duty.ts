/** What a host is to a drive at present: its place in the plan, who else is counted on, and what is owed because of that. */
import { BlockSet } from '../log/block-set.js';
import { OwedBlocks } from './owed-blocks.js';
import { type Placement, placementOf } from './placement.js';
import type { PlanView } from './plan-reader.js';
import { isKeeping } from './plan-record.js';
import type { Layout } from './stripes.js';

export interface Duty {
  view: PlanView;
  layout: Layout;
  /** Forks of the logs that the layout is of. */
  forks: string;
  /** This host's place in the plan; -1 when it is not in it (yet). */
  self: number;
  /** Indexes of hosts that this one misses, and whose audits fail. Ascending. */
  missed: readonly number[];
  failing: readonly number[];
  /** Indexes of hosts that are not counted on, though the plan has them. */
  gone: ReadonlySet<number>;
  placement: Placement;
  /** As if no host were missed. */
  basePlacement: Placement;
  owed: OwedBlocks;
  /** What is owed also when no host is missed. */
  baseOwed: OwedBlocks;
}

export type Circumstances = Pick<
  Duty,
  'view' | 'layout' | 'forks' | 'self' | 'missed' | 'failing' | 'gone'
>;

/** The duty under new circumstances: the one before with a longer log, or another one, of which nothing is computed yet. */
export function nextDuty(before: Duty | null, now: Circumstances): Duty {
  const { view, forks, self, gone } = now;
  if (
    before !== null &&
    before.view === view &&
    before.forks === forks &&
    isSameSet(before.gone, gone)
  ) {
    return { ...before, ...now };
  }
  const placed = (isGone: (index: number) => boolean): Placement =>
    placementOf(
      view.plan,
      (index) => view.plan.hosts[index]?.status === 'active' && !isGone(index),
    );
  const basePlacement = placed(() => false);
  const placement = gone.size === 0 ? basePlacement : placed((index) => gone.has(index));
  const baseOwed = new OwedBlocks(self, basePlacement, view.contentGarbage);
  const owed = gone.size === 0 ? baseOwed : new OwedBlocks(self, placement, view.contentGarbage);
  return { ...now, placement, basePlacement, owed, baseOwed };
}

/** Looks at what is new in the logs. */
export async function extendDuty(
  { owed, baseOwed, layout }: Duty,
  pause: () => Promise<void> | undefined,
): Promise<void> {
  await owed.extend(layout, pause);
  if (baseOwed !== owed) await baseOwed.extend(layout, pause);
}

/** Blocks of the tree log that are owed. */
export function owedOfTree(duty: Duty, length: number): BlockSet {
  return duty.self < 0 || isReleased(duty)
    ? new BlockSet()
    : duty.view.treeGarbage.complement(length);
}

/** The owner has taken the host off the plan: it is not to keep the drive any longer than it must. */
export function isDismissed({ view, self }: Duty): boolean {
  const status = view.plan.hosts[self]?.status;
  return status !== undefined && !isKeeping(status);
}

/**
 * All that the host had is elsewhere, as the owner has it: nothing is owed any more. That does not go for one that was dropped,
 * which may be honest and have a bad disk: most of what it has may be good, and is not elsewhere yet.
 */
export function isReleased({ view, self }: Duty): boolean {
  return view.plan.hosts[self]?.status === 'gone';
}

function isSameSet(some: ReadonlySet<number>, other: ReadonlySet<number>): boolean {
  if (some.size !== other.size) return false;
  for (const each of some) if (!other.has(each)) return false;
  return true;
}
