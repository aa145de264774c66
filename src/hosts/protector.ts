/**
 * The owner's part in keeping a drive on hosts: says in the plan who keeps what, encodes complete stripes in the
 * background, hears from the hosts what they have, and audits them. Nothing of it is on the way of a commit.
 */
import type Hypercore from 'hypercore';
import { UsageError } from '../errors.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { askHost } from './ask-host.js';
import { AuditRounds } from './audit-rounds.js';
import { BookSaver } from './book-saver.js';
import {
  type ConfirmedLengths,
  confirmedByAll,
  goneHosts,
  liveHosts,
  NOTHING_CONFIRMED,
  type OwnerLogs,
  VersionHistoryLengths,
} from './confirmations.js';
import { nextEpochs, possibleScheme } from './epochs.js';
import type { HostFigures, ProtectionFigures } from './figures.js';
import { findHostToRemove } from './find-host.js';
import { HostConnector } from './host-connector.js';
import { hostFigures } from './host-figures.js';
import { formatHostId } from './host-id.js';
import { hostsNeeded, lossesWithin } from './hosts-needed.js';
import type { Invite } from './invite.js';
import { OwnerBook } from './owner-book.js';
import { type Placement, placementOf } from './placement.js';
import { type CollectedBlocks, planGarbage } from './plan-garbage.js';
import {
  type HostStatus,
  isKeeping,
  type Plan,
  type PlanHost,
  type Scheme,
} from './plan-record.js';
import type { ProtectorOptions } from './protector-options.js';
import { mayRetire } from './retiring.js';
import { StripeWriter } from './stripe-writer.js';
import type { Layout } from './stripes.js';
import type { HostedLog, HostState } from './wire/hosts-messages.js';
import type { HostsPeer } from './wire/hosts-peer.js';
import { HostsWire } from './wire/hosts-wire.js';
import { signOwnerProof } from './wire/owner-proof.js';

/** What keeps a drive on its hosts while this process has it open for writing. Close it. */
export class Protector {
  readonly #options: ProtectorOptions;
  readonly #writer: StripeWriter;
  readonly #book: OwnerBook;
  readonly #saver: BookSaver;
  readonly #connector: HostConnector;
  readonly #versions = new VersionHistoryLengths();
  #wire: HostsWire | null = null;
  #garbage: CollectedBlocks = { tree: new BlockSet(), content: new BlockSet() };
  #looking: Promise<void> | null = null;
  #isWanted = false;
  #lookTimer: NodeJS.Timeout | null = null;
  #intervalTimer: NodeJS.Timeout | null = null;
  #audits: AuditRounds | null = null;
  #changing: Promise<unknown> = Promise.resolve();
  #problem: string | null = null;
  #isClosed = false;
  /** All hosts that are counted on have told what they have under the plan in force, and without those that are not. */
  #isPlanConfirmed = false;
  #confirmed: ConfirmedLengths = NOTHING_CONFIRMED;

  constructor(options: ProtectorOptions) {
    this.#options = options;
    this.#book = new OwnerBook(options.stored);
    this.#saver = new BookSaver(this.#book, options.save, (error) => this.#report(error));
    this.#connector = new HostConnector(options.swarm, options.log);
    const { content, stripe: stripes, parity } = options.logs;
    const isGarbage = (block: number): boolean => this.#garbage.content.has(block);
    const { claimSpace, sync } = options;
    this.#writer = new StripeWriter({ content, stripes, parity, isGarbage, claimSpace, sync });
  }

  get plan(): Plan {
    return this.#options.planLog.plan;
  }
  get logs(): Record<HostedLog, Hypercore> {
    return this.#options.logs;
  }
  /** Blocks of the plan log that a host must know to go by the plan in force. */
  get planLength(): number {
    return this.#options.planLog.planLength;
  }
  get garbage(): CollectedBlocks {
    return this.#garbage;
  }
  /**
   * Blocks of the chunk log from the first on that hosts have confirmed to have synced, all of them, and with all the
   * shards that there are to be: 0 while fewer hosts live than a stripe has shards.
   */
  get confirmedContentLength(): number {
    const live = this.#live().filter((each) => each).length;
    return live >= hostsNeeded(this.layout) ? this.#confirmed.contentLength : 0;
  }
  /** Blocks of the chunk log from the first on that hosts have confirmed once: the rest is new. */
  get sentBlocks(): number {
    return this.#book.sentBlocks;
  }
  get layout(): Layout {
    const { content, stripe } = this.#options.logs;
    const { epochs } = this.plan;
    return { epochs, contentLength: content.length, stripeLength: stripe.length };
  }

