/** All systems that are measured. */
import { shoalPinning, shoalReading } from './shoal-system.js';
import type { SwarmSystem } from './swarm-system.js';

export const swarmSystems: readonly SwarmSystem[] = [shoalReading, shoalPinning];
