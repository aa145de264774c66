/** All that can be compared, by name. */
import type { Competitor } from './competitor.js';
import { bindfs, cryfs, gocryptfs, plain, rclone, shoal } from './file-systems.js';
import { hyperdrive } from './hyperdrive.js';

const competitors: readonly Competitor[] = [
  shoal,
  plain,
  bindfs,
  gocryptfs,
  rclone,
  cryfs,
  hyperdrive,
];

export const competitorNames: readonly string[] = competitors.map(({ name }) => name);

/** Throws for a name that nothing has. */
export function competitorNamed(name: string): Competitor {
  const found = competitors.find((competitor) => competitor.name === name);
  if (found !== undefined) return found;
  throw new Error(`Cannot compare with '${name}': choose from ${competitorNames.join(', ')}`);
}
