/**
 * One drive that a host keeps: follows its plan, computes what is owed of it, fetches or rebuilds that, and says so once it
 * is synced. Nobody tells it what to do but the signed plan.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type Corestore from 'corestore';
import type { ReplicatorPeer } from 'hypercore';
import { InterruptedError } from '../errors.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { localBlocksExcept } from '../log/block-totals.js';
import { removeBlocks } from '../log/remove-blocks.js';
import type { Swarm } from '../swarm/swarm.js';
import type { Absences } from './absences.js';
import type { Accounts } from './accounts.js';
import { Auditor, type Evidence } from './auditor.js';
import type { Capacity } from './capacity.js';
import { type Duty, extendDuty, isDismissed, nextDuty, owedOfTree } from './duty.js';
import { fetchBatch } from './fetch-batch.js';
import { type Handover, handoverOf } from './handover.js';
import { hostStateOf } from './host-state.js';
import { averageBlockBytes, HostedLogs } from './hosted-logs.js';
import { type ConnectedHosts, Liveness, notCountedOn } from './liveness.js';
import { blocksNotIn, emptySets, type MissingBlocks, missingBlocks } from './missing-blocks.js';
import { newestPlan } from './plan-reader.js';
import type { RateBudget } from './rate-budget.js';
import { Rebuilder } from './rebuilder.js';
import { Reconnector } from './reconnector.js';
import { Scrubber } from './scrubber.js';
import { type Standing, StateTeller } from './state-teller.js';
import { StoredBytes } from './stored-bytes.js';
import { StripeReader } from './stripe-reader.js';
import { surplusOf } from './surplus.js';
import type { HostedLogKeys } from './wire/admission-messages.js';
import { HOSTED_LOGS, type HostedLog, type HostState } from './wire/hosts-messages.js';
import type { HostsPeer } from './wire/hosts-peer.js';
import { HostsWire } from './wire/hosts-wire.js';
import { workPause } from './work-pause.js';

export interface HostedDriveOptions {
  store: Corestore;
  swarm: Swarm;
  /** This host's id. */
  hostId: Buffer;
  planPublicKey: Buffer;
  keys: HostedLogKeys;
  capacity: Capacity;
  /** How long others had been away when this host ended last. */
  absences?: Absences | undefined;
  /** Makes everything durable that was stored before the call. */
  sync: () => Promise<void>;
  /** Blocks of some logs were taken out of the store, so many bytes. */
  onRemoved: (bytes: number) => void;
  accounts: Accounts;
  /** Whether its owner gives enough for more to be kept. */
  mayKeepMore: () => boolean;
  /** For rebuilding, and for what is fetched in place of hosts that are missed. */
  repairBudget: RateBudget;
  /** For reading what is stored. */
  verifyBudget: RateBudget;
  /** Milliseconds between two audits. */
  auditIntervalMs: number;
  onEvidence: (evidence: Evidence) => void;
  log: (line: string) => void;
}

const LOGS_WHOLE = ['plan', 'stripe'] as const;
const LOGS_PLACED = ['tree', 'content', 'parity'] as const;

export class HostedDrive {
  readonly logs: HostedLogs;
  readonly wire: HostsWire;
  readonly auditor: Auditor;
  readonly rebuilder: Rebuilder;
  readonly scrubber: Scrubber;
  readonly liveness: Liveness;
  readonly #options: HostedDriveOptions;
  readonly #reconnector: Reconnector;
  readonly #teller: StateTeller;
  readonly #abort = new AbortController();
  /** Blocks that nobody delivered lately. */
  readonly #skip = emptySets();
  /** Blocks that could not be rebuilt lately. */
  readonly #lost = emptySets();
  #skipUntilMs = 0;
  #skipForMs: number = limits.host_fetch_again_ms_min;
  #duty: Duty | null = null;
  #missing: Partial<Record<HostedLog, MissingBlocks>> = {};
  /** Counts what may change which blocks are missing or surplus: looking at them all takes long. */
  #changes = 0;
  #surveyed = -1;
  #surplusSeen = -1;
  /** Since when there are blocks that nobody delivers, of a log. */
  readonly #stuckMs: Partial<Record<HostedLog, number>> = {};
  #surplusMs = Number.NEGATIVE_INFINITY;
  readonly #stored = new StoredBytes();
  #servedBytes = 0;
  #isLeaving = false;
  #isFull = false;
  #wake: (() => void) | null = null;
  #isAwake = true;
  #lastError = '';
  #running: Promise<unknown> | null = null;

