/**
 * Audits: a random shard of a random host is read back, as a whole, and compared with the hash that the owner signed. A
 * host cannot answer with less than the block.
 */
import hypercoreCrypto from 'hypercore-crypto';
import { UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { signedLeaf } from '../log/signed-leaf-hash.js';
import { claimsBlock, placementOfWord } from './confirmations.js';
import type { Duty } from './duty.js';
import type { HostedLogs } from './hosted-logs.js';
import type { LeafHash } from './put-back.js';
import { isLeaf, shardBlock } from './rebuilder.js';
import { leafOfSlot, type StripeReader } from './stripe-reader.js';
import {
  type Group,
  groupAt,
  groupCount,
  holdersOfGroup,
  type ShardBlock,
  shardsOf,
} from './stripes.js';
import type { HostsPeer } from './wire/hosts-peer.js';
import type { HostsWire } from './wire/hosts-wire.js';

/** What became of one audit. */
export type AuditVerdict =
  | 'good'
  /** It sent something that is not the block. */
  | 'wrong'
  /** It said that it had the block on disk, and does not have it. */
  | 'absent'
  | 'unanswered';

/** What is kept of an audit that failed. */
export interface Evidence {
  /** Of the host, in hex. */
  host: string;
  log: ShardBlock['log'];
  block: number;
  verdict: Exclude<AuditVerdict, 'good'>;
  /** Hash that was signed, and of what came, in hex. */
  expected: string;
  received: string | null;
}

/** The audits of one host. */
export interface AuditScore {
  good: number;
  failed: number;
  /** Milliseconds since 1970 of the last one that was answered. */
  lastMs: number;
  /** It is not counted on. */
  isFailing: boolean;
}

interface HostRecord extends AuditScore {
  failedInTurn: number;
  goodInTurn: number;
}

export interface AuditorOptions {
  logs: HostedLogs;
  wire: HostsWire;
  stripes: StripeReader;
  /** Called for each audit that fails. */
  onEvidence: (evidence: Evidence) => void;
  log: (line: string) => void;
  /** Whether a host may refuse reads, since it gave more than it got. */
  mayBeRefused?: (id: Buffer) => boolean;
  /** 0 ≤ number < 1. */
  random?: () => number;
}

export class Auditor {
  readonly #options: Required<AuditorOptions>;
  /** By the host's id in hex. */
  readonly #scores = new Map<string, HostRecord>();
  /** Audits in turn that a host had no time for, by its id in hex. */
  readonly #busyInTurn = new Map<string, number>();

  constructor(options: AuditorOptions) {
    this.#options = { random: Math.random, mayBeRefused: () => false, ...options };
  }

  scoreOf(id: Buffer): AuditScore | null {
    const found = this.#scores.get(id.toString('hex'));
    if (found === undefined) return null;
    const { good, failed, lastMs, isFailing } = found;
    return { good, failed, lastMs, isFailing };
  }

  /** Indexes of hosts of the plan that are not to be counted on. Ascending. */
  failing({ view }: Pick<Duty, 'view'>): number[] {
    const failing: number[] = [];
    for (const [index, { id }] of view.plan.hosts.entries()) {
      if (this.#scores.get(id.toString('hex'))?.isFailing === true) failing.push(index);
    }
    return failing;
  }

  /** Audits one of the hosts that are connected; null when there is none, or it owes nothing that is known. */
  async audit(duty: Duty): Promise<AuditVerdict | null> {
    const { wire, random } = this.#options;
    const hosts = wire.hosts.filter(({ state }) => state !== null);
    const peer = hosts[Math.floor(random() * hosts.length)];
    const index = duty.view.plan.hosts.findIndex(({ id }) => peer?.id.equals(id) === true);
    if (peer === undefined || index < 0) return null;
    const drawn = await this.#draw(duty, peer, index);
    if (drawn === null) return null;
    return await this.#ask(duty, peer, drawn.shard, drawn.leaf);
  }

  /** A shard that the host says it has. */
  async #draw(
    duty: Duty,
    peer: HostsPeer,
    index: number,
  ): Promise<{ shard: ShardBlock; leaf: LeafHash } | null> {
    const { stripes } = this.#options;
    const placement = placementOfWord(duty.view.plan, peer.state ?? { gone: [] });
    for (let draw = 0; draw < limits.host_audit_draws_max; draw++) {
      const group = this.#randomGroup(duty);
      if (group === null) return null;
      if (!group.encoded) {
        // What waits for its stripe may be gone by the time that the answer comes.
        if (group.epoch.kind !== 'copies') continue;
        const copy = await this.#drawCopy(duty, peer, holdersOfGroup(group, placement), index);
        if (copy !== null) return copy;
        continue;
      }
      const slot = placement.place(group, shardsOf(group.epoch)).indexOf(index);
      if (slot < 0) continue;
      const shard = shardBlock(group, slot);
      if (!this.#isSaid(duty, peer, shard)) continue;
      const record = await stripes.read(group);
      const leaf = record === null ? null : leafOfSlot(record, slot);
      if (leaf !== null) return { shard, leaf };
    }
    return null;
  }

  /** Of blocks that are kept as copies those are compared of which the signed hash is here: with a copy, or next to one. */
  async #drawCopy(
    duty: Duty,
    peer: HostsPeer,
    holders: readonly (readonly [shard: ShardBlock, hosts: readonly number[]])[],
    index: number,
  ): Promise<{ shard: ShardBlock; leaf: LeafHash } | null> {
    const { logs, random } = this.#options;
    const owed = holders.filter(
      ([shard, hosts]) => hosts.includes(index) && this.#isSaid(duty, peer, shard),
    );
    const [shard] = owed[Math.floor(random() * owed.length)] ?? [];
    if (shard === undefined) return null;
    const leaf = await signedLeaf(logs.byName[shard.log], shard.block);
    return leaf === null ? null : { shard, leaf };
  }

  #randomGroup({ layout }: Duty): Group | null {
    const counts = layout.epochs.map((_, epochIndex) => groupCount(layout, epochIndex));
    let nth = Math.floor(this.#options.random() * counts.reduce((sum, count) => sum + count, 0));
    for (const [epochIndex, count] of counts.entries()) {
      if (nth < count) return groupAt(layout, epochIndex, nth) ?? null;
      nth -= count;
    }
    return null;
  }

  /** Whether a host says now that it has a shard, and owes it. */
  #isSaid({ layout, view }: Duty, { state }: HostsPeer, shard: ShardBlock): boolean {
    // One that goes by another plan owes something else.
    if (state === null || state.planLength !== view.length) return false;
    const { byName } = this.#options.logs;
    return claimsBlock(state, shard, byName, layout, view.contentGarbage);
  }

  async #ask(
    duty: Duty,
    peer: HostsPeer,
    shard: ShardBlock,
    leaf: LeafHash,
  ): Promise<AuditVerdict | null> {
    let verdict: AuditVerdict = 'unanswered';
    let received: Buffer | null = null;
    try {
      const answer = await peer.readBlock(shard.log, shard.block);
      if (answer.status === 'busy') {
        const { mayBeRefused } = this.#options;
        if (mayBeRefused(peer.id) || !this.#isAlwaysBusy(peer.id)) return null;
      } else if (answer.status === 'absent') {
        // It may have said so meanwhile.
        if (!this.#isSaid(duty, peer, shard)) return null;
        verdict = 'absent';
      } else {
        received = answer.stored;
        verdict = isLeaf(received, leaf) ? 'good' : 'wrong';
      }
      if (answer.status !== 'busy') this.#busyInTurn.delete(peer.id.toString('hex'));
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      // One that went is missed, which is another matter.
      if (peer.closed) return null;
    }
    this.#count(peer.id, verdict);
    if (verdict !== 'good') {
      this.#options.onEvidence({
        host: peer.id.toString('hex'),
        log: shard.log,
        block: shard.block,
        verdict,
        expected: leaf.hash.toString('hex'),
        received: received === null ? null : hypercoreCrypto.data(received).toString('hex'),
      });
    }
    return verdict;
  }

  /** Notes that a host had too much to do. */
  #isAlwaysBusy(id: Buffer): boolean {
    const name = id.toString('hex');
    const count = (this.#busyInTurn.get(name) ?? 0) + 1;
    if (this.#busyInTurn.size < limits.plan_hosts_max) this.#busyInTurn.set(name, count);
    return count > limits.host_audits_busy_max;
  }

  #count(id: Buffer, verdict: AuditVerdict): void {
    const name = id.toString('hex');
    const score = this.#scores.get(name) ?? {
      good: 0,
      failed: 0,
      lastMs: 0,
      isFailing: false,
      failedInTurn: 0,
      goodInTurn: 0,
    };
    // Those of one plan, of which there are so many at most.
    if (this.#scores.size < limits.plan_hosts_max) this.#scores.set(name, score);
    if (verdict !== 'unanswered') score.lastMs = Date.now();
    if (verdict === 'good') {
      score.good++;
      score.goodInTurn++;
      score.failedInTurn = 0;
      if (score.goodInTurn >= limits.host_audits_good_min) score.isFailing = false;
      return;
    }
    score.failed++;
    score.failedInTurn++;
    score.goodInTurn = 0;
    // A block can be lost, and be found lost. What is not the block is no accident: a host checks what it sends.
    if (verdict !== 'wrong' && score.failedInTurn < limits.host_audits_failed_max) return;
    if (!score.isFailing) {
      this.#options.log(
        `Host ${name.slice(0, 8)} is not counted on any more: what it sends of the drive is ${verdict}`,
      );
    }
    score.isFailing = true;
  }
}
