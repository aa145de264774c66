/** What a host tells of itself. */
import type { Capacity } from './capacity.js';
import type { Duty } from './duty.js';
import { averageBlockBytes, type HostedLogs } from './hosted-logs.js';
import type { MissingBlocks } from './missing-blocks.js';
import { parityLength } from './stripe-reader.js';
import type { ConfirmedLog, HostedLog, HostState } from './wire/hosts-messages.js';

export interface Holdings {
  logs: HostedLogs;
  /** Of what is owed under the duty. */
  missing: Partial<Record<HostedLog, MissingBlocks>>;
  storedBytes: number;
  capacity: Capacity;
  isLeaving: boolean;
}

/** Only what is here: whoever tells it to others syncs the store first. */
export function hostStateOf(duty: Duty, holdings: Holdings): HostState {
  const { logs, missing, storedBytes, capacity, isLeaving } = holdings;
  let missingBlocks = 0;
  let missingBytes = 0;
  for (const [name, { count }] of Object.entries(missing)) {
    missingBlocks += count;
    missingBytes += count * averageBlockBytes(logs.get(name as HostedLog));
  }
  const confirmed = (name: HostedLog, lengthMax = Number.POSITIVE_INFINITY): ConfirmedLog => ({
    fork: logs.get(name).fork,
    length: Math.min(lengthMax, missing[name]?.completeTo ?? 0),
  });
  return {
    planLength: duty.view.length,
    tree: confirmed('tree'),
    // What was appended since is not looked at yet.
    content: confirmed('content', duty.layout.contentLength),
    // Records that came since are of stripes of which it owes other blocks, once it has looked.
    stripe: confirmed('stripe', duty.layout.stripeLength),
    parity: confirmed('parity', parityLength(duty.layout)),
    missingBlocks,
    missingBytes,
    storedBytes: Math.max(0, storedBytes),
    capacityBytes: capacity.capacityBytes,
    freeBytes: capacity.freeBytes,
    leaving: isLeaving,
    // As of the placement that the rest is about.
    missed: [...duty.missed],
    failing: [...duty.failing],
    gone: [...duty.gone].sort((a, b) => a - b),
  };
}
