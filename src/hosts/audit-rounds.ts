/** Audits of an owner: one host after the other, at random, for as long as the drive is open. */
import type Hypercore from 'hypercore';
import { limits } from '../limits.js';
import type { AuditEvidence } from './audits.js';
import { type AuditPlan, audit, isAudited, isKeptByAll, pickAudited } from './owner-audit.js';
import type { KnownHost } from './owner-book.js';
import type { CollectedBlocks } from './plan-garbage.js';
import type { Plan } from './plan-record.js';
import type { Layout, ShardBlock } from './stripes.js';
import type { HostedLog, HostState } from './wire/hosts-messages.js';
import type { HostsPeer } from './wire/hosts-peer.js';

/** The drive that is audited. */
export interface AuditedDrive {
  readonly plan: Plan;
  readonly planLength: number;
  readonly layout: Layout;
  readonly logs: Record<HostedLog, Hypercore>;
  readonly garbage: CollectedBlocks;
  connectedHosts(): { index: number; peer: HostsPeer }[];
}

export interface AuditRoundsOptions {
  known: (id: Buffer) => KnownHost;
  onEvidence: (evidence: AuditEvidence) => void;
  /** A host failed so often that it is not to be trusted any more. */
  drop: (index: number) => Promise<void>;
  log: (line: string) => void;
  /** Since 1970. */
  nowMs?: () => number;
}

interface Unanswered {
  /** Of this connection. */
  peer: HostsPeer;
  count: number;
  sinceMs: number;
  isTold: boolean;
}

export class AuditRounds {
  readonly #drive: AuditedDrive;
  readonly #options: AuditRoundsOptions;
  /** When a host was chosen last, by its id in hex, whatever came of it. */
  readonly #chosenMs = new Map<string, number>();
  /** Audits in turn that a host did not answer, and since when, by its id in hex. */
  readonly #unanswered = new Map<string, Unanswered>();
  /** Hosts whose last audit failed, by their ids in hex. */
  readonly #failedLast = new Set<string>();
  /** Blocks that a stand-in did not have, and what it had said then: it may have let it go for the one that came back. */
  readonly #doubted = new Map<string, { shard: ShardBlock; state: HostState | null }>();
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(drive: AuditedDrive, options: AuditRoundsOptions) {
    this.#drive = drive;
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#later(limits.audit_again_ms);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Whether a host has answered no audit for so long that what it says to have does not count. */
  isMute(id: Buffer): boolean {
    const found = this.#unanswered.get(id.toString('hex'));
    return (
      found !== undefined &&
      found.count >= limits.audits_unanswered_max &&
      this.#nowMs() - found.sinceMs >= limits.audits_unanswered_ms_min
    );
  }

  #later(ms: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.auditOne()
        .catch((error: unknown) => {
          if (!this.#isClosed) this.#options.log(`Cannot audit the hosts: ${String(error)}`);
          return limits.audit_interval_ms;
        })
        .then((nextMs) => this.#later(nextMs));
    }, ms);
    this.#timer.unref();
  }

