/** What is said of a drive with fewer hosts than its scheme takes. */
import type { ProtectionFigures } from '../drive/protection-control.js';

type Counts = Pick<
  ProtectionFigures,
  'activeHosts' | 'missedHosts' | 'neededHosts' | 'lossesMax' | 'confirmedVersion'
>;

/** Fewer hosts are counted on than a stripe has shards, or a block is to have copies. */
export function isShortOfHosts({ activeHosts, missedHosts, neededHosts }: Counts): boolean {
  return activeHosts - missedHosts < neededHosts;
}

/** "5 hosts are counted on, 6 are needed: of what they confirmed, up to version 7, any 1 of them may fail". */
export function describeShortage(counts: Counts): string {
  const { activeHosts, missedHosts, neededHosts, lossesMax, confirmedVersion } = counts;
  const live = activeHosts - missedHosts;
  const hosts = `${live} ${live === 1 ? 'host is' : 'hosts are'} counted on, ${neededHosts} are needed`;
  if (lossesMax < 0) return `${hosts}: from these alone the drive cannot be read`;
  const losses = lossesMax === 0 ? 'none' : `any ${lossesMax}`;
  return `${hosts}: what they have confirmed, up to version ${confirmedVersion}, survives the loss of ${losses} of them`;
}
