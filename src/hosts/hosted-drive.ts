/**
 * One drive that a host keeps: follows its plan, computes what is owed of it, fetches that, and says so once it is synced.
 * Nobody tells it what to do but the signed plan.
 */
import type Corestore from 'corestore';

import { InterruptedError } from '../errors.js';
import { limits } from '../limits.js';
import { BlockSet } from '../log/block-set.js';
import { localBlocksExcept } from '../log/block-totals.js';
import type { Swarm } from '../swarm/swarm.js';
import type { Capacity } from './capacity.js';
import { fetchBatch } from './fetch-batch.js';
import { averageBlockBytes, HostedLogs } from './hosted-logs.js';
import { type ConnectedHosts, Liveness, notCountedOn } from './liveness.js';
import { type MissingBlocks, missingBlocks } from './missing-blocks.js';
import { OwedBlocks } from './owed-blocks.js';
import { Placement } from './placement.js';
import { type PlanView, readPlan } from './plan-reader.js';
import type { Layout } from './stripes.js';
import type { HostedLogKeys } from './wire/admission-messages.js';
import type { ConfirmedLog, HostedLog, HostState } from './wire/hosts-messages.js';
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
  /** Makes everything durable that was stored before the call. */
  sync: () => Promise<void>;
  log: (line: string) => void;
}

/** What this host is to the drive at present. */
export interface Duty {
  view: PlanView;
  layout: Layout;
  /** This host's place in the plan; -1 when it is not in it (any more). */
  self: number;
  /** Indexes of hosts that are not counted on, though the plan has them. */
  gone: ReadonlySet<number>;
  placement: Placement;
  /** As if no host were missed. */
  basePlacement: Placement;
  owed: OwedBlocks;
  /** What is owed also when no host is missed. */
  baseOwed: OwedBlocks;
}

const LOGS_WHOLE = ['plan', 'stripe'] as const;
const LOGS_PLACED = ['tree', 'content', 'parity'] as const;