  /** Resolves with the milliseconds until the next. */
  async auditOne(): Promise<number> {
    const { hosts } = this.#drive.plan;
    // One that is leaving owes nothing any more.
    const connected = this.#drive
      .connectedHosts()
      .filter(({ index }) => hosts[index]?.status === 'active');
    const chosen = this.#suspect(connected) ?? this.#longestUnasked(connected);
    if (chosen === undefined) return limits.audit_again_ms;
    const { index, peer } = chosen;
    const known = this.#options.known(peer.id);
    this.#chosenMs.set(peer.id.toString('hex'), this.#nowMs());
    // By another plan it may owe something else.
    const isCurrent = (): boolean => known.state?.planLength === this.#drive.planLength;
    const doubted = this.#takeDoubted(index, known, peer);
    const picked = doubted ?? (isCurrent() ? pickAudited(index, known, this.#plan()) : null);
    if (picked === null) return limits.audit_again_ms;
    const said = known.state;
    const result = await audit(peer, picked, this.#drive.logs);
    if (result === 'none' || this.#isClosed) return limits.audit_again_ms;
    this.#noteAnswer(peer, result !== 'unanswered');
    if (result === 'unanswered') return limits.audit_again_ms;
    // A block that is not there may have gone rightly. One that is wrong was sent by nobody honest.
    const isAbsent = result !== 'passed' && result.got === null;
    if (isAbsent && !(isCurrent() && isAudited(index, known, this.#plan(), picked))) {
      return limits.audit_again_ms;
    }
    const name = peer.id.toString('hex');
    if (isAbsent && doubted === null && !isKeptByAll(index, this.#plan(), picked)) {
      this.#doubted.set(name, { shard: picked, state: said });
      return limits.audit_again_ms;
    }
    known.lastAuditMs = this.#nowMs();
    known.audits.note(result === 'passed');
    if (result === 'passed') {
      this.#failedLast.delete(name);
      return this.#pauseMs(connected);
    }
    this.#failedLast.add(name);
    await this.#onFailed(index, known, result);
    return limits.audit_again_ms;
  }

  #plan(): AuditPlan {
    const { plan, layout, logs, garbage } = this.#drive;
    return { plan, layout, logs, garbage: garbage.content };
  }

  /** A block to be asked for again, now that the host has said something since and claims to have it still. */
  #takeDoubted(index: number, known: KnownHost, peer: HostsPeer): ShardBlock | null {
    const name = peer.id.toString('hex');
    const found = this.#doubted.get(name);
    if (found === undefined || found.state === known.state) return null;
    this.#doubted.delete(name);
    const isCurrent = known.state?.planLength === this.#drive.planLength;
    return isCurrent && isAudited(index, known, this.#plan(), found.shard) ? found.shard : null;
  }

  /** One that failed just now is looked at again at once: an accident does not happen three times. */
  #suspect(connected: { index: number; peer: HostsPeer }[]) {
    return connected.find(({ peer }) => {
      const { lastAuditMs } = this.#options.known(peer.id);
      const isLate = this.#nowMs() - lastAuditMs >= limits.audit_interval_ms;
      return !isLate && this.#failedLast.has(peer.id.toString('hex'));
    });
  }

  #noteAnswer(peer: HostsPeer, hasAnswered: boolean): void {
    const name = peer.id.toString('hex');
    if (hasAnswered) {
      this.#unanswered.delete(name);
      return;
    }
    const before = this.#unanswered.get(name);
    const first = { peer, count: 0, sinceMs: this.#nowMs(), isTold: false };
    const found = before?.peer === peer ? before : first;
    this.#unanswered.set(name, found);
    found.count++;
    if (found.isTold || !this.isMute(peer.id)) return;
    found.isTold = true;
    this.#options.log(
      `Host ${name.slice(0, 8)} is not counted on: it answered none of the last ${found.count} audits`,
    );
  }

  /** Whoever gave no answer, or has nothing yet that could be asked for, does not keep the others from their turn. */
  #longestUnasked(connected: { index: number; peer: HostsPeer }[]) {
    const askedMs = ({ peer }: { peer: HostsPeer }): number => {
      const chosenMs = this.#chosenMs.get(peer.id.toString('hex')) ?? 0;
      return Math.max(chosenMs, this.#options.known(peer.id).lastAuditMs);
    };
    return connected.toSorted((a, b) => askedMs(a) - askedMs(b))[0];
  }

  /** Each host in turn; one that is new is to show soon that it is what it says. */
  #pauseMs(connected: { peer: HostsPeer }[]): number {
    const isNew = connected.some(({ peer }) => {
      const { passed, failed } = this.#options.known(peer.id).audits;
      return passed + failed < limits.audits_failed_max;
    });
    if (isNew) return limits.audit_again_ms;
    return Math.max(limits.audit_again_ms, limits.audit_interval_ms / connected.length);
  }

  async #onFailed(index: number, known: KnownHost, evidence: AuditEvidence): Promise<void> {
    const { onEvidence, drop, log } = this.#options;
    onEvidence(evidence);
    const name = evidence.host.slice(0, 8);
    const what = evidence.got === null ? 'not there' : 'not what was signed';
    log(
      `Host ${name} failed an audit: block ${evidence.block} of the ${evidence.log} log is ${what}`,
    );
    const { status } = this.#drive.plan.hosts[index] ?? {};
    if (!known.audits.isLiar || status === 'dropped') return;
    log(`Dropped host ${name} from the plan: it failed too many audits`);
    await drop(index);
  }
}
