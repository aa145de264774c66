/**
 * Keeps a drive on hosts while this process has it open for writing: joins its logs, its tree and its swarm with the
 * protector, and answers the commands about hosts.
 */
import { appendFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type Hypercore from 'hypercore';
import { ReadOnlyError, StoreError, UnavailableError, UsageError } from '../errors.js';
import type { DriveFileSystem } from '../fs/drive-file-system.js';
import type { AuditEvidence } from '../hosts/audits.js';
import type { VersionLengths } from '../hosts/confirmations.js';
import type { StoredBook } from '../hosts/owner-book.js';
import type { CollectedBlocks } from '../hosts/plan-garbage.js';
import { PlanLog } from '../hosts/plan-log.js';
import { Protector } from '../hosts/protector.js';
import type { HostedLog } from '../hosts/wire/hosts-messages.js';
import { limits } from '../limits.js';
import { SpaceGuard } from '../log/space-guard.js';
import { withinTime } from '../log/within-time.js';
import { ServingTurns } from '../swarm/serving-turns.js';
import { readGarbage } from '../tree/garbage-record.js';
import { collectionKey, GarbageLog, protectionKey } from '../tree/keys.js';
import { encodeProtection, readProtection } from '../tree/protection-record.js';
import { RECORDS_FORMAT_VERSION } from '../tree/superblock.js';
import { readVersionedJson, writeFileAtomically } from './atomic-file.js';
import type { Drive } from './drive.js';
import type { Home } from './home.js';
import type { WriterKeys } from './key-derivation.js';
import { HOSTS_FORMAT_VERSION, ownHostKeys } from './own-host.js';
import { keepTerm, openProtectionLogs, termFork } from './protection-logs.js';
import { WorkBudget, type WorkShare } from './work-budget.js';
import { WritingPace } from './writing-pace.js';

const PEER_LOOK_MS = 50;
const LOCAL = { localOnly: true };

export interface ProtectionOptions {
  home: Home;
  drive: Drive;
  fileSystem: DriveFileSystem;
  /** Whether the process's time belongs to others: a mount's does. */
  inBackground: boolean;
  log: (line: string) => void;
}

/** What keeps a drive on hosts; does nothing for a drive that has none, or that is not written here. Close it. */
export class Protection {
  readonly #options: ProtectionOptions;
  readonly #abort = new AbortController();
  #protector: Protector | null = null;
  #logs: Record<HostedLog, Hypercore> | null = null;
  #opening: Promise<Protector> | null = null;
  #retry: NodeJS.Timeout | null = null;
  /** The same again and again is said once. */
  #problem = '';
  #collection: Buffer | null | undefined;
  #turns: ServingTurns | null = null;
  /** What nobody has brought until then is encoded anew. */
  #stripesAwaitedUntilMs: number | null = null;
  #awaitedUntilMs = Number.NEGATIVE_INFINITY;
  #pace: WritingPace | null = null;

  constructor(options: ProtectionOptions) {
    this.#options = options;
  }

  /** Null for a drive without hosts, and until it was opened. */
  get protector(): Protector | null {
    return this.#protector;
  }

  /** Of what was sent to the hosts, what was held back for who writes, in bytes. */
  get pacedBytes(): number {
    return this.#turns?.pacedBytes ?? 0;
  }

  /** Somebody waits until all is protected: nothing is held back for a while. */
  noteAwaited(): void {
    this.#awaitedUntilMs = performance.now() + limits.sync_awaited_ms;
  }

  /** Begins in the background, if the drive has hosts. Never throws. */
  start(): void {
    const { drive, log } = this.#options;
    if (!drive.writable || this.#abort.signal.aborted) return;
    const begin = async (): Promise<void> => {
      const record = await readProtection(drive.tree.at(drive.tree.head), LOCAL);
      if (record !== null) await this.#opened();
    };
    begin().catch((error: unknown) => {
      if (this.#abort.signal.aborted) return;
      const text = error instanceof Error ? error.message : String(error);
      if (text !== this.#problem) log(`Cannot protect the drive, trying again: ${text}`);
      this.#problem = text;
      this.#retry = setTimeout(() => this.start(), limits.protector_interval_ms);
      this.#retry.unref();
    });
  }

  /**
   * The protector; the drive is one with hosts from then on. Throws ReadOnlyError, UnavailableError, DamagedError,
   * NoSpaceError, StoreError.
   */
  async enabled(): Promise<Protector> {
    const { drive, fileSystem } = this.#options;
    this.#requireWritable();
    const keys = this.#writerKeys();
    const record = await readProtection(drive.tree.at(drive.tree.head), LOCAL);
    if (record === null) {
      const value = encodeProtection({
        planKey: keys.planLog.key,
        stripeKey: keys.stripeLog.key,
        parityKey: keys.parityLog.key,
      });
      fileSystem.committer.putDriveRecord({ key: protectionKey, value }, RECORDS_FORMAT_VERSION);
      await fileSystem.commit();
    }
    return await this.#opened();
  }

  /** The protector of a drive that has hosts. Throws UsageError for one that has none, and like {@link enabled}. */
  async required(): Promise<Protector> {
    const { drive } = this.#options;
    this.#requireWritable();
    const record = await readProtection(drive.tree.at(drive.tree.head), LOCAL);
    if (record !== null) return await this.#opened();
    throw new UsageError(
      `'${drive.name}' has no hosts; 'shoal hosts add ${drive.name} INVITE' adds one`,
    );
  }

  /** Resolves when all work has ended. Idempotent. Throws StoreError. */
  async close(): Promise<void> {
    this.#abort.abort();
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#opening?.catch(() => undefined);
    await this.#protector?.close();
    const logs = Object.values(this.#logs ?? {});
    this.#logs = null;
    await Promise.all(logs.map((core) => core.close()));
  }

  #requireWritable(): void {
    const { drive } = this.#options;
    if (drive.writable) return;
    throw new ReadOnlyError(
      `Cannot change the hosts of '${drive.name}': another machine writes it; run the command there`,
    );
  }

  #writerKeys(): WriterKeys {
    const { writer } = this.#options.drive.logs.keys;
    if (writer === null) throw new ReadOnlyError('Cannot protect a drive without its write key');
    return writer;
  }

  #opened(): Promise<Protector> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Protector> {
    this.#abort.signal.throwIfAborted();
    const { drive, log, inBackground } = this.#options;
    const keys = this.#writerKeys();
    this.#logs ??= await openProtectionLogs(drive.logs, keys);
    const logs = this.#logs;
    const fork = termFork(logs.content.fork, drive.leaseGeneration);
    await this.#beginTerm(logs, fork);
    const budget = new WorkBudget(() => this.#workShare(inBackground), this.#abort.signal);
    const space = new SpaceGuard({
      directory: drive.paths.store,
      // What is new must find room before what is only to be kept safer.
      reserveBytes: 2 * limits.store_reserve_bytes,
    });
    const path = drive.paths.hosts;
    const protector = new Protector({
      logs,
      planLog: await PlanLog.open(logs.plan),
      planKeyPair: keys.planLog.keyPair,
      ownHost: () => ownHostKeys(this.#options.home),
      swarm: drive.swarm,
      claimSpace: (bytes) => space.claim(bytes),
      sync: () => drive.sync(),
      version: () => this.#version(logs),
      collected: () => this.#collected(),
      pause: budget.pause,
      stored: await this.#readBook(path),
      save: (book) => saveBook(path, book),
      onEvidence: (evidence) => this.#keep(evidence),
      log,
    });
    try {
      await protector.start(fork, await this.#awaitsStripes(logs.stripe));
    } catch (error) {
      await protector.close();
      throw error;
    }
    this.#protector = protector;
    if (inBackground) this.#giveWay(protector, logs);
    return protector;
  }

  /**
   * Whether a stripe whose record is not here is to be waited for. A mount tries again by itself, for a while; a command is over
   * too soon to encode anew what it would cut off, and never does.
   */
  async #awaitsStripes(stripes: Hypercore): Promise<boolean> {
    const { drive, inBackground } = this.#options;
    if (drive.swarm === null || stripes.contiguousLength === stripes.length) return false;
    if (!inBackground) {
      await somebodyConnected(stripes, this.#abort.signal);
      return true;
    }
    this.#stripesAwaitedUntilMs ??= performance.now() + limits.stripes_awaited_ms;
    return performance.now() < this.#stripesAwaitedUntilMs;
  }

  /** What hosts ask for waits for who writes, too: sending it takes longer than encoding it. */
  #giveWay(protector: Protector, { plan, stripe }: Record<HostedLog, Hypercore>): void {
    const { drive } = this.#options;
    if (drive.swarm === null) return;
    const turns = new ServingTurns({ isPressed: () => this.#isPressed() });
    this.#turns = turns;
    drive.swarm.servingOrder = {
      turnsOf: (peerId, log) => {
        if (!protector.isHost(peerId)) return null;
        // These are small, and say what else is to be asked for.
        return log.equals(plan.discoveryKey) || log.equals(stripe.discoveryKey) ? null : turns;
      },
    };
  }

  /** The drive is written to fast, and nobody waits for its hosts. */
  #isPressed(): boolean {
    const { committer } = this.#options.fileSystem;
    this.#pace ??= new WritingPace(() => ({
      bytes: committer.writtenBytes,
      changes: committer.changes,
    }));
    return performance.now() >= this.#awaitedUntilMs && this.#pace.isFast();
  }

  /** Whoever writes goes first: encoding can wait, and makes up for it later. */
  #workShare(inBackground: boolean): WorkShare {
    const { committer } = this.#options.fileSystem;
    const workMs = limits.encode_work_ms;
    if (!inBackground) return { workMs, restMs: 0 };
    if (this.#isPressed()) return { workMs, restMs: limits.encode_rest_fast_ms };
    const isWritten = committer.dirtyBytes > 0;
    return { workMs, restMs: isWritten ? limits.encode_rest_written_ms : limits.encode_rest_ms };
  }

  async #readBook(path: string): Promise<Record<string, unknown> | null> {
    try {
      return await readVersionedJson(path, HOSTS_FORMAT_VERSION);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#options.log(`${error.message}; going on without what hosts said before`);
      return null;
    }
  }

  /** Who did not write these logs before must have them all before he goes on. */
  async #beginTerm(logs: Record<HostedLog, Hypercore>, fork: number): Promise<void> {
    const { drive, log } = this.#options;
    const { plan, stripe, parity } = logs;
    const { signal } = this.#abort;
    if (plan.fork < fork && drive.swarm !== null) {
      const ends = [fetchEnd(plan, true, signal), fetchEnd(stripe, true, signal)];
      await Promise.all([...ends, fetchEnd(parity, false, signal)]);
    }
    await keepTerm([plan, stripe, parity], fork);
    if (plan.fork >= fork) return;
    // What was said to the hosts since must not be forgotten.
    if (drive.leaseGeneration > 1 && plan.peers.length === 0) {
      throw new UnavailableError(
        'Cannot go on with the hosts of a drive that another machine wrote before: none of them is connected; start one, or try again in a moment',
      );
    }
    const whole = await wholeLength(plan);
    if (drive.leaseGeneration > 1 && whole < plan.length) {
      throw new UnavailableError(
        'Cannot go on with the hosts of a drive that another machine wrote before: their plan is not all here yet; try again in a moment',
      );
    }
    await plan.truncate(whole, fork);
    await drive.sync();
    log(`The plan of the hosts goes on under fork ${fork}`);
  }

  #version({ content, tree }: Record<HostedLog, Hypercore>): VersionLengths {
    const { version } = this.#options.fileSystem.figures();
    return { version, treeLength: tree.length, contentLength: content.length };
  }

  async #collected(): Promise<CollectedBlocks | null> {
    const { tree } = this.#options.drive;
    const view = tree.at(tree.head);
    const record = await view.get(collectionKey, LOCAL);
    const last = this.#collection;
    if (last !== undefined && (last === null ? record === null : record?.equals(last))) return null;
    const collected = {
      tree: await readGarbage(view, GarbageLog.tree, LOCAL),
      content: await readGarbage(view, GarbageLog.chunks, LOCAL),
    };
    this.#collection = record;
    return record === null && last === undefined ? null : collected;
  }

  #keep(evidence: AuditEvidence): void {
    const { drive, log } = this.#options;
    const path = join(drive.paths.directory, 'host-evidence.jsonl');
    appendBounded(path, `${JSON.stringify(evidence)}\n`).catch((error: unknown) => {
      log(`Cannot keep the evidence against a host: ${String(error)}`);
    });
  }
}

