/** Which scheme the blocks of the chunk log get when the hosts, the owner's wish or the log change. Pure arithmetic. */
import type { PlanEpoch, Scheme } from './plan-record.js';

export interface EpochInputs {
  /** Those of the newest plan. */
  epochs: readonly PlanEpoch[];
  /** What the owner wants. */
  scheme: Scheme;
  /** Hosts that take part in the placement. */
  activeHosts: number;
  /** Blocks of the chunk log. */
  contentLength: number;
}

/** What the number of hosts allows: an erasure code needs a host for each shard, else there are copies that survive as much. */
export function possibleScheme(scheme: Scheme, activeHosts: number): Scheme {
  if (scheme.kind === 'copies' || activeHosts >= scheme.data + scheme.parity) return scheme;
  return { kind: 'copies', data: 1, parity: scheme.parity };
}

/**
 * The epochs from now on; the same as before when nothing is to change. Blocks with an erasure code keep it. Those that
 * only have copies, up to the end, go over to the new scheme with all that comes.
 */
export function nextEpochs(inputs: EpochInputs): PlanEpoch[] {
  const { scheme, activeHosts, contentLength } = inputs;
  const wanted = possibleScheme(scheme, activeHosts);
  // Behind the end there are epochs when the log went on, shorter, under a new fork.
  const epochs = inputs.epochs.filter(({ fromBlock }) => fromBlock <= contentLength);
  const last = epochs.at(-1);
  if (last !== undefined && isSameScheme(last, wanted)) return epochs;
  let fromBlock = 0;
  while (epochs.at(-1)?.kind === 'copies') fromBlock = (epochs.pop() as PlanEpoch).fromBlock;
  const before = epochs.at(-1);
  if (before === undefined) {
    return [{ fromBlock, ...schemeOf(wanted), stripeBase: 0, parityBase: 0 }];
  }
  if (isSameScheme(before, wanted)) return epochs;
  // Whole stripes only: what does not fill one goes to the new scheme.
  if (before === last) {
    const blocks = contentLength - before.fromBlock;
    fromBlock = before.fromBlock + blocks - (blocks % before.data);
  }
  const stripes = (fromBlock - before.fromBlock) / before.data;
  const stripeBase = before.stripeBase + stripes;
  const parityBase = before.parityBase + stripes * before.parity;
  if (stripes === 0) epochs.pop();
  return [...epochs, { fromBlock, ...schemeOf(wanted), stripeBase, parityBase }];
}

export function isSameScheme(a: Scheme, b: Scheme): boolean {
  return a.kind === b.kind && a.data === b.data && a.parity === b.parity;
}

function schemeOf({ kind, data, parity }: Scheme): Scheme {
  return { kind, data, parity };
}

/** "4 + 2" or "3 copies". */
export function describeScheme({ kind, data, parity }: Scheme): string {
  if (kind === 'erasure') return `${data} + ${parity}`;
  return parity === 0 ? '1 copy' : `${parity + 1} copies`;
}

/** How far the stripe and the parity log go when all stripes are encoded that the chunk log has. */
export function encodedLengths(
  epochs: readonly PlanEpoch[],
  contentLength: number,
): { stripes: number; parity: number } {
  const lengths = { stripes: 0, parity: 0 };
  for (const [i, epoch] of epochs.entries()) {
    if (epoch.kind === 'copies') continue;
    const end = Math.min(contentLength, epochs[i + 1]?.fromBlock ?? contentLength);
    const stripes = Math.max(0, Math.floor((end - epoch.fromBlock) / epoch.data));
    lengths.stripes = epoch.stripeBase + stripes;
    lengths.parity = epoch.parityBase + stripes * epoch.parity;
  }
  return lengths;
}

/** A stripe as a place in the logs. */
export interface StripePlace {
  epoch: PlanEpoch;
  /** Its first block in the chunk log; it has `epoch.data`. */
  firstBlock: number;
  /** Its first block in the parity log; it has `epoch.parity`. */
  parityBlock: number;
}

/** The stripe whose record is block `index` of the stripe log; null for none. */
export function stripeAt(epochs: readonly PlanEpoch[], index: number): StripePlace | null {
  const epoch = epochs.findLast((each) => each.kind === 'erasure' && each.stripeBase <= index);
  if (epoch === undefined) return null;
  const stripe = index - epoch.stripeBase;
  const firstBlock = epoch.fromBlock + stripe * epoch.data;
  const next = epochs[epochs.indexOf(epoch) + 1];
  if (next !== undefined && firstBlock + epoch.data > next.fromBlock) return null;
  return { epoch, firstBlock, parityBlock: epoch.parityBase + stripe * epoch.parity };
}