  private constructor(options: HostedDriveOptions, logs: HostedLogs) {
    this.#options = options;
    this.logs = logs;
    this.liveness = new Liveness(options.absences);
    this.#reconnector = new Reconnector(options.swarm);
    for (const core of logs.all) {
      core.on('append', () => this.#change());
      core.on('truncate', () => this.#change());
      core.on('download', (block: number, bytes: number, { remotePublicKey }: ReplicatorPeer) => {
        this.#stored.downloaded(core, block, bytes);
        this.#changes++;
        this.#move(remotePublicKey, 0, bytes);
      });
      core.on('upload', (_block: number, bytes: number, { remotePublicKey }: ReplicatorPeer) => {
        this.#servedBytes += bytes;
        this.#move(remotePublicKey, bytes, 0);
      });
    }
    this.wire = new HostsWire({
      planCore: logs.get('plan'),
      planPublicKey: options.planPublicKey,
      hello: () => ({ role: 'host' }),
      readBlock: (log, block, peer) => this.#serve(log, block, peer),
      mayRead: ({ role, id }) => role !== 'host' || options.accounts.isFair(id),
      onHello: (peer) => {
        this.#teller.repeatTo((state) => peer.sendState(state));
        this.#askAgain();
      },
      onState: () => this.wakeUp(),
      onClose: () => this.wakeUp(),
      log: options.log,
    });
    const stripes = new StripeReader(logs.get('stripe'));
    const { wire } = this;
    const { signal } = this.#abort;
    const { repairBudget: budget, verifyBudget, accounts, onEvidence, sync, log } = options;
    this.#teller = new StateTeller({ sync, send: (state) => wire.sendState(state) });
    this.rebuilder = new Rebuilder({ logs, wire, stripes, budget, signal, log, accounts });
    const mayBeRefused = (id: Buffer): boolean => options.accounts.hasTakenMuch(id);
    this.auditor = new Auditor({ logs, wire, stripes, onEvidence, log, mayBeRefused });
    this.scrubber = new Scrubber(logs, verifyBudget);
    logs.onDamaged = (name, block) => {
      this.scrubber.figures.damaged++;
      this.#stored.remove(averageBlockBytes(logs.get(name)));
      this.#teller.lose();
      log(`Block ${block} of the ${name} log was damaged on this disk; it is fetched again`);
      this.#change();
    };
  }

  /** Opens the logs and begins to work. Throws what the store throws. */
  static async open(options: HostedDriveOptions): Promise<HostedDrive> {
    const logs = await HostedLogs.open(options.store, options.keys);
    const drive = new HostedDrive(options, logs);
    for (const core of logs.all) {
      drive.#stored.add((await localBlocksExcept(core, core.length, new BlockSet())).bytes);
    }
    options.swarm.join(logs.get('tree').discoveryKey);
    drive.#running = Promise.all([
      drive.#again(() => drive.#round(), 0),
      drive.#again(() => drive.#tellOfIt(), limits.host_state_ms_min),
      drive.#again(() => drive.#audit(), options.auditIntervalMs),
      drive.#again(() => drive.scrubber.run(drive.#abort.signal), limits.host_state_ms_max),
    ]);
    return drive;
  }

