/** A host: keeps drives for others, as many bytes as its owner gives. */

import type NoiseSecretStream from '@hyperswarm/secret-stream';
import type Corestore from 'corestore';
import type Hypercore from 'hypercore';
import type { NodeAddress } from 'hyperdht';
import { UnavailableError } from '../errors.js';
import { limits } from '../limits.js';
import { Swarm } from '../swarm/swarm.js';
import type { Absences } from './absences.js';
import type { Accounts } from './accounts.js';
import type { Evidence } from './auditor.js';
import { Capacity } from './capacity.js';
import type { Handover } from './handover.js';
import { type BookedDrive, formatDriveId, type HostBook } from './host-book.js';
import { type HostAccountReport, otherHosts, type StorageHostReport } from './host-report.js';
import { HostedDrive } from './hosted-drive.js';
import { HostedLogs } from './hosted-logs.js';
import { RateBudget } from './rate-budget.js';
import { type KeptDrive, type StorageBalance, StorageLedger } from './storage-ledger.js';
import { serveAdmission } from './wire/admission-channel.js';
import type {
  AdmissionAnswer,
  AdmissionRequest,
  HostedLogKeys,
} from './wire/admission-messages.js';
import { logKeyOf, verifyOwnerProof, verifyOwnHostProof } from './wire/owner-proof.js';

const NOTHING_KEPT: StorageBalance = { keptForBytes: 0, keptByBytes: 0 };

/** The disk below a host. */
export interface HostSpace {
  /** Bytes that the store takes on the disk now. */
  usedBytes(): Promise<number>;
  /** Bytes that are free on the disk, for whoever. */
  diskFreeBytes(): Promise<number>;
  /** What the store may take for a while besides, in bytes. */
  readonly reserveBytes: number;
  /** Gives back what removed blocks of a log take; `share` of the files of values, the oldest, are emptied before. */
  reclaim(core: Hypercore, share: number): Promise<void>;
  /** Makes everything durable that was stored before the call. */
  sync(): Promise<void>;
}

export interface StorageHostOptions {
  book: HostBook;
  store: Corestore;
  space: HostSpace;
  /** Nodes of a private DHT; absent for the public one. */
  bootstrap?: NodeAddress[] | undefined;
  /** Bytes a second for repairs, and for reading what is stored; milliseconds between audits. Defaults in limits. */
  repairBytesPerSecond?: number | undefined;
  verifyBytesPerSecond?: number | undefined;
  auditIntervalMs?: number | undefined;
  accounts: Accounts;
  /** How long others had been away when this host ended last: by a drive's id, in hex. */
  absences?: ReadonlyMap<string, Absences> | undefined;
  /** See StorageLedgerOptions. */
  reciprocalRatio: number | null;
  keptByHosts: () => Promise<ReadonlyMap<string, number>>;
  /** Everything was handed over: the host may end. Called again and again. */
  onLeft: () => void;
  /** Keeps what a host did wrong. */
  onEvidence: (evidence: Evidence & { drive: string }) => void;
  log: (line: string) => void;
}

