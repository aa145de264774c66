/** What the benchmark and its probe in a mount's process tell each other. */

/** Environment variable: the socket the probe listens at. */
export const PROBE_SOCKET = 'SHOAL_BUDGET_SOCKET';

/** Where threads of the mount's process note what they run. */
export function threadFileOf(socketPath: string): string {
  return `${socketPath}.threads`;
}

/** Since the process began: of the sync journal (`writes`) and of the store (`syncs`). */
export interface ProbeCounts {
  writes: number;
  writeMs: number;
  syncs: number;
  syncMs: number;
}

/** As the inspector has it, as far as it is used. */
export interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  samples: number[];
  /** Microseconds since the sample before. */
  timeDeltas: number[];
}
