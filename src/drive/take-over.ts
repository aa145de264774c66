/**
 * Goes on with a drive whose last writer is gone for good. Nobody can give the lease away then, so both logs go on under
 * a new fork from the end that the connected peers know: should the last writer come back, it never signs a block of
 * this fork, and learns from any peer that it was taken over ({@link ForkGuard}).
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type Hypercore from 'hypercore';
import type { Download } from 'hypercore';
import { DamagedError, InterruptedError, UnavailableError } from '../errors.js';
import { readCommit } from '../fs/read-commit.js';
import type { StripeLogs } from '../hosts/stripe-rescuer.js';
import { limits } from '../limits.js';
import { HyperbeeTree } from '../tree/hyperbee-tree.js';
import type { Head } from '../tree/tree.js';
import type { DriveLogs } from './drive-logs.js';
import type { LogLengths } from './lease-messages.js';
import { fits } from './lost-tail.js';
import type { StateFile } from './state-file.js';
import { stripeLogsOf } from './stripe-logs.js';

const POLL_MS = 50;
/** Forks that a writer which has not heard of this may begin after losses of power. */
const OWN_FORKS_MAX = 1024;
/** Two machines that take a drive over at the same time must not begin the same fork. */
const RANDOM_FORKS = 2 ** 20;
/** Versions that are looked at, from the newest back, for one whose data the chunk log goes far enough for. */
const VERSIONS_TRIED_MAX = 64;

