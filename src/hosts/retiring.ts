/** Whether a host that is to go is needed no more. */
import type { ProtectionFigures } from './figures.js';

/**
 * A leaving host may go once all that the others owe instead of it is confirmed. Where they are too few to make up for it,
 * only one that is away for good, as nothing can be had of it: one that is restarted is still needed when it is back.
 *
 * @param isThere Whether it is connected, or not away for longer than a host may be.
 */
export function mayRetire(figures: ProtectionFigures, isThere: boolean): boolean {
  const { version, confirmedVersion, contentLength, confirmedContentLength } = figures;
  const { isPlanConfirmed, stripesBehind, lossesMax } = figures;
  const isBehind = confirmedVersion < version || stripesBehind > 0;
  const isAll = confirmedContentLength >= contentLength;
  if (!isPlanConfirmed || isBehind || !isAll || lossesMax < 0) return false;
  const isShort = figures.activeHosts - figures.missedHosts < figures.neededHosts;
  return !(isShort && isThere);
}
