/** Whether this process may write to a drive, and how it comes to that. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeAddress } from 'hyperdht';
import { CapabilityError, DamagedError, ReadOnlyError, ShoalError } from '../errors.js';
import { limits } from '../limits.js';
import { removeSyncJournal, setSyncJournalAside } from '../log/sync-journal.js';
import { type DriveKeys, type DriveLogs, storeSyncOf, topicOf } from './drive-logs.js';
import { ForkGuard, ownFork } from './fork-guard.js';
import type { DriveRecord } from './home.js';
import type { WriterKeys } from './key-derivation.js';
import { checkNotShorter, recoverFromPowerLoss } from './power-loss.js';
import { QuietTime } from './quiet-time.js';
import { replayJournal } from './replay-journal.js';
import type { StateFile } from './state-file.js';
import { takeOver } from './take-over.js';
import { type LeaseAnswer, WriterLease } from './writer-lease.js';

const LOOK_MS = 20;

export interface WriterRoleOptions {
  record: DriveRecord;
  logs: DriveLogs;
  keys: DriveKeys;
  stateFile: StateFile;
  storeDirectory: string;
  /** File of what was synced and may not be committed. */
  journal: string;
  /** The last process closed the drive in order. */
  wasClean: boolean;
  readOnly: boolean;
  offline: boolean;
  /** The logs may have lost their newest blocks to a loss of power. */
  mayHaveLost: boolean;
  /** Identity of this boot of the machine. */
  bootId: string;
  /** The drive is opened to be repaired: told what was done to open it. */
  onRepair?: ((line: string) => void) | undefined;
  /** Go on with the drive if the machine that has the lease does not answer. */
  takeOver: boolean;
  deadlineMs: number;
  leaseWaitMs: number;
  bootstrap?: NodeAddress[] | undefined;
  log: (line: string) => void;
  onNotice?: ((line: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Made before the first peer is connected; settled once the swarm runs. */
export class WriterRole {
  readonly #options: WriterRoleOptions;
  readonly #takenOver = new AbortController();
  #guard: ForkGuard | null = null;
  #losing: Promise<void> = Promise.resolve();
  #lease: WriterLease | null = null;
  /** Whether the copy that took this one over is followed; null for a copy that was not taken over. */
  #following: Promise<boolean> | null = null;

  private constructor(options: WriterRoleOptions) {
    this.#options = options;
  }

  /** Throws DamagedError when the logs have lost blocks, CapabilityError, StoreError. */
  static async open(options: WriterRoleOptions): Promise<WriterRole> {
    const { keys, record } = options;
    if (options.takeOver && keys.writer === null) {
      throw new CapabilityError(
        `Cannot take '${record.name}' over: this machine has a read key; mount it with the write key`,
      );
    }
    const role = new WriterRole(options);
    if (keys.writer !== null) await role.#open(keys.writer);
    return role;
  }

  /** This copy's part in agreeing on the writer; null without the write key. */
  get lease(): WriterLease | null {
    return this.#lease;
  }

  /** Aborts, with a ReadOnlyError, when it is learnt that another machine has taken the drive over. */
  get takenOver(): AbortSignal {
    return this.#takenOver.signal;
  }

  /**
   * Makes sure that this copy may append, if it is to write and can. Resolves whether it may.
   * `firstLookup`: the swarm's, null without one.
   * Throws BusyError, UnavailableError, DamagedError, InterruptedError, StoreError.
   */
  async settle(firstLookup: Promise<boolean> | null): Promise<boolean> {
    const { keys, readOnly, offline, record, onNotice } = this.#options;
    const { writer } = keys;
    const lease = this.#lease;
    if (writer === null || lease === null) return false;
    if (firstLookup !== null) await this.#look(firstLookup);
    if (lease.writing && this.#options.mayHaveLost) await this.#recover(writer, firstLookup);
    if (readOnly) return false;
    if (this.takenOver.aborted) {
      // The next mount asks for the lease, as that of any other copy.
      onNotice?.(
        (await this.#isFollowed(firstLookup))
          ? `Opened '${record.name}' read-only: another machine has taken the drive over; to write here again, mount it there with --read-only, then mount here again`
          : `Opened '${record.name}' read-only: another machine has taken the drive over without the newest versions that are here, and this mount shows those; copy what is missed there from here, then join the drive with its key under a new name`,
      );
      return false;
    }
    if (!lease.writing && !offline) await this.#obtain(lease, writer);
    if (!lease.writing && this.#options.takeOver) await this.#takeOver(lease, writer);
    if (!lease.writing) {
      onNotice?.(
        `Opened '${record.name}' read-only: the machine that wrote last has to hand over first; mount it there with --read-only, then mount here again; if it is gone for good, mount here with --take-over`,
      );
    }
    return lease.writing;
  }

  /** Ends what waits. Idempotent. */
  close(): void {
    this.#guard?.close();
  }

  async #open(writer: WriterKeys): Promise<void> {
    const { logs, stateFile, mayHaveLost, readOnly, record, keys, log } = this.#options;
    const contentKey = writer.contentLog.key;
    const lengths = await logs.lengths(contentKey);
    const { state } = stateFile;
    const foundFork = Math.max(lengths.treeFork, lengths.contentFork);
    if (state.lease.state === 'held' && foundFork > ownFork(state)) {
      // It came from peers, while something else was done with the drive.
      await stateFile.update({ lease: { ...state.lease, state: 'none' }, survived: null });
      this.#sayTakenOver(foundFork);
    }
    const holdsLease = stateFile.state.lease.state === 'held';
    if (holdsLease && mayHaveLost) {
      // Before any peer can add to the logs: what survived fits together, and what a peer adds may not.
      await stateFile.update({ survived: state.survived ?? lengths });
    } else if (holdsLease && !readOnly) {
      checkNotShorter(lengths, state.lengths, record.name);
      await stateFile.update({ bootId: this.#options.bootId });
    }
    // Before the lease can be given away, also by a mount that only reads.
    const isReplayed = holdsLease && !mayHaveLost ? await this.#replay(writer) : true;
    await this.#openGuard(contentKey, holdsLease);
    this.#lease = new WriterLease({
      leaseKey: writer.leaseKey,
      topic: topicOf(keys),
      storeId: stateFile.state.storeId,
      lease: stateFile.state.lease,
      readOnly,
      maySafelyGive: !mayHaveLost && isReplayed,
      lengths: () => logs.lengths(contentKey),
      record: (lease) => stateFile.update({ lease }),
      onTakenOver: () => this.#guard?.takenOver(0),
      log,
    });
  }

  async #openGuard(contentKey: Buffer, holdsLease: boolean): Promise<void> {
    const { logs, stateFile } = this.#options;
    const { takenOverAt } = stateFile.state;
    const onTakenOver = (fork: number): void => this.#loseLease(fork);
    this.#guard = await ForkGuard.open({ logs, contentKey, onTakenOver });
    if (holdsLease) this.#guard.keep(ownFork(stateFile.state));
    else if (takenOverAt !== null) {
      this.#sayTakenOver(0);
      this.#follow(this.#guard, takenOverAt);
    }
  }

  /** Before anything is written here: a copy that was taken over becomes a reader. */
  #follow(guard: ForkGuard, fork: number): void {
    const { stateFile, log } = this.#options;
    this.#following = guard.follow(fork);
    this.#following
      .then((isFollowed) => stateFile.update(isFollowed ? { takenOverAt: null } : {}))
      .catch((error: unknown) => log(`Cannot note that it was taken over: ${String(error)}`));
  }

  #loseLease(fork: number): void {
    const { logs, stateFile, log, readOnly } = this.#options;
    const { writer } = logs.keys;
    const record = async (): Promise<void> => {
      await this.#lease?.lose();
      const { treeFork } = await logs.lengths(writer?.contentLog.key as Buffer);
      await stateFile.update({ takenOverAt: treeFork });
      if (readOnly && this.#guard !== null) this.#follow(this.#guard, treeFork);
    };
    // The next start finds out again.
    this.#losing = record().catch((error: unknown) =>
      log(`Cannot note that it was taken over: ${String(error)}`),
    );
    this.#sayTakenOver(fork);
  }

  #sayTakenOver(fork: number): void {
    const { record, log } = this.#options;
    if (this.#takenOver.signal.aborted) return;
    const which = fork === 0 ? '' : ` (fork ${fork} of its logs)`;
    log(`Another machine has taken '${record.name}' over${which}: it is open for reading here`);
    this.#takenOver.abort(
      new ReadOnlyError(
        `Cannot change '${record.name}': another machine has taken the drive over; unmount it and mount it again to see what that one wrote`,
      ),
    );
  }

  /** Waits for a peer to show it, but not for long. */
  async #isFollowed(firstLookup: Promise<boolean> | null): Promise<boolean> {
    await this.#losing;
    const { takenOverAt } = this.#options.stateFile.state;
    if (this.#guard === null || takenOverAt === null) return true;
    if (this.#following === null) this.#follow(this.#guard, takenOverAt);
    if (firstLookup === null) return false;
    const late = new QuietTime(firstLookup).over(limits.taken_over_look_ms_max);
    return await Promise.race([
      this.#following as unknown as Promise<boolean>,
      late.then(() => false),
    ]);
  }

  /**
   * A mount does not wait for the network. But where somebody else could have taken the drive over, peers get some time
   * to say so.
   */
  async #look(firstLookup: Promise<boolean>): Promise<void> {
    const guard = this.#guard;
    const { stateFile, record, signal } = this.#options;
    const isSuspect = record.writeKeyShared === true || stateFile.state.takenOverAt !== null;
    if (guard === null || !isSuspect) return;
    const quiet = new QuietTime(firstLookup);
    let heardMs: number | null = null;
    for (;;) {
      const nowMs = performance.now();
      if (this.#takenOver.signal.aborted || signal?.aborted === true) return;
      if (quiet.isOver(limits.taken_over_look_ms_max)) return;
      if (guard.hasHeard) heardMs ??= nowMs;
      if (heardMs !== null && nowMs - heardMs > limits.taken_over_proof_ms_max) return;
      await sleep(LOOK_MS);
    }
  }

  async #recover(writer: WriterKeys, firstLookup: Promise<boolean> | null): Promise<void> {
    const { logs, stateFile, record, log, signal, bootId } = this.#options;
    const contentKey = writer.contentLog.key;
    const { name } = record;
    await recoverFromPowerLoss({ logs, contentKey, stateFile, name, firstLookup, log, signal });
    await this.#replay(writer);
    // What came back from peers, too: only then all that a head says to be there is safe again.
    await this.#syncStore();
    await stateFile.update({ bootId, survived: null });
  }

  /** False when what was synced last is not committed, for one who only reads. Throws DamagedError, StoreError, NoSpaceError. */
  async #replay(writer: WriterKeys): Promise<boolean> {
    const { logs, storeDirectory, journal, wasClean, mayHaveLost } = this.#options;
    const { readOnly, onRepair, record, log } = this.#options;
    if (wasClean) return true;
    try {
      await replayJournal({ logs, writer, storeDirectory, journal, log });
      return true;
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      const what = `Cannot commit what was synced last: ${error.message}`;
      if (onRepair !== undefined && error instanceof DamagedError) {
        const aside = await setSyncJournalAside(journal);
        onRepair(`went on without what was synced last, which is in '${aside}': ${error.message}`);
        return true;
      }
      if (readOnly) {
        log(what);
        return false;
      }
      if (!(error instanceof DamagedError)) throw error;
      const repair = mayHaveLost ? '--repair --give-up' : '--repair';
      throw new DamagedError(`${what}; 'shoal check ${record.name} ${repair}' goes on without it`);
    }
  }

  /** What this machine synced before another one wrote continues nothing any more. */
  async #leaveJournal(): Promise<void> {
    const { journal, wasClean, onNotice, log } = this.#options;
    if (wasClean || !existsSync(journal)) return await removeSyncJournal(journal);
    const aside = await setSyncJournalAside(journal);
    const line = `What was synced here before another machine wrote may not be in the drive; '${aside}' has it`;
    log(line);
    onNotice?.(line);
  }

  /** Asks for the lease and, if it is granted, waits until the logs are as long as the giver's. */
  async #obtain(lease: WriterLease, writer: WriterKeys): Promise<void> {
    const { logs, stateFile, deadlineMs, leaseWaitMs, signal } = this.#options;
    const answer: LeaseAnswer = await lease.request(leaseWaitMs, signal);
    if (!answer.granted) return;
    await logs.reach(writer.contentLog.key, answer.lengths, deadlineMs);
    await this.#syncStore();
    await this.#leaveJournal();
    const { lengths, generation } = answer;
    await stateFile.update({ lengths });
    this.#guard?.keep(Math.max(lengths.treeFork, lengths.contentFork));
    await lease.take(generation);
  }

  async #takeOver(lease: WriterLease, writer: WriterKeys): Promise<void> {
    const { stateFile, record } = this.#options;
    const contentKey = writer.contentLog.key;
    const { generation, lengths } = await takeOver({
      ...this.#options,
      contentKey,
      name: record.name,
      onFork: (fork) => this.#guard?.keep(fork),
    });
    await this.#syncStore();
    await this.#leaveJournal();
    await stateFile.update({ lengths });
    await lease.take(generation);
  }

  /** What was fetched must be on the disk before this is the copy that the others follow. */
  async #syncStore(): Promise<void> {
    const sync = storeSyncOf(this.#options.logs.store);
    try {
      await sync.sync();
    } finally {
      await sync.close();
    }
  }
}