  /**
   * Makes the logs fit each other, and begins. `fork`: what the logs of the stripes must at least have, since the chunk
   * log went on under a new one; `awaitsStripes`: those that are not here are not given up. Throws what
   * {@link StripeWriter.recover} throws.
   */
  async start(fork: number, awaitsStripes: boolean): Promise<void> {
    const { swarm, logs, planLog, planKeyPair, log } = this.#options;
    await this.#takeGarbage();
    const now = this.#options.version();
    const before = this.#book.protected;
    // After a loss of power the drive may go on before it.
    const isBefore =
      before !== null && before.version <= now.version && before.treeLength <= now.treeLength;
    if (isBefore) this.#versions.note(before);
    else this.#book.protected = null;
    // Another machine sent them, if this one knows of none: what hosts lack is lost, then, and not new.
    const isTakenOver = this.#options.stored === null && this.plan.hosts.length > 0;
    const sentBlocks = isTakenOver ? logs.content.length : this.#book.sentBlocks;
    // The log may have been cut.
    this.#book.sentBlocks = Math.min(sentBlocks, logs.content.length);
    const epochs = nextEpochs(this.#epochInputs());
    const lost = await this.#writer.recover(epochs, fork, awaitsStripes);
    if ((lost ?? 0) > 0) log(`Encoding ${lost} stripes anew: they are not those of the chunk log`);
    if (swarm !== null) {
      this.#wire = new HostsWire({
        planCore: planLog.core,
        planPublicKey: planKeyPair.publicKey,
        hello: (connection) => ({
          role: 'owner',
          proof: signOwnerProof(planKeyPair, connection.handshakeHash),
        }),
        readBlock: (name, block) => logs[name].get(block, { raw: true, wait: false }),
        onHello: (peer) => this.#onHost(peer, null),
        onState: (peer, state) => this.#onHost(peer, state),
        onClose: (peer) => this.#onHost(peer, null),
        log,
      });
      this.#audits = new AuditRounds(this, {
        known: (id) => this.#book.of(id),
        onEvidence: this.#options.onEvidence,
        drop: (index) => this.#setStatus(index, 'dropped'),
        log,
      });
    }
    logs.tree.on('append', this.#soon);
    logs.content.on('append', this.#soon);
    this.#intervalTimer = setInterval(() => this.#onInterval(), limits.protector_interval_ms);
    this.#intervalTimer.unref();
    this.#onInterval();
  }

  // What the owner wants

  /**
   * Asks a host to keep the drive, and adds it to the plan. Durable when it resolves. Throws UsageError without a network,
   * UnavailableError when it cannot be reached, CapabilityError when it refuses.
   */
  async addHost(invite: Invite, label: string, signal?: AbortSignal): Promise<HostFigures> {
    const { swarm, logs, planKeyPair } = this.#options;
    if (swarm === null) throw new UsageError('Cannot add a host: the drive is offline');
    if (this.plan.hosts.length >= limits.plan_hosts_max && this.#indexOf(invite.hostId) < 0) {
      throw new UsageError(`Cannot add a host: a plan has at most ${limits.plan_hosts_max}`);
    }
    const ownHost = await this.#options.ownHost();
    const answer = await askHost({ swarm, logs, planKeyPair, ownHost, invite, signal });
    await this.#change((plan) => {
      const hosts = [...plan.hosts];
      const index = this.#indexOf(invite.hostId);
      const before = hosts[index];
      const host: PlanHost = {
        id: invite.hostId,
        capacityBytes: answer.capacityBytes,
        status: 'active',
        label: label === '' ? (before?.label ?? '') : label,
      };
      if (before === undefined) hosts.push(host);
      else hosts[index] = host;
      return { ...plan, hosts };
    });
    return this.hosts()[this.#indexOf(invite.hostId)] as HostFigures;
  }

  /** Has a host's shards placed elsewhere; it is gone from the plan once they are. Throws NotFoundError, UsageError. */
  async removeHost(which: string): Promise<HostFigures> {
    const index = findHostToRemove(this.plan, which);
    if (this.plan.hosts[index]?.status === 'active') await this.#setStatus(index, 'leaving');
    return this.hosts()[index] as HostFigures;
  }

  /** Sets how new blocks are kept, and those that have only copies. Durable when it resolves. */
  async protect(changes: { scheme?: Scheme; repairAfterMs?: number }): Promise<void> {
    await this.#change((plan) => ({ ...plan, ...changes }));
  }

  // What there is to say

  figures(): ProtectionFigures {
    const { scheme, repairAfterMs, hosts } = this.plan;
    const { version } = this.#options.version();
    const active = hosts.filter((host) => host.status === 'active');
    const states = active.map((host) => this.#book.of(host.id).state);
    const live = this.#live().filter((each) => each).length;
    const neededHosts = hostsNeeded(this.layout);
    const confirmedVersion = this.#book.protected?.version ?? 0;
    return {
      driveId: formatHostId(this.#options.logs.plan.key),
      planLength: this.planLength,
      scheme,
      possible: possibleScheme(scheme, active.length),
      repairAfterMs,
      activeHosts: active.length,
      missedHosts: active.length - live,
      leavingHosts: hosts.filter(({ status }) => status === 'leaving').length,
      reachableHosts: active.filter(({ id }) => this.isHost(id)).length,
      version,
      neededHosts,
      lossesMax: lossesWithin(this.layout, live),
      confirmedVersion,
      protectedVersion: live >= neededHosts ? confirmedVersion : 0,
      isPlanConfirmed: this.#isPlanConfirmed,
      contentLength: this.#options.logs.content.length,
      confirmedContentLength: this.#confirmed.contentLength,
      stripes: this.#options.logs.stripe.length,
      stripesBehind: this.#writer.behind(this.plan.epochs),
      missingBytes: states.reduce((sum, state) => sum + (state?.missingBytes ?? 0), 0),
      problem: this.#problem,
    };
  }

  hosts(): HostFigures[] {
    return hostFigures(this.plan, this.#live(), this.#book, (id) => this.isHost(id));
  }

  /** The connected hosts of the plan, with their places in it. */
  connectedHosts(): { index: number; peer: HostsPeer }[] {
    return this.plan.hosts.flatMap(({ id, status }, index) => {
      const peer = this.#wire?.host(id);
      return peer === undefined || !isKeeping(status) ? [] : [{ index, peer }];
    });
  }

  /** Active hosts of the plan that are not counted on now. */
  get gone(): ReadonlySet<number> {
    return goneHosts(this.plan, this.#live());
  }

  /** Whether a connected peer says that it is a host. */
  isHost(id: Buffer): boolean {
    return this.#wire?.host(id) !== undefined;
  }

  /** Who is to have what now. */
  placement(): Placement {
    const live = this.#live();
    return placementOf(this.plan, (index) => live[index] === true);
  }

  /** Encodes what there is, and sees what hosts have confirmed. Never rejects: `figures` tells of problems. */
  look(): Promise<void> {
    this.#isWanted = true;
    this.#looking ??= this.#lookWhileWanted().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** Ends the work under way. Idempotent. The logs are the caller's. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { logs } = this.#options;
    logs.tree.off('append', this.#soon);
    logs.content.off('append', this.#soon);
    if (this.#lookTimer !== null) clearTimeout(this.#lookTimer);
    this.#audits?.close();
    if (this.#intervalTimer !== null) clearInterval(this.#intervalTimer);
    this.#wire?.close();
    this.#writer.close();
    await this.#looking;
    await this.#changing.catch(() => undefined);
    await this.#saver.close();
  }

  // Work

  readonly #soon = (): void => {
    if (this.#isClosed || this.#lookTimer !== null) return;
    this.#lookTimer = setTimeout(() => {
      this.#lookTimer = null;
      void this.look();
    }, limits.protector_look_ms);
    this.#lookTimer.unref();
  };

  async #lookWhileWanted(): Promise<void> {
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false;
      try {
        await this.#lookOnce();
        if (this.#problem !== null) this.#options.log('Protecting the drive goes on');
        this.#problem = null;
      } catch (error) {
        this.#report(error);
      }
    }
  }

  async #lookOnce(): Promise<void> {
    this.#versions.note(this.#options.version());
    await this.#takeGarbage();
    if (this.plan.hosts.some((host) => host.status === 'active')) {
      if (this.#isPlanBehind()) await this.#change((plan) => plan);
      const { sync, pause } = this.#options;
      let stripes = 0;
      for (;;) {
        const encoded = await this.#exclusive(() =>
          this.#writer.encodeBatch(this.plan.epochs, pause),
        );
        if (encoded.stripes === 0) break;
        stripes += encoded.stripes;
        if (this.#isClosed) break;
      }
      if (stripes > 0) await sync();
    }
    this.#confirm();
    await this.#retireHosts();
  }

  /** What was collected goes into the plan. */
  async #takeGarbage(): Promise<void> {
    const collected = await this.#options.collected();
    if (collected === null) return;
    this.#garbage = collected;
    if (this.plan.hosts.length === 0) return;
    const { planLog } = this.#options;
    await this.#exclusive(async () => {
      await planLog.sayGarbage(planGarbage(collected, this.layout));
    });
  }

  #isPlanBehind(): boolean {
    const next = nextEpochs(this.#epochInputs());
    return JSON.stringify(next) !== JSON.stringify(this.plan.epochs);
  }

  #epochInputs(plan: Plan = this.plan) {
    const { epochs, scheme, hosts } = plan;
    const activeHosts = hosts.filter((host) => host.status === 'active').length;
    return { epochs, scheme, activeHosts, contentLength: this.#options.logs.content.length };
  }

  /** Writes a new plan, its epochs made to fit, and syncs it. */
  async #change(changed: (plan: Plan) => Plan): Promise<void> {
    await this.#exclusive(async () => {
      await this.#options.planLog.change((before) => {
        const plan = changed(before);
        // Without hosts there is nothing to lay out yet.
        if (plan.hosts.length === 0) return plan;
        return { ...plan, epochs: nextEpochs(this.#epochInputs(plan)) };
      });
      this.#isPlanConfirmed = false;
      await this.#options.sync();
    });
    this.#soon();
  }

  /** Epochs do not change while stripes are being encoded by them. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(work);
    // Told to who asked for it; the next one goes on.
    this.#changing = done.catch(() => undefined);
    return done;
  }

  #report(error: unknown): void {
    if (this.#isClosed) return;
    const text = error instanceof Error ? error.message : String(error);
    if (text !== this.#problem) this.#options.log(`Cannot protect what is new: ${text}`);
    this.#problem = text;
  }

  // Hosts

  #onInterval(): void {
    this.#book.look();
    const usable = this.#connector.look(this.plan, (id) => this.isHost(id));
    for (const id of usable) this.#book.seen(id);
    this.#soon();
    void this.#saver.save();
  }

  #onHost(peer: HostsPeer, state: HostState | null): void {
    const index = this.#indexOf(peer.id);
    if (index < 0 || this.#isClosed) return;
    const known = this.#book.of(peer.id);
    this.#book.seen(peer.id);
    if (state !== null) {
      known.state = state;
      known.storedBytes = state.storedBytes;
      if (state.leaving && this.plan.hosts[index]?.status === 'active') {
        this.#setStatus(index, 'leaving').catch((error: unknown) => this.#report(error));
      }
    }
    this.#soon();
  }

  /** Who takes part in the placement, as most of those who are asked see it. */
  #live(): boolean[] {
    const isGone = (id: Buffer): boolean =>
      this.#book.isMissed(id, this.plan.repairAfterMs) || this.#audits?.isMute(id) === true;
    const own = this.plan.hosts.flatMap(({ id }, index) => (isGone(id) ? [index] : []));
    const others = this.connectedHosts().flatMap(({ peer }) =>
      peer.state === null ? [] : [[...peer.state.missed, ...peer.state.failing]],
    );
    return liveHosts(this.plan, [own, ...others]);
  }

  #confirm(): void {
    const { logs, planLog } = this.#options;
    const { tree, content, stripe, parity } = logs;
    const now: OwnerLogs = {
      treeFork: tree.fork,
      contentFork: content.fork,
      contentLength: content.length,
      stripeFork: stripe.fork,
      stripeLength: stripe.length,
      parityFork: parity.fork,
      planLength: planLog.planLength,
    };
    const live = this.#live();
    if (this.#book.isConfirmerLost(this.plan, live)) {
      this.#confirmed = NOTHING_CONFIRMED;
      this.#book.protected = null;
      this.#isPlanConfirmed = false;
    }
    const ids = this.plan.hosts.flatMap(({ id }, index) => (live[index] === true ? [id] : []));
    const words = ids.map((id) => this.#book.of(id).state);
    const gone = goneHosts(this.plan, live);
    const confirmed = confirmedByAll(words, now, this.plan.epochs, gone);
    // One has not told yet what it has under the newest plan: what was known is known no better.
    if (confirmed === null) return;
    this.#confirmed = confirmed;
    this.#book.confirm(this.#versions.newestWithin(confirmed), ids);
    const sentBlocks = Math.max(this.#book.sentBlocks, this.#confirmed.contentLength);
    this.#book.sentBlocks = Math.min(sentBlocks, content.length);
    this.#isPlanConfirmed = ids.length > 0;
  }

  /** A leaving host that is needed no more is gone. */
  async #retireHosts(): Promise<void> {
    const figures = this.figures();
    const { hosts, repairAfterMs } = this.plan;
    for (const [index, { status, id }] of hosts.entries()) {
      if (status !== 'leaving') continue;
      const isThere = this.isHost(id) || !this.#book.isMissed(id, repairAfterMs);
      if (!mayRetire(figures, isThere)) continue;
      await this.#setStatus(index, 'gone');
      this.#options.swarm?.leavePeer(id);
    }
  }

  async #setStatus(index: number, status: HostStatus): Promise<void> {
    await this.#change((plan) => {
      const hosts = plan.hosts.map((host, i) => (i === index ? { ...host, status } : host));
      return { ...plan, hosts };
    });
  }

  #indexOf(id: Buffer): number {
    return this.plan.hosts.findIndex((host) => host.id.equals(id));
  }
}
