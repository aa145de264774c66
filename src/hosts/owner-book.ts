/** What an owner knows of his hosts from what they said: kept over restarts in a small file. */
import { limits } from '../limits.js';
import { AuditScore } from './audits.js';
import type { VersionLengths } from './confirmations.js';
import type { HostState } from './wire/hosts-messages.js';

/** Kept of a host: longer away, and it is looked at anew. */
const KEPT_HOSTS_MAX = 200;

export interface KnownHost {
  /** When it was connected last; 0 for never. */
  lastSeenMs: number;
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
  storedBytes: number;
  passed: number;
  failed: number;
  lastAuditMs: number;
}

/** What is in the file. */
export interface StoredBook {
  protected: VersionLengths | null;
  sentBlocks: number;
  hosts: Record<string, StoredHost>;
}

export class OwnerBook {
  readonly #hosts = new Map<string, KnownHost>();
  /** The newest version that all hosts confirmed; null for none. */
  protected: VersionLengths | null = null;
  /** Blocks of the chunk log from the first on that all hosts confirmed once, under whichever plan. */
  sentBlocks = 0;

  constructor(stored: Record<string, unknown> | null) {
    const { protected: point, sentBlocks, hosts } = stored ?? {};
    const { version, treeLength, contentLength } = (point ?? {}) as Partial<VersionLengths>;
    if (isCount(version) && isCount(treeLength) && isCount(contentLength)) {
      this.protected = { version, treeLength, contentLength };
    }
    this.sentBlocks = isCount(sentBlocks) ? sentBlocks : (this.protected?.contentLength ?? 0);
    for (const [id, host] of Object.entries(hosts ?? {})) {
      const { lastSeenMs, storedBytes, passed, failed, lastAuditMs } = (host ??
        {}) as Partial<StoredHost>;
      if (!/^[0-9a-f]{64}$/.test(id) || ![lastSeenMs, storedBytes, passed, failed].every(isCount)) {
        continue;
      }
      this.#hosts.set(id, {
        lastSeenMs: lastSeenMs as number,
        storedBytes: storedBytes as number,
        state: null,
        audits: new AuditScore(passed, failed),
        lastAuditMs: isCount(lastAuditMs) ? lastAuditMs : 0,
      });
    }
  }

  of(id: Buffer): KnownHost {
    const name = id.toString('hex');
    let host = this.#hosts.get(name);
    if (host === undefined) {
      host = {
        lastSeenMs: 0,
        state: null,
        storedBytes: 0,
        audits: new AuditScore(),
        lastAuditMs: 0,
      };
      this.#hosts.set(name, host);
    }
    return host;
  }

  /** Bytes that hosts have of the drive, as they said last, by their ids in hex. */
  get storedBytes(): Map<string, number> {
    return new Map([...this.#hosts].map(([id, host]) => [id, host.storedBytes]));
  }

  stored(): StoredBook {
    const newest = [...this.#hosts].sort(([, a], [, b]) => b.lastSeenMs - a.lastSeenMs);
    const hosts: Record<string, StoredHost> = {};
    for (const [id, { lastSeenMs, storedBytes, audits, lastAuditMs }] of newest.slice(
      0,
      Math.min(KEPT_HOSTS_MAX, limits.plan_hosts_max),
    )) {
      const { passed, failed } = audits;
      hosts[id] = { lastSeenMs, storedBytes, passed, failed, lastAuditMs };
    }
    return { protected: this.protected, sentBlocks: this.sentBlocks, hosts };
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