export class HostedDrive {
  readonly logs: HostedLogs;
  readonly wire: HostsWire;
  readonly #options: HostedDriveOptions;
  readonly #liveness = new Liveness();
  readonly #abort = new AbortController();
  readonly #skip: Readonly<Record<HostedLog, BlockSet>> = {
    tree: new BlockSet(),
    content: new BlockSet(),
    plan: new BlockSet(),
    stripe: new BlockSet(),
    parity: new BlockSet(),
  };
  #skipUntilMs = 0;
  #skipForMs: number = limits.host_fetch_again_ms_min;
  #duty: Duty | null = null;
  #forks = '';
  #missing: Partial<Record<HostedLog, MissingBlocks>> = {};
  #state: HostState | null = null;
  #stateMs = Number.NEGATIVE_INFINITY;
  #storedBytes = 0;
  #servedBytes = 0;
  #leaving = false;
  #isFull = false;
  #reconnectMs: number = limits.host_reconnect_ms_min;
  #reconnectAtMs = 0;
  #wake: (() => void) | null = null;
  #isAwake = true;
  #lastError = '';
  #running: Promise<void> | null = null;

  private constructor(options: HostedDriveOptions, logs: HostedLogs) {
    this.#options = options;
    this.logs = logs;
    for (const core of logs.all) {
      core.on('append', () => this.wakeUp());
      core.on('truncate', () => this.wakeUp());
      core.on('download', (_block: number, bytes: number) => {
        this.#storedBytes += bytes;
      });
      core.on('upload', (_block: number, bytes: number) => {
        this.#servedBytes += bytes;
      });
    }
    this.wire = new HostsWire({
      planCore: logs.get('plan'),
      planPublicKey: options.planPublicKey,
      hello: () => ({ role: 'host' }),
      readBlock: (log, block) => logs.readBlock(log, block),
      onHello: (peer) => {
        if (this.#state !== null) peer.sendState(this.#state);
        this.#askAgain();
      },
      onState: () => this.wakeUp(),
      onClose: () => this.wakeUp(),
      log: options.log,
    });
  }

  /** Opens the logs and begins to work. Throws what the store throws. */
  static async open(options: HostedDriveOptions): Promise<HostedDrive> {
    const logs = await HostedLogs.open(options.store, options.keys);
    const drive = new HostedDrive(options, logs);
    for (const core of logs.all) {
      drive.#storedBytes += (await localBlocksExcept(core, core.length, new BlockSet())).bytes;
    }
    options.swarm.join(logs.get('tree').discoveryKey);
    drive.#running = drive.#run();
    return drive;
  }

  /** What it said last of itself; null before it knew. */
  get state(): HostState | null {
    return this.#state;
  }
  /** Blocks of all logs that are here, in bytes. */
  get storedBytes(): number {
    return this.#storedBytes;
  }
  /** Blocks sent to others since the start, in bytes. */
  get servedBytes(): number {
    return this.#servedBytes;
  }
  /** Null until the plan is here. */
  get duty(): Duty | null {
    return this.#duty;
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

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      try {
        this.#isAwake = false;
        await this.#round();
        this.#lastError = '';
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        const text = error instanceof Error ? error.message : String(error);
        // The same again and again is said once.
        if (text !== this.#lastError) this.#options.log(`Cannot go on with a drive: ${text}`);
        this.#lastError = text;
        this.#isAwake = false;
      }
      await this.#rest();
    }
  }

  #rest(): Promise<void> {
    if (this.#isAwake) return Promise.resolve();
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limits.host_look_ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).then(() => {
      this.#wake = null;
    });
  }

  async #round(): Promise<void> {
    this.#lookAtSkipped();
    const isSmallThere = await this.#fetchWholeLogs();
    await this.#lookAtDuty();
    if (this.#duty === null) return;
    this.#reconnect(this.#duty);
    this.#survey(this.#duty);
    await this.#tell(this.#duty);
    const came = await Promise.all(LOGS_PLACED.map((name) => this.#fetch(name)));
    if (isSmallThere || came.some((blocks) => blocks > 0)) this.#isAwake = true;
  }

  // What is owed

  async #lookAtDuty(): Promise<void> {
    const plan = this.logs.get('plan');
    let view = this.#duty?.view ?? null;
    if (view === null || view.length !== plan.length) {
      view = (await readPlan(plan, this.#options.log)) ?? view;
    }
    if (view === null) return;
    const self = view.plan.hosts.findIndex(({ id }) => id.equals(this.#options.hostId));
    const connected = this.#connectedHosts();
    this.#liveness.look(view.plan, connected);
    const suspects = new Set(this.#suspects(view, self, connected).missed);
    const gone = notCountedOn(view.plan, self, suspects, connected);
    const layout: Layout = {
      epochs: view.plan.epochs,
      contentLength: this.logs.get('content').length,
      stripeLength: this.logs.get('stripe').length,
    };
    const before = this.#duty;
    const forks = this.logs.all.map(({ fork }) => fork).join();
    const isSame =
      before !== null &&
      before.view === view &&
      forks === this.#forks &&
      isSubset(gone, before.gone) &&
      isSubset(before.gone, gone);
    this.#forks = forks;
    const duty = isSame ? { ...before, layout } : newDuty(view, layout, self, gone);
    const pause = workPause();
    await duty.owed.extend(layout, pause);
    if (duty.baseOwed !== duty.owed) await duty.baseOwed.extend(layout, pause);
    if (!isSame) this.#askAgain();
    this.#duty = duty;
  }

  #suspects(view: PlanView, self: number, connected: ConnectedHosts) {
    return { missed: this.#liveness.missed(view.plan, self, connected), failing: [] as number[] };
  }

  #connectedHosts(): ConnectedHosts {
    const connected = new Map<string, HostState | null>();
    for (const peer of this.wire.peers) {
      if (peer.role === 'host') connected.set(peer.id.toString('hex'), peer.state);
    }
    return connected;
  }

  /** Hosts find each other by the topic, too; but the library soon gives up on one that went. */
  #reconnect({ view, self }: Duty): void {
    const nowMs = performance.now();
    if (nowMs < this.#reconnectAtMs) return;
    const { swarm } = this.#options;
    const away = view.plan.hosts.filter(
      ({ id, status }, index) =>
        index !== self && (status === 'active' || status === 'leaving') && !swarm.isConnected(id),
    );
    this.#reconnectMs =
      away.length === 0
        ? limits.host_reconnect_ms_min
        : Math.min(1.5 * this.#reconnectMs, limits.host_reconnect_ms_max);
    this.#reconnectAtMs = nowMs + this.#reconnectMs;
    for (const { id } of away) swarm.joinPeer(id);
  }

  // What is here, and what is not

  #owedOf(name: HostedLog, { owed, view, self }: Duty): BlockSet[] {
    const { length } = this.logs.get(name);
    if (name === 'plan' || name === 'stripe') return [new BlockSet().complement(length)];
    // A host that is not in the plan owes nothing.
    if (self < 0) return [];
    if (name === 'tree') return [view.treeGarbage.complement(length)];
    return name === 'content' ? [owed.content, owed.tail] : [owed.parity];
  }

  #survey(duty: Duty): void {
    for (const name of [...LOGS_WHOLE, ...LOGS_PLACED]) {
      const owed = this.#owedOf(name, duty);
      this.#missing[name] = missingBlocks(this.logs.get(name), owed, this.#skip[name]);
    }
  }

  // Fetching

  /** Blocks that nobody had are asked for again after a while, or when somebody comes. */
  #lookAtSkipped(): void {
    if (performance.now() < this.#skipUntilMs) return;
    for (const set of Object.values(this.#skip)) set.clear();
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
      if ((await this.#fetch(name)) > 0) isNew = true;
    }
    return isNew;
  }

  /** Asks for the next blocks of a log. Returns how many came. */
  async #fetch(name: HostedLog): Promise<number> {
    const core = this.logs.get(name);
    const wanted = this.#missing[name]?.wanted ?? [];
    if (wanted.length === 0 || core.peers.length === 0) return 0;
    const { capacity } = this.#options;
    const blockBytes = averageBlockBytes(core);
    const count = Math.min(wanted.length, limits.host_batch_blocks);
    const claimed = await capacity.claim(count, blockBytes);
    this.#noteFull(claimed < count);
    if (claimed === 0) return 0;
    const batch = wanted.slice(0, claimed);
    const absent = await fetchBatch(core, batch, this.#abort.signal);
    capacity.settle(claimed, claimed - absent.length, blockBytes);
    for (const block of absent) this.#skip[name].add(block);
    return claimed - absent.length;
  }

  #noteFull(isFull: boolean): void {
    if (isFull && !this.#isFull) {
      this.#options.log('The host is full: what it owes besides is not stored');
    }
    this.#isFull = isFull;
  }

  // Telling

  /** Says how it stands, when that has changed: only what is on the disk for good. */
  async #tell(duty: Duty): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#stateMs < limits.host_state_ms_min) return;
    const state = this.#stateOf(duty);
    const isSame = this.#state !== null && JSON.stringify(state) === JSON.stringify(this.#state);
    if (isSame && nowMs - this.#stateMs < limits.host_state_ms_max) return;
    await this.#options.sync();
    this.#stateMs = nowMs;
    this.#state = state;
    this.wire.sendState(state);
  }

  #stateOf(duty: Duty): HostState {
    const { view, self } = duty;
    const { capacity } = this.#options;
    let missingBlocks = 0;
    let missingBytes = 0;
    for (const [name, { count }] of Object.entries(this.#missing)) {
      missingBlocks += count;
      missingBytes += count * averageBlockBytes(this.logs.get(name as HostedLog));
    }
    const { missed, failing } = this.#suspects(view, self, this.#connectedHosts());
    return {
      planLength: view.length,
      tree: this.#confirmed('tree'),
      content: this.#confirmed('content'),
      stripe: this.#confirmed('stripe'),
      parity: this.#confirmed('parity'),
      missingBlocks,
      missingBytes,
      storedBytes: this.#storedBytes,
      capacityBytes: capacity.capacityBytes,
      freeBytes: capacity.freeBytes,
      leaving: this.#leaving,
      missed,
      failing,
    };
  }

  #confirmed(name: HostedLog): ConfirmedLog {
    const { fork } = this.logs.get(name);
    return { fork, length: this.#missing[name]?.completeTo ?? 0 };
  }
}

function newDuty(view: PlanView, layout: Layout, self: number, gone: ReadonlySet<number>): Duty {
  const placed = (isGone: (index: number) => boolean): Placement =>
    new Placement(
      view.plan.hosts.map(({ id, capacityBytes, status }, index) => ({
        index,
        id,
        capacityBytes,
        live: status === 'active' && !isGone(index),
      })),
    );
  const basePlacement = placed(() => false);
  const placement = gone.size === 0 ? basePlacement : placed((index) => gone.has(index));
  const baseOwed = new OwedBlocks(self, basePlacement, view.contentGarbage);
  const owed = gone.size === 0 ? baseOwed : new OwedBlocks(self, placement, view.contentGarbage);
  return { view, layout, self, gone, placement, basePlacement, owed, baseOwed };
}

function isSubset(some: ReadonlySet<number>, all: ReadonlySet<number>): boolean {
  for (const each of some) if (!all.has(each)) return false;
  return true;
}