export class StorageHost {
  readonly #options: StorageHostOptions;
  readonly #capacity: Capacity;
  readonly #ledger: StorageLedger;
  #ledgerProblem = '';
  readonly #swarm: Swarm;
  readonly #repairBudget: RateBudget;
  readonly #verifyBudget: RateBudget;
  #removedBytes = 0;
  #reclaiming: Promise<void> | null = null;
  #isLeaving: boolean;
  readonly #tidyTimer: NodeJS.Timeout;
  #isTidying = false;
  #tidyProblem = '';
  /** By the key of the plan log, in hex. */
  readonly #drives = new Map<string, HostedDrive>();
  /** Admissions and removals, one after the other. */
  #changing: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  private constructor(options: StorageHostOptions) {
    this.#options = options;
    const { book, store, space, bootstrap, log } = options;
    this.#isLeaving = book.isLeaving;
    this.#tidyTimer = setInterval(() => void this.#tidy(), limits.host_surplus_look_ms);
    this.#ledger = new StorageLedger({
      ratio: options.reciprocalRatio,
      keptByHosts: options.keptByHosts,
      keptDrives: () => book.drives.map((drive) => this.#kept(drive)),
    });
    this.#capacity = new Capacity({
      capacityBytes: book.capacityBytes,
      reserveBytes: space.reserveBytes,
      measure: () => space.usedBytes(),
      diskFreeBytes: () => space.diskFreeBytes(),
    });
    this.#repairBudget = new RateBudget(
      options.repairBytesPerSecond ?? limits.host_repair_bytes_per_second,
    );
    this.#verifyBudget = new RateBudget(
      options.verifyBytesPerSecond ?? limits.host_verify_bytes_per_second,
    );
    this.#swarm = new Swarm({
      store,
      bootstrap,
      keyPair: book.keyPair,
      peersMax: limits.host_connections_max,
      log,
      onConnection: (connection) =>
        serveAdmission(connection, (request) => this.#decide(request, connection)),
    });
  }

  /** Opens all drives that it keeps. Throws what the store throws. */
  static async start(options: StorageHostOptions): Promise<StorageHost> {
    const host = new StorageHost(options);
    try {
      await host.#capacity.measure();
      if (options.reciprocalRatio !== null) await host.#lookAtLedger();
      const { capacityBytes, usedBytes } = host.#capacity;
      if (usedBytes > capacityBytes) {
        options.log(
          `The store takes ${usedBytes} bytes and may take ${capacityBytes}: nothing more is stored; 'shoal host deny' or 'leave' makes room`,
        );
      }
      for (const drive of options.book.drives) await host.#open(drive);
    } catch (error) {
      await host.close();
      throw error;
    }
    return host;
  }

  /** Resolves when it can be found. Never rejects. */
  announced(): Promise<void> {
    return this.#swarm.announced();
  }

  async report(): Promise<StorageHostReport> {
    const { book } = this.#options;
    await this.#capacity.measure();
    await this.#lookAtLedger();
    const drives = book.drives.map(({ keys, addedMs }) => {
      const drive = this.#drives.get(keys.plan.toString('hex'));
      return {
        id: formatDriveId(keys.plan),
        addedMs,
        storedBytes: drive?.storedBytes ?? 0,
        servedBytes: drive?.servedBytes ?? 0,
        peers: drive?.wire.peers.length ?? 0,
        state: drive?.state ?? null,
        repaired: drive?.rebuilder.figures ?? { blocks: 0, bytes: 0, fetchedBytes: 0 },
        verified: drive?.scrubber.figures ?? { blocks: 0, damaged: 0, roundMs: null },
        hosts: drive === undefined ? [] : otherHosts(drive, book.id, this.#options.accounts),
      };
    });
    return {
      id: formatDriveId(book.id),
      capacityBytes: book.capacityBytes,
      usedBytes: this.#capacity.usedBytes,
      reservedBytes: this.#capacity.reservedBytes,
      freeBytes: this.#capacity.freeBytes,
      leaving: this.#isLeaving,
      swarm: this.#swarm.statistics(),
      drives,
      accounts: this.#accountReports(),
    };
  }

  #accountReports(): HostAccountReport[] {
    const { accounts } = this.#options;
    const balances = this.#ledger.balances();
    const ids = new Set([...balances.keys(), ...accounts.encode().map(({ id }) => id)]);
    return [...ids].sort().map((id) => {
      const { keptForBytes, keptByBytes } = balances.get(id) ?? NOTHING_KEPT;
      const key = Buffer.from(id, 'hex');
      return { id: formatDriveId(key), keptForBytes, keptByBytes, ...accounts.of(key) };
    });
  }

  /** Takes a drive off, deletes what is kept of it, and keeps it out from now on. Throws StoreError. */
  deny(planKey: Buffer): Promise<void> {
    return this.#inTurn(async () => {
      await this.#options.book.deny(planKey);
      await this.#remove(planKey);
    });
  }

  /**
   * Leaves: all drives are handed over to their other hosts and deleted then. `force`: deleted at once, though it may be
   * the only copy. New drives are refused from now on, also after a restart.
   */
  async leave(force: boolean): Promise<void> {
    await this.#options.book.leave();
    this.#isLeaving = true;
    for (const drive of this.#drives.values()) drive.leave();
    if (force) for (const { keys } of [...this.#options.book.drives]) await this.#forget(keys.plan);
  }

  /** How long others have been away, by the drive's id in hex. */
  absences(): Map<string, Absences> {
    return new Map([...this.#drives].map(([id, { liveness }]) => [id, liveness.absences]));
  }

  /** How far it is with leaving; drives that are handed over are gone. */
  handovers(): { id: string; handover: Handover }[] {
    return this.#options.book.drives.map(({ keys }) => ({
      id: formatDriveId(keys.plan),
      handover: this.#drives.get(keys.plan.toString('hex'))?.handover ?? {
        isDone: false,
        obstacle: null,
        waitingFor: 0,
        missingBlocks: 0,
      },
    }));
  }

  /** Ends everything; idempotent. The store stays open. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The same problem again and again is said once; what was known before goes on to be good. */
  async #lookAtLedger(): Promise<void> {
    let problem = '';
    try {
      await this.#ledger.look();
    } catch (error) {
      problem = `Cannot tell what others keep for this home: ${String(error)}`;
      if (problem !== this.#ledgerProblem) this.#options.log(problem);
    }
    this.#ledgerProblem = problem;
  }

  /** Deletes what is not needed here any more. The same problem again and again is said once. Never rejects. */
  async #tidy(): Promise<void> {
    if (this.#isTidying) return;
    this.#isTidying = true;
    try {
      await this.#deleteReleased();
      this.#tidyProblem = '';
    } catch (error) {
      const problem = `Cannot delete a drive: ${String(error)}`;
      const isNew = problem !== this.#tidyProblem && this.#closing === null;
      if (isNew) this.#options.log(problem);
      this.#tidyProblem = problem;
    }
    this.#isTidying = false;
  }

  async #deleteReleased(): Promise<void> {
    // Else only who asks for a report wants to know.
    if (this.#options.reciprocalRatio !== null) await this.#lookAtLedger();
    const { book } = this.#options;
    for (const { keys } of [...book.drives]) {
      const drive = this.#drives.get(keys.plan.toString('hex'));
      if (drive === undefined || !(this.#isLeaving || drive.isDismissed)) continue;
      if (drive.handover.isDone) await this.#forget(keys.plan);
    }
    // Of these a process that was ended, or a fault, has left something.
    await Promise.all(book.removing.map(({ plan }) => this.#inTurn(() => this.#remove(plan))));
    if (book.hasLeft) this.#options.onLeft();
  }

  #forget(planKey: Buffer): Promise<void> {
    return this.#inTurn(async () => {
      await this.#options.book.forget(planKey);
      await this.#remove(planKey);
      this.#options.log(`Drive ${formatDriveId(planKey)} is not kept any more`);
    });
  }

  async #close(): Promise<void> {
    clearInterval(this.#tidyTimer);
    await this.#changing.catch(() => undefined);
    await Promise.all([...this.#drives.values()].map((drive) => drive.stop()));
    await this.#reclaiming;
    await Promise.all([...this.#drives.values()].map((drive) => drive.close()));
    await this.#swarm.close();
  }

  #kept({ keys, ownerHost }: BookedDrive): KeptDrive {
    const storedBytes = this.#drives.get(keys.plan.toString('hex'))?.storedBytes ?? 0;
    return { ownerHost, storedBytes };
  }

  async #open(drive: BookedDrive): Promise<void> {
    const { book, store, space, log } = this.#options;
    const { planPublicKey, keys } = drive;
    const hosted = await HostedDrive.open({
      store,
      swarm: this.#swarm,
      hostId: book.id,
      planPublicKey,
      keys,
      capacity: this.#capacity,
      absences: this.#options.absences?.get(keys.plan.toString('hex')),
      sync: () => space.sync(),
      onRemoved: (bytes) => this.#onRemoved(bytes),
      accounts: this.#options.accounts,
      mayKeepMore: () => this.#ledger.mayKeepMore(this.#kept(drive)),
      repairBudget: this.#repairBudget,
      verifyBudget: this.#verifyBudget,
      auditIntervalMs: this.#options.auditIntervalMs ?? limits.host_audit_interval_ms,
      onEvidence: (evidence) =>
        this.#options.onEvidence({ drive: formatDriveId(keys.plan), ...evidence }),
      log: (line) => log(`${formatDriveId(keys.plan).slice(0, 8)}: ${line}`),
    });
    if (this.#isLeaving) hosted.leave();
    this.#drives.set(keys.plan.toString('hex'), hosted);
  }

  /** The disk space of what was removed comes back once it is much: giving it back moves what is still in use. */
  #onRemoved(bytes: number): void {
    this.#removedBytes += bytes;
    const { capacityBytes, usedBytes, freeBytes } = this.#capacity;
    const isMuch = this.#removedBytes > usedBytes * limits.collect_compact_share_min;
    const isTight = freeBytes < capacityBytes * limits.collect_compact_share_min;
    if (this.#reclaiming !== null || !(isMuch || isTight)) return;
    this.#reclaiming = this.#reclaim()
      .catch((error: unknown) => this.#options.log(`Cannot give space back: ${String(error)}`))
      .finally(() => {
        this.#reclaiming = null;
      });
  }

  async #reclaim(): Promise<void> {
    this.#removedBytes = 0;
    for (const drive of this.#drives.values()) {
      for (const name of ['content', 'parity', 'tree'] as const) {
        await this.#options.space.reclaim(drive.logs.get(name), 1);
      }
    }
    await this.#capacity.measure();
  }

  /** Deletes a drive that is off the book, unless that is done. Throws StoreError. */
  async #remove(planKey: Buffer): Promise<void> {
    const { book, store, space } = this.#options;
    const name = planKey.toString('hex');
    const drive = this.#drives.get(name);
    this.#drives.delete(name);
    if (drive !== undefined) {
      await this.#swarm.leave(drive.logs.get('tree').discoveryKey);
      await drive.close();
    }
    const keys = book.removing.find(({ plan }) => plan.equals(planKey));
    if (keys === undefined) return;
    const logs = await HostedLogs.open(store, keys);
    try {
      await logs.removeAll();
      for (const core of logs.all) await space.reclaim(core, 1);
    } finally {
      await logs.close();
    }
    await book.removed(planKey);
    await this.#capacity.measure();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(() => {
      if (this.#closing !== null) throw new UnavailableError('The host ends');
      return work();
    });
    this.#changing = done.catch(() => undefined);
    return done;
  }

  async #decide(
    request: AdmissionRequest,
    connection: NoiseSecretStream,
  ): Promise<AdmissionAnswer> {
    try {
      const reason = await this.#inTurn(() => this.#admit(request, connection));
      return this.#answer(reason);
    } catch (error) {
      this.#options.log(`Cannot take a drive in: ${String(error)}`);
      return this.#answer('the host has a fault; its log says more');
    }
  }

  #answer(reason: string | null): AdmissionAnswer {
    // A stranger learns nothing.
    if (reason !== null) return { accepted: false, reason, capacityBytes: 0, freeBytes: 0 };
    const { capacityBytes, freeBytes } = this.#capacity;
    return { accepted: true, reason: '', capacityBytes, freeBytes };
  }

  /** Why not; null when the drive is kept from now on. Nothing is stored for who is refused. */
  async #admit(request: AdmissionRequest, connection: NoiseSecretStream): Promise<string | null> {
    const { book, log } = this.#options;
    const { keys, planPublicKey, token, proof, ownHost } = request;
    const isOwner =
      logKeyOf(planPublicKey).equals(keys.plan) &&
      verifyOwnerProof(proof, planPublicKey, connection.handshakeHash);
    if (!isOwner) return 'the request is not signed by the owner of the drive';
    const { handshakeHash } = connection;
    if (ownHost && !verifyOwnHostProof(ownHost.proof, ownHost.id, keys.plan, handshakeHash)) {
      return 'the host that the owner calls his own has not signed that it is';
    }
    const ownerHost = ownHost === null || ownHost.id.equals(book.id) ? null : ownHost.id;
    const kept = book.drives.find((drive) => drive.keys.plan.equals(keys.plan));
    if (kept !== undefined) {
      if (!sameKeys(kept.keys, keys)) return 'it keeps a drive of other logs under this plan';
      if (ownerHost !== null) await book.setOwnerHost(keys.plan, ownerHost);
      return null;
    }
    const isListed = book.allowed.some((key) => key.equals(keys.plan));
    if (book.denied.some((key) => key.equals(keys.plan))) return 'it does not want this drive';
    if (!isListed && !book.isInvited(token, keys.plan)) {
      return token.every((byte) => byte === 0)
        ? `it has not allowed this drive; ask for an invite, or for 'shoal host allow ${formatDriveId(keys.plan)}' there`
        : 'the invite is not good here, or was used for another drive; ask for a new one';
    }
    if (this.#isLeaving) return 'it is leaving';
    // What comes of it now would be deleted with the rest.
    if (book.removing.some(({ plan }) => plan.equals(keys.plan))) {
      return 'it has yet to delete what it had of this drive; try again later';
    }
    if (book.isFull) return 'it keeps as many drives as it can';
    if (this.#capacity.freeBytes < limits.host_free_bytes_min) return 'it is full';
    if (!this.#ledger.mayKeepMore({ ownerHost, storedBytes: 0 })) {
      return 'it keeps more for you than your host keeps for it; make room there first';
    }
    const drive = { planPublicKey, keys, addedMs: Date.now(), ownerHost };
    await book.add(drive, token);
    await this.#open(drive);
    log(`Keeping drive ${formatDriveId(keys.plan)} from now on`);
    return null;
  }
}

function sameKeys(some: HostedLogKeys, other: HostedLogKeys): boolean {
  return (
    some.tree.equals(other.tree) &&
    some.content.equals(other.content) &&
    some.stripe.equals(other.stripe) &&
    some.parity.equals(other.parity)
  );
}