export interface TakeOverOptions {
  logs: DriveLogs;
  contentKey: Buffer;
  stateFile: StateFile;
  /** The drive's. */
  name: string;
  /** Ask nobody: go on from what is here. */
  offline: boolean;
  /** Gives up when nothing came for so long. */
  deadlineMs: number;
  /** Called before the fork begins: from then on no other one may be followed. */
  onFork: (fork: number) => void;
  log: (line: string) => void;
  onNotice?: ((line: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** How the drive goes on. */
export interface TakenOver {
  /** Also the lease's generation: higher than any that was given before. */
  generation: number;
  lengths: LogLengths;
}

/**
 * Waits until all of the tree that the connected peers know is here, and how far their chunk log goes, and starts the new
 * fork. The caller syncs the store and records the lease. Throws UnavailableError when nobody who has the drive is
 * connected, or something does not come; then nothing was changed. Throws InterruptedError, StoreError.
 */
export async function takeOver(options: TakeOverOptions): Promise<TakenOver> {
  const { logs, contentKey, stateFile, log } = options;
  const end = new LogsEnd(options);
  let lengths: LogLengths;
  let highestFork: number;
  try {
    await end.open();
    await end.reached();
    // With hosts, what they go by is needed, too: the plan, and what the stripes consist of.
    if (await end.openHostLogs()) await end.reached();
    lengths = await end.newestWithData();
    highestFork = end.highestFork;
  } finally {
    await end.close();
  }
  const { forkBegun, lease } = stateFile.state;
  const jump = OWN_FORKS_MAX + randomInt(RANDOM_FORKS);
  const fork = Math.max(highestFork, forkBegun) + jump;
  await stateFile.update({ forkBegun: fork });
  options.onFork(fork);
  await logs.continueUnderNewFork(contentKey, lengths, fork);
  log(`Took the drive over: going on under fork ${fork} from length ${lengths.treeLength}`);
  options.onNotice?.(
    `Took '${options.name}' over: this machine writes it from now on. The one that wrote before opens it read-only when it comes back, and what it had written and no other machine had is not in the drive`,
  );
  const generation = Math.max(lease.generation + 1, fork);
  return {
    generation,
    lengths: { ...lengths, treeFork: fork, contentFork: fork },
  };
}

/** The end of both logs, as it is here and as peers know it. */
class LogsEnd {
  readonly #options: TakeOverOptions;
  readonly #treeCore: Hypercore;
  readonly #content: Hypercore;
  #tree: HyperbeeTree | null = null;
  /** Those of a drive that hosts keep. */
  #hostLogs: StripeLogs | null = null;
  readonly #downloads: Download[] = [];
  #asking = false;
  #events = 0;

  constructor(options: TakeOverOptions) {
    this.#options = options;
    this.#treeCore = options.logs.tree(false);
    this.#content = options.logs.content(options.contentKey, false);
  }

  async open(): Promise<void> {
    await Promise.all([this.#treeCore.ready(), this.#content.ready()]);
    for (const core of [this.#treeCore, this.#content]) this.#watch(core);
    const { deadlineMs } = this.#options;
    this.#tree = await HyperbeeTree.open({ core: this.#treeCore.session(), deadlineMs });
  }

  /** False for a drive without hosts. */
  async openHostLogs(): Promise<boolean> {
    const { logs, contentKey } = this.#options;
    this.#hostLogs = await stripeLogsOf(logs, this.#tree as HyperbeeTree, contentKey)();
    if (this.#hostLogs === null) return false;
    const { plan, stripe, parity } = this.#hostLogs;
    for (const core of [plan, stripe, parity]) this.#watch(core);
    for (const core of [plan, stripe]) this.#downloads.push(core.download({ start: 0, end: -1 }));
    return true;
  }

  #watch(core: Hypercore): void {
    for (const event of ['append', 'truncate', 'download', 'peer-add'] as const) {
      core.on(event, () => {
        this.#events++;
      });
    }
  }

  /** Of all that was heard of. */
  get highestFork(): number {
    const cores = [this.#treeCore, this.#content];
    const forks = cores.flatMap((core) => [
      core.fork,
      ...core.peers.map(({ remoteFork }) => remoteFork),
    ]);
    return Math.max(...forks);
  }

  /** Resolves once nothing more is known than is here, and that has been so for a while. */
  async reached(): Promise<void> {
    const { offline, deadlineMs, signal } = this.#options;
    let lastMs = performance.now();
    let lastEvents = 0;
    for (;;) {
      if (signal?.aborted === true) {
        throw new InterruptedError('Interrupted while taking the drive over');
      }
      if (!offline) this.#ask();
      const nowMs = performance.now();
      if (this.#events > lastEvents) lastMs = nowMs;
      lastEvents = this.#events;
      const missing = this.#missing();
      if (missing === null && (offline || nowMs - lastMs > limits.take_over_quiet_ms_min)) return;
      if (missing !== null && (offline || nowMs - lastMs > deadlineMs)) {
        throw new UnavailableError(`Cannot take '${this.#options.name}' over: ${missing}`);
      }
      await sleep(POLL_MS);
    }
  }

  /** The newest version that refers to no chunk behind the end of the chunk log. */
  async newestWithData(): Promise<LogLengths> {
    const { logs, log } = this.#options;
    const tree = this.#tree as HyperbeeTree;
    const whole = { contentFork: this.#content.fork, contentLength: this.#content.length };
    const nothing = { treeFork: 0, treeLength: 0, contentFork: 0, contentLength: 0 };
    let head: Head = tree.head;
    for (let tried = 0; tried < VERSIONS_TRIED_MAX && head.length > 0; tried++) {
      const lengths = { ...whole, treeFork: this.#treeCore.fork, treeLength: head.length };
      if (await fits(logs, nothing, lengths)) {
        if (tried > 0) log(`Leaving out ${tried} versions whose data no peer has announced`);
        return lengths;
      }
      head = (await readCommit(tree.at(head))).previous;
    }
    throw new DamagedError(
      `Cannot take '${this.#options.name}' over: the data of its newest versions is not known to any connected peer; connect one that has it`,
    );
  }

  async close(): Promise<void> {
    for (const download of this.#downloads) download.destroy();
    await this.#tree?.close();
    const cores = [this.#treeCore, this.#content, ...Object.values(this.#hostLogs ?? {})];
    await Promise.all(cores.map((core) => core.close()));
  }

  /** What is not here yet, for a person; null when nothing is missing. */
  #missing(): string | null {
    const { offline } = this.#options;
    const core = this.#treeCore;
    const tree = this.#tree as HyperbeeTree;
    if (core.length === 0) return 'nothing of it is here, and no peer that has it is connected';
    if (!offline) {
      if (core.peers.length === 0) {
        return 'no peer that has it is connected; start one, or give --offline, too, to go on from what is on this machine, which may be older than what peers have';
      }
      if (this.#logs.some((log) => isBehind(log))) {
        return 'a connected peer knows of newer blocks and does not deliver them';
      }
    }
    const { plan, stripe } = this.#hostLogs ?? {};
    if ([plan, stripe].some((log) => log !== undefined && log.contiguousLength < log.length)) {
      return 'what its hosts go by is not all here, and no connected peer has the rest';
    }
    const { head } = tree;
    if (head.length === core.length && head.fork === core.fork && tree.isWhole) return null;
    return 'its directory tree is not all here, and no connected peer has the rest';
  }

  get #logs(): Hypercore[] {
    const { plan, stripe, parity } = this.#hostLogs ?? {};
    const logs = [this.#treeCore, this.#content, plan, stripe, parity];
    return logs.filter((log) => log !== undefined);
  }

  #ask(): void {
    if (this.#asking) return;
    this.#asking = true;
    const asked = this.#logs.map((core) =>
      // A peer that goes away; the next round asks those that are left.
      core.peers.length === 0 ? null : core.update({ wait: true }).catch(() => undefined),
    );
    Promise.all(asked).finally(() => {
      this.#asking = false;
    });
  }
}

/** Whether a peer has not said how far it is, or is further. */
function isBehind({ peers, fork, length }: Hypercore): boolean {
  return peers.some(
    ({ remoteSynced, remoteFork, remoteLength }) =>
      !remoteSynced || remoteFork > fork || (remoteFork === fork && remoteLength > length),
  );
}
