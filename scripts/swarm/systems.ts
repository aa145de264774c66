/** All systems that are measured. */
import { hyperdriveSystem } from './hyperdrive-system.js';
import { rsyncSystem } from './rsync-system.js';
import { shoalPinning, shoalReading } from './shoal-system.js';
import type { SwarmSystem } from './swarm-system.js';
import { syncthingSystem } from './syncthing-system.js';

export const swarmSystems: readonly SwarmSystem[] = [
  shoalReading,
  shoalPinning,
  rsyncSystem,
  hyperdriveSystem,
  syncthingSystem,
];
