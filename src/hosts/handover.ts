/** Whether what a host has of a drive is elsewhere, so that it can go. */
import type { Duty } from './duty.js';
import { isReleased } from './duty.js';
import { hostsNeeded } from './hosts-needed.js';
import { parityLength } from './stripe-reader.js';
import type { HostState } from './wire/hosts-messages.js';
import type { HostsWire } from './wire/hosts-wire.js';

export interface Handover {
  /** Nothing here is needed any more. */
  isDone: boolean;
  /** Why it cannot be done as things are; null while it only takes time. */
  obstacle: string | null;
  /** Hosts that have not taken over all that they should, or are not connected. */
  waitingFor: number;
  /** Blocks that they are still to get, as far as they say. */
  missingBlocks: number;
}

/**
 * @param duty Null until the plan was looked at.
 * @param lengths Of the logs here.
 */
export function handoverOf(
  duty: Duty | null,
  wire: HostsWire,
  lengths: { plan: number; tree: number },
): Handover {
  const handover: Handover = { isDone: false, obstacle: null, waitingFor: 0, missingBlocks: 0 };
  // Without a plan, and outside of it, nothing was ever confirmed. One that was not looked at yet may count on this host.
  if (duty === null) return { ...handover, isDone: lengths.plan === 0 };
  if (duty.self < 0 || isReleased(duty)) return { ...handover, isDone: true };
  const { view, self, gone, layout } = duty;
  const others = view.plan.hosts.filter(
    ({ status }, index) => status === 'active' && index !== self && !gone.has(index),
  );
  const needed = hostsNeeded(layout);
  if (others.length < needed) {
    const obstacle = `a stripe needs ${needed} hosts, and without this one there are ${others.length}`;
    return { ...handover, obstacle };
  }
  for (const { id } of others) {
    const state = wire.host(id)?.state ?? null;
    if (state !== null && hasTakenOver(duty, state, lengths.tree)) continue;
    handover.waitingFor++;
    handover.missingBlocks += state?.missingBlocks ?? 0;
  }
  return { ...handover, isDone: handover.waitingFor === 0 };
}

/** A host goes by a placement without this one, and has all that it owes under it on its disk. */
function hasTakenOver({ view, self, layout }: Duty, state: HostState, treeLength: number): boolean {
  const isPlaced = view.plan.hosts[self]?.status !== 'active' || state.gone.includes(self);
  return (
    isPlaced &&
    state.planLength >= view.length &&
    state.missingBlocks === 0 &&
    state.tree.length >= treeLength &&
    state.content.length >= layout.contentLength &&
    state.parity.length >= parityLength(layout)
  );
}