  /** What it said last of itself; null before it knew. */
  get state(): HostState | null {
    return this.#teller.told;
  }
  /** Blocks of all logs that are here, in bytes. */
  get storedBytes(): number {
    return this.#stored.bytes;
  }
  /** Blocks sent to others since the start, in bytes. */
  get servedBytes(): number {
    return this.#servedBytes;
  }
  /** Null until the plan is here. */
  get duty(): Duty | null {
    return this.#duty;
  }
  /** How far it is with leaving. */
  get handover(): Handover {
    return handoverOf(this.#duty, this.wire, this.logs.lengths);
  }
  /** The owner does not want this host to keep it: it goes when it is handed over. */
  get isDismissed(): boolean {
    return this.#duty !== null && isDismissed(this.#duty);
  }

  /** Tells the others to take over what is here. */
  leave(): void {
    this.#isLeaving = true;
    this.wakeUp();
  }

  /** Looks at everything soon. */
  wakeUp(): void {
    this.#isAwake = true;
    this.#wake?.();
  }

  /** Ends the work, and speaks with nobody any more. Idempotent. */
  async stop(): Promise<void> {
    this.#abort.abort(new InterruptedError('The host ends'));
    this.wakeUp();
    await this.#running;
    this.wire.close();
  }

  /** {@link stop}, and closes the logs. Idempotent. */
  async close(): Promise<void> {
    await this.stop();
    await this.logs.close();
  }

  /** Does something again and again until the end; what fails is said, and tried again later. */
  async #again(work: () => Promise<unknown>, pauseMs: number): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        if (pauseMs > 0) await sleep(pauseMs, undefined, { signal });
        else await this.#rest();
        await work();
      } catch (error) {
        if (signal.aborted) return;
        const text = error instanceof Error ? error.message : String(error);
        // The same again and again is said once.
        if (text !== this.#lastError) this.#options.log(`Cannot go on with a drive: ${text}`);
        this.#lastError = text;
        this.#isAwake = false;
      }
    }
  }

  async #rest(): Promise<void> {
    if (!this.#isAwake) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limits.host_look_ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = null;
    this.#isAwake = false;
  }

  #change(): void {
    this.#changes++;
    this.wakeUp();
  }

  async #round(): Promise<void> {
    this.#lookAtSkipped();
    const isNew = await this.#fetchWholeLogs();
    const duty = await this.#lookAtDuty();
    if (duty === null) return;
    this.#reconnector.look(duty.view.plan, duty.self);
    this.#survey(duty);
    const came = await Promise.all(LOGS_PLACED.map((name) => this.#fetch(name, duty)));
    this.#survey(duty);
    const rebuilt = (await this.#rebuild('content', duty)) + (await this.#rebuild('parity', duty));
    await this.#dropSurplus(duty);
    if (isNew || rebuilt > 0 || came.some((blocks) => blocks > 0)) this.#isAwake = true;
  }

  // What is owed

  async #lookAtDuty(): Promise<Duty | null> {
    const known = this.#duty?.view ?? null;
    const view = await newestPlan(this.logs.get('plan'), known, this.#options.log);
    if (view === null) return null;
    const self = view.plan.hosts.findIndex(({ id }) => id.equals(this.#options.hostId));
    const connected = this.#connectedHosts();
    this.liveness.look(view.plan, connected);
    const missed = this.liveness.missed(view.plan, self);
    const failing = this.auditor.failing({ view });
    const gone = notCountedOn(view.plan, self, new Set([...missed, ...failing]), connected);
    const layout = {
      epochs: view.plan.epochs,
      contentLength: this.logs.get('content').length,
      stripeLength: this.logs.get('stripe').length,
    };
    const forks = this.logs.forks;
    const before = this.#duty;
    const duty = nextDuty(before, { view, layout, forks, self, missed, failing, gone });
    await extendDuty(duty, workPause());
    this.#duty = duty;
    const { contentLength, stripeLength } = layout;
    const isLonger =
      contentLength !== before?.layout.contentLength || stripeLength !== before.layout.stripeLength;
    // Only now: what was looked at meanwhile was by the duty before.
    if (isLonger) this.#changes++;
    if (duty.owed !== before?.owed) {
      this.#changes++;
      this.#askAgain();
      this.#lookAtSkipped();
    }
    return duty;
  }

  #connectedHosts(): ConnectedHosts {
    return new Map(this.wire.hosts.map(({ id, state }) => [id.toString('hex'), state]));
  }

  // What is here, and what is not

  #owedOf(name: HostedLog, duty: Duty): BlockSet[] {
    const { owed } = duty;
    const { length } = this.logs.get(name);
    if (name === 'plan' || name === 'stripe') return [new BlockSet().complement(length)];
    if (name === 'tree') return [owedOfTree(duty, length)];
    return name === 'content' ? [owed.content, owed.tail] : [owed.parity];
  }

  #survey(duty: Duty): void {
    if (this.#surveyed === this.#changes) return;
    this.#surveyed = this.#changes;
    for (const name of HOSTED_LOGS) {
      // Who is to go keeps what it has of the tree, and fetches no more of it.
      const owed = name === 'tree' && isDismissed(duty) ? [] : this.#owedOf(name, duty);
      this.#missing[name] = missingBlocks(this.logs.get(name), owed, this.#skip[name]);
    }
  }

  // Fetching

  /** Blocks that nobody had are asked for again after a while, or when somebody comes. */
  #lookAtSkipped(): void {
    if (performance.now() < this.#skipUntilMs) return;
    for (const sets of [this.#skip, this.#lost]) {
      for (const set of Object.values(sets)) set.clear();
    }
    if (Object.values(this.#missing).some(({ count }) => count > 0)) this.#changes++;
    this.#skipForMs = Math.min(2 * this.#skipForMs, limits.host_fetch_again_ms_max);
    this.#skipUntilMs = performance.now() + this.#skipForMs;
  }

  #askAgain(): void {
    this.#skipForMs = limits.host_fetch_again_ms_min / 2;
    this.#skipUntilMs = 0;
    this.wakeUp();
  }

  /** Plan and stripe log, which are small and say all else. Returns whether anything came. */
  async #fetchWholeLogs(): Promise<boolean> {
    let isNew = false;
    for (const name of LOGS_WHOLE) {
      const core = this.logs.get(name);
      const all = [new BlockSet().complement(core.length)];
      this.#missing[name] = missingBlocks(core, all, this.#skip[name]);
      if ((await this.#fetch(name, null)) > 0) isNew = true;
    }
    return isNew;
  }

  /** Asks for the next blocks of a log. Returns how many came. */
  async #fetch(name: HostedLog, duty: Duty | null): Promise<number> {
    const core = this.logs.get(name);
    const wanted = this.#missing[name]?.wanted ?? [];
    if (wanted.length === 0 || core.peers.length === 0) return 0;
    const { capacity, repairBudget } = this.#options;
    const blockBytes = averageBlockBytes(core);
    let batch = wanted.slice(0, limits.host_batch_blocks);
    if (duty !== null && (name === 'content' || name === 'parity')) {
      const isSpare = (block: number): boolean => !duty.baseOwed.has({ log: name, block });
      const first = batch.findIndex(isSpare);
      if (first === 0) {
        batch = batch.slice(0, Math.max(1, Math.floor(limits.host_spare_batch_bytes / blockBytes)));
        await repairBudget.take(batch.length * blockBytes, this.#abort.signal);
      } else if (first > 0) batch = batch.slice(0, first);
    }
    // A plan is small, and may say what need not be kept: a full host must get it.
    const isPlan = name === 'plan';
    const claimed = isPlan ? batch.length : await this.#claim(batch.length, blockBytes);
    if (claimed === 0) return 0;
    const asked = batch.slice(0, claimed);
    const { absent, isStalled } = await fetchBatch(core, asked, this.#abort.signal, (id) =>
      this.wire.peers.some((peer) => peer.role === 'owner' && peer.id.equals(id)),
    );
    if (!isPlan) capacity.settle(claimed, claimed - absent.length, blockBytes);
    if (isStalled) for (const block of absent) this.#skip[name].add(block);
    this.#changes++;
    return claimed - absent.length;
  }

  /** Room for blocks that are to be stored: for so many of them. */
  async #claim(count: number, blockBytes: number): Promise<number> {
    const { capacity, mayKeepMore, log } = this.#options;
    const isFair = mayKeepMore();
    const claimed = isFair ? await capacity.claim(count, blockBytes) : 0;
    if (claimed < count && !this.#isFull) {
      log(`${isFair ? 'Full' : 'The owner gives too little'}: what is owed besides is not stored`);
    }
    this.#isFull = claimed < count;
    return claimed;
  }

  /** Rebuilds the next blocks that nobody delivers. Returns how many. */
  async #rebuild(name: 'content' | 'parity', duty: Duty): Promise<number> {
    const stuck = this.#missing[name]?.stuck ?? [];
    if (stuck.length === 0) delete this.#stuckMs[name];
    else this.#stuckMs[name] ??= performance.now();
    const lost = this.#lost[name];
    const blocks = stuck.filter((block) => !lost.has(block)).slice(0, limits.host_rebuild_blocks);
    if (blocks.length === 0) return 0;
    const isOwnerHere = this.wire.peers.some(({ role }) => role === 'owner');
    const stuckForMs = performance.now() - (this.#stuckMs[name] ?? 0);
    if (isOwnerHere && stuckForMs < limits.host_owner_slow_ms) return 0;
    const blockBytes = averageBlockBytes(this.logs.get(name));
    const claimed = await this.#claim(blocks.length, blockBytes);
    const before = this.rebuilder.figures.bytes;
    const rebuilt = new Set(await this.rebuilder.rebuild(duty, name, blocks.slice(0, claimed)));
    this.#stored.add(this.rebuilder.figures.bytes - before);
    this.#options.capacity.settle(claimed, rebuilt.size, blockBytes);
    for (const block of blocks) if (!rebuilt.has(block)) lost.add(block);
    this.#changes++;
    return rebuilt.size;
  }

  async #dropSurplus(duty: Duty): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#surplusMs < limits.host_surplus_look_ms) return;
    if (this.#surplusSeen === this.#changes) return;
    this.#surplusMs = nowMs;
    const changes = this.#changes;
    let waiting = 0;
    const pause = workPause();
    let bytes = 0;
    const tree = this.logs.get('tree');
    const garbage = blocksNotIn(tree, [owedOfTree(duty, tree.length)]);
    if (duty.self >= 0) bytes += (await removeBlocks(tree, garbage, pause)).bytes;
    for (const name of ['content', 'parity'] as const) {
      const core = this.logs.get(name);
      const surplus = await surplusOf(duty, name, this.logs, this.wire, pause);
      bytes += (await removeBlocks(core, surplus.stretches, pause)).bytes;
      waiting += surplus.waiting;
    }
    // What others have not confirmed yet is looked at again.
    if (waiting === 0) this.#surplusSeen = changes;
    if (bytes === 0) return;
    this.#changes++;
    this.#stored.remove(bytes);
    this.#options.onRemoved(bytes);
  }

  // Others

  async #serve(log: HostedLog, block: number, peer: HostsPeer): Promise<Buffer | null> {
    const stored = await this.logs.readBlock(log, block);
    const bytes = stored?.length ?? 0;
    this.#servedBytes += bytes;
    this.#move(peer.id, bytes, 0);
    return stored;
  }

  /** Owners and readers have another identity each time. */
  #move(id: Buffer, givenBytes: number, takenBytes: number): void {
    if (this.wire.host(id) !== undefined) {
      this.#options.accounts.move(id, givenBytes, takenBytes);
    }
  }

  async #audit(): Promise<void> {
    if (this.#duty !== null) await this.auditor.audit(this.#duty);
  }

  /** Says how it stands, when that has changed: only what is on the disk for good. */
  async #tellOfIt(): Promise<void> {
    const plan = this.#duty?.view.plan;
    if (plan !== undefined) this.liveness.look(plan, this.#connectedHosts());
    await this.#teller.tell(() => this.#howItStands());
  }

  #howItStands(): Standing | null {
    const duty = this.#duty;
    // After a new fork, what was computed before says nothing.
    if (duty === null || duty.forks !== this.logs.forks) return null;
    this.#survey(duty);
    const state = hostStateOf(duty, {
      logs: this.logs,
      missing: this.#missing,
      storedBytes: this.#stored.bytes,
      capacity: this.#options.capacity,
      isLeaving: this.#isLeaving,
    });
    return { state, owed: duty.owed };
  }
}
