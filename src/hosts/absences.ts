/**
 * How long hosts of each drive have been away, as one host saw it while it ran: kept, so that a host that is restarted every
 * day does not forget, and a machine that slept does not take the others for gone.
 */
import { limits } from '../limits.js';

/** Shorter ones are not worth a note. */
const NOTED_MS_MIN = 60_000;
const ID = /^[0-9a-f]{64}$/;

/** Milliseconds by a host's id in hex. */
export type Absences = ReadonlyMap<string, number>;

/** By the id of a drive in hex; then as {@link Absences}. */
export type StoredAbsences = Record<string, Record<string, number>>;

/** What a file has of them; what is no such thing is left out. */
export function decodeAbsences(value: unknown): Map<string, Absences> {
  const drives = new Map<string, Absences>();
  for (const [drive, hosts] of entriesOf(value)) {
    const absences = new Map<string, number>();
    for (const [host, ms] of entriesOf(hosts)) {
      const isWhole = ID.test(host) && Number.isSafeInteger(ms) && (ms as number) >= 0;
      if (isWhole && absences.size < limits.plan_hosts_max) absences.set(host, ms as number);
    }
    if (ID.test(drive) && absences.size > 0) drives.set(drive, absences);
  }
  return drives;
}

export function encodeAbsences(
  drives: Iterable<readonly [drive: string, Absences]>,
): StoredAbsences {
  const stored: StoredAbsences = {};
  for (const [drive, absences] of drives) {
    const noted = [...absences].filter(([, ms]) => ms >= NOTED_MS_MIN);
    if (noted.length === 0) continue;
    stored[drive] = Object.fromEntries(noted.map(([host, ms]) => [host, Math.floor(ms)]));
  }
  return stored;
}

/** What of an absence before a restart counts: whoever comes back with this machine gets the time to. */
export function countedBefore(ms: number, repairAfterMs: number): number {
  return Math.min(ms, Math.max(0, repairAfterMs - limits.reconnect_grace_ms));
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
