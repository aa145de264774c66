/** What is said of how hosts keep a drive. */
import type { ProtectionFigures } from '../drive/protection-control.js';
import { describeScheme } from '../hosts/epochs.js';
import { countOf } from './output.js';

const SHOWN_ID_CHARACTERS = 12;

type Counts = Pick<
  ProtectionFigures,
  'activeHosts' | 'missedHosts' | 'leavingHosts' | 'neededHosts' | 'lossesMax' | 'confirmedVersion'
>;

type Schemes = Pick<
  ProtectionFigures,
  'scheme' | 'possible' | 'activeHosts' | 'contentLength' | 'stripes' | 'stripesBehind'
>;

/** Fewer hosts are counted on than a stripe has shards, or a block is to have copies. */
export function isShortOfHosts({ activeHosts, missedHosts, neededHosts }: Counts): boolean {
  return activeHosts - missedHosts < neededHosts;
}

/** "5 hosts of 6 needed, any 1 of them may fail (up to version 7)". */
export function describeShortage(counts: Counts): string {
  const { activeHosts, missedHosts, leavingHosts, neededHosts, lossesMax, confirmedVersion } =
    counts;
  const live = activeHosts - missedHosts;
  if (live === 0) return `none of ${countOf(neededHosts, 'host')} needed is there`;
  const hosts = `${countOf(live, 'host')} of ${neededHosts} needed`;
  if (lossesMax < 0 && leavingHosts > 0) {
    const has = leavingHosts === 1 ? 'has' : 'have';
    return `${hosts}, too few without ${countOf(leavingHosts, 'host')} that ${has} yet to leave`;
  }
  if (lossesMax < 0) return `${hosts}, too few to read it from`;
  const losses = lossesMax === 0 ? 'none' : `any ${lossesMax}`;
  return `${hosts}, ${losses} of them may fail (up to version ${confirmedVersion})`;
}

/** "4 + 2 on 8 hosts", and what is made of it while there are too few. */
export function describeSchemes(figures: Schemes): string {
  const { scheme, possible, activeHosts, contentLength, stripes, stripesBehind } = figures;
  const needed = scheme.kind === 'copies' ? scheme.parity + 1 : scheme.data + scheme.parity;
  const wanted = describeScheme(scheme);
  if (activeHosts === 0) return `no hosts yet; wanted ${wanted}, for ${countOf(needed, 'host')}`;
  const hosts = `on ${countOf(activeHosts, 'host')}`;
  const copies = countOf(Math.min(possible.parity + 1, activeHosts), 'copy', 'copies');
  if (activeHosts < needed) return `${copies} ${hosts}; ${wanted} from ${needed} hosts on`;
  const isSmall = scheme.kind === 'erasure' && contentLength > 0 && stripes + stripesBehind === 0;
  if (isSmall) return `${copies} ${hosts}; ${wanted} once there is enough for a stripe`;
  return `${wanted} ${hosts}`;
}

/** "up to version 7, 2 behind; 4 + 2 on 8 hosts". */
export function describeProtection(protection: ProtectionFigures): string {
  const { version, protectedVersion, activeHosts, reachableHosts, missedHosts, problem } =
    protection;
  const schemes = describeSchemes(protection);
  const tail = problem === null ? '' : `; ${problem}`;
  if (activeHosts === 0) return schemes + tail;
  const claim = isShortOfHosts(protection)
    ? `not as wanted: ${describeShortage(protection)}`
    : `up to version ${protectedVersion}, ${version - protectedVersion} behind`;
  const away = activeHosts - reachableHosts;
  const missed = missedHosts === 0 ? '' : `, ${missedHosts} of them missed`;
  // What these have is known from before.
  const gone = away <= missedHosts ? '' : `, ${away} of them not connected`;
  return `${claim}; ${schemes}${missed}${gone}${tail}`;
}

/** Enough of a host's id to tell it from others. */
export function shownId(id: string): string {
  return id.slice(0, SHOWN_ID_CHARACTERS);
}
