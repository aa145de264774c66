/** What an owner knows of his hosts from what they said: kept over restarts in a small file. */
import { limits } from '../limits.js';
import { countedBefore } from './absences.js';
import { AuditScore } from './audits.js';
import type { VersionLengths } from './confirmations.js';
import type { Plan } from './plan-record.js';
import type { HostState } from './wire/hosts-messages.js';

/** Kept of a host: longer away, and it is looked at anew. */
const KEPT_HOSTS_MAX = 200;
const AWAY_STEP_MS = 60_000;
const SLEPT_MS_MIN = 30_000;

export interface KnownHost {
  /** When it was connected last; 0 for never. */
  lastSeenMs: number;
  /**
   * How long it had been away when this program ended last, less what this machine slept since; 0 once it has been connected.
   */
  awayBeforeMs: number;
  /** What it said last; null when it said nothing since this process runs. */
  state: HostState | null;
  /** What it stored when it was heard of last. */
  storedBytes: number;
  audits: AuditScore;
  /** When an audit passed or failed last; 0 for never. */
  lastAuditMs: number;
}

interface StoredHost {
  lastSeenMs: number;
  awayMs: number;
  storedBytes: number;
  passed: number;
  failed: number;
  lastAuditMs: number;
}

/** What is in the file. */
export interface StoredBook {
  protected: VersionLengths | null;
  confirmers: string[] | null;
  sentBlocks: number;
  hosts: Record<string, StoredHost>;
}

export class OwnerBook {
  readonly #hosts = new Map<string, KnownHost>();
  readonly #startedMs = Date.now();
  #lookedMs = Date.now();
  /** The newest version that all hosts confirmed; null for none. */
  protected: VersionLengths | null = null;
  /** Ids in hex of the hosts that were counted on when that was confirmed; null for those of the plan. */
  #confirmers: ReadonlySet<string> | null = null;
  /** Blocks of the chunk log from the first on that all hosts confirmed once, under whichever plan. */
  sentBlocks = 0;

  constructor(stored: Record<string, unknown> | null) {
    const { protected: point, confirmers, sentBlocks, hosts } = stored ?? {};
    // Books of before do not have it.
    if (Array.isArray(confirmers)) this.#confirmers = new Set(confirmers.map(String));
    const { version, treeLength, contentLength } = (point ?? {}) as Partial<VersionLengths>;
    if (isCount(version) && isCount(treeLength) && isCount(contentLength)) {
      this.protected = { version, treeLength, contentLength };
    }
    this.sentBlocks = isCount(sentBlocks) ? sentBlocks : (this.protected?.contentLength ?? 0);
    for (const [id, host] of Object.entries(hosts ?? {})) {
      const { lastSeenMs, awayMs, storedBytes, passed, failed, lastAuditMs } = (host ??
        {}) as Partial<StoredHost>;
      if (!/^[0-9a-f]{64}$/.test(id) || ![lastSeenMs, storedBytes, passed, failed].every(isCount)) {
        continue;
      }
      this.#hosts.set(id, {
        lastSeenMs: lastSeenMs as number,
        awayBeforeMs: isCount(awayMs) ? awayMs : 0,
        storedBytes: storedBytes as number,
        state: null,
        audits: new AuditScore(passed, failed),
        lastAuditMs: isCount(lastAuditMs) ? lastAuditMs : 0,
      });
    }
  }

  /** Notes what all of some hosts have confirmed together. */
  confirm(point: VersionLengths | null, ids: readonly Buffer[]): void {
    this.protected = point;
    this.#confirmers = new Set(ids.map((id) => id.toString('hex')));
  }

  /**
   * Whether one of those who have confirmed it is not counted on any more: until the others have confirmed that they make up
   * for it, some of that lacks a shard. One that is leaving has what it had.
   */
  isConfirmerLost({ hosts }: Plan, live: readonly boolean[]): boolean {
    return hosts.some(({ id, status }, index) => {
      if (status === 'leaving' || live[index] === true) return false;
      return this.#confirmers?.has(id.toString('hex')) ?? status === 'active';
    });
  }

  of(id: Buffer): KnownHost {
    const name = id.toString('hex');
    let host = this.#hosts.get(name);
    if (host === undefined) {
      host = {
        lastSeenMs: 0,
        awayBeforeMs: 0,
        state: null,
        storedBytes: 0,
        audits: new AuditScore(),
        lastAuditMs: 0,
      };
      this.#hosts.set(name, host);
    }
    return host;
  }

  /** To be called every few seconds: a gap between two calls means that this machine slept, and nobody was away for that. */
  look(): void {
    const nowMs = Date.now();
    const sleptMs = nowMs - this.#lookedMs - limits.protector_interval_ms;
    this.#lookedMs = nowMs;
    if (sleptMs < SLEPT_MS_MIN) return;
    for (const known of this.#hosts.values()) known.awayBeforeMs -= sleptMs;
  }

  /** It is connected now. */
  seen(id: Buffer): void {
    const known = this.of(id);
    known.lastSeenMs = Date.now();
    known.awayBeforeMs = 0;
  }

  /** Whether a host has been away for longer than that while this program ran, in this run and before. */
  isMissed(id: Buffer, repairAfterMs: number): boolean {
    const known = this.of(id);
    return this.#awayMs(known) + countedBefore(known.awayBeforeMs, repairAfterMs) > repairAfterMs;
  }

  #awayMs({ lastSeenMs }: KnownHost): number {
    return Math.max(0, Date.now() - Math.max(this.#startedMs, lastSeenMs));
  }

  /** Bytes that hosts have of the drive, as they said last, by their ids in hex. */
  get storedBytes(): Map<string, number> {
    return new Map([...this.#hosts].map(([id, host]) => [id, host.storedBytes]));
  }

  stored(): StoredBook {
    const newest = [...this.#hosts].sort(([, a], [, b]) => b.lastSeenMs - a.lastSeenMs);
    const hosts: Record<string, StoredHost> = {};
    for (const [id, known] of newest.slice(0, Math.min(KEPT_HOSTS_MAX, limits.plan_hosts_max))) {
      const { lastSeenMs, storedBytes, lastAuditMs } = known;
      const { passed, failed } = known.audits;
      const away = Math.max(0, known.awayBeforeMs + this.#awayMs(known));
      // To the minute: it is written whenever it is another one.
      const awayMs = away - (away % AWAY_STEP_MS);
      hosts[id] = { lastSeenMs, awayMs, storedBytes, passed, failed, lastAuditMs };
    }
    const confirmers = this.#confirmers === null ? null : [...this.#confirmers];
    return { protected: this.protected, confirmers, sentBlocks: this.sentBlocks, hosts };
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