async function saveBook(path: string, book: StoredBook): Promise<void> {
  const text = JSON.stringify({ formatVersion: HOSTS_FORMAT_VERSION, ...book });
  await writeFileAtomically(path, `${text}\n`);
}

async function appendBounded(path: string, line: string): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size < limits.log_file_bytes_max) await appendFile(path, line, { mode: 0o600 });
}

/** Resolves when a peer has said how long the log is, or after a time. */
async function somebodyConnected(core: Hypercore, signal: AbortSignal): Promise<void> {
  const giveUpAt = Date.now() + limits.lost_tail_quiet_ms_max;
  while (!core.peers.some((peer) => peer.remoteSynced) && Date.now() < giveUpAt) {
    signal.throwIfAborted();
    await sleep(PEER_LOOK_MS);
  }
}

/**
 * Gets the end of a log from peers, and with `blocks` all that is missing of it, as long as something comes. Whoever has
 * nothing to give is no reason to wait longer.
 */
async function fetchEnd(core: Hypercore, blocks: boolean, signal: AbortSignal): Promise<void> {
  const quietMs = limits.lost_tail_quiet_ms_max;
  await somebodyConnected(core, signal);
  await withinTime(
    core.update({ wait: true }).catch(() => undefined),
    quietMs,
  );
  for (let block = 0; blocks && block < core.length; block++) {
    signal.throwIfAborted();
    if (core.core?.bitfield.get(block) === true) continue;
    const fetched = core.get(block, { timeout: quietMs }).catch(() => null);
    if ((await fetched) === null) return;
  }
}

/** Blocks from the first on that are here. */
async function wholeLength(core: Hypercore): Promise<number> {
  for (let block = 0; block < core.length; block++) {
    if ((await core.get(block, { wait: false })) === null) return block;
  }
  return core.length;
}
