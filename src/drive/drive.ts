/** An open drive: its lock, store, logs, tree, content and swarm. */

import type { CoreStorage } from 'corestore';
import type Hypercore from 'hypercore';
import type { NodeAddress } from 'hyperdht';
import { ChunkLog } from '../content/chunk-log.js';
import { Chunker } from '../content/chunker.js';
import { type DiskCache, readaheadBytesOf } from '../content/disk-cache.js';
import { requireZstd } from '../content/zstd.js';
import { CapabilityError } from '../errors.js';
import type { Protector } from '../hosts/protector.js';
import { StripeRescuer } from '../hosts/stripe-rescuer.js';
import { limits } from '../limits.js';
import { readBootId } from '../log/boot-id.js';
import { SpaceGuard } from '../log/space-guard.js';
import { asShoalError } from '../log/store-errors.js';
import type { StoreSync } from '../log/store-sync.js';
import { SyncJournal } from '../log/sync-journal.js';
import { writeAheadBytes } from '../log/write-ahead-bytes.js';
import { Swarm } from '../swarm/swarm.js';
import { HyperbeeTree } from '../tree/hyperbee-tree.js';
import { readProtection } from '../tree/protection-record.js';
import { readSettings } from '../tree/settings-record.js';
import { blockLayoutOf, type Superblock } from '../tree/superblock.js';
import { type Capability, requireCapability } from './capability.js';
import { type CheckLogsOptions, checkLogs } from './check-logs.js';
import type { CheckReport } from './check-report.js';
import { isWholeStore } from './check-session.js';
import { type DriveKeys, DriveLogs, driveKeysOf, storeSyncOf, topicOf } from './drive-logs.js';
import {
  createStateOfUnknown,
  endedUncleanlyBeforeReboot,
  readState,
  requireRestored,
} from './drive-state.js';
import { checkWriters, findSuperblock } from './find-superblock.js';
import type { DrivePaths, DriveRecord, Home } from './home.js';
import { deriveChunkerKey, deriveChunkHashKey } from './key-derivation.js';
import type { LogLengths } from './lease-messages.js';
import { LocalCache, mayForget, planCache } from './local-cache.js';
import type { MendableDrive } from './mendable-drive.js';
import { OwnerCache } from './owner-cache.js';
import { readPins } from './pin-file.js';
import { Pinner } from './pinner.js';
import { StateFile } from './state-file.js';
import { StoreLock } from './store-lock.js';
import { stripeLogsOf } from './stripe-logs.js';
import type { WriterLease } from './writer-lease.js';
import { WriterRole } from './writer-role.js';

export interface OpenDriveOptions {
  /** What the process does, for others who find the drive locked. */
  command: string;
  /** Never write, even if the key allows it. */
  readOnly?: boolean;
  /** No network at all. */
  offline?: boolean;
  /** Nodes of a private DHT; absent for the public one. */
  bootstrap?: NodeAddress[] | undefined;
  /** What is kept of somebody else's drive, in bytes of disk; null or absent for the default. */
  cacheBytes?: number | null;
  /** Take nothing away, however much there is: for a short visit. */
  keepsAll?: boolean;
  /** Default deadline of waits on the network. */
  deadlineMs?: number;
  /** How long to ask other copies for the writer lease. */
  leaseWaitMs?: number;
  /** Go on with the drive when the copy that has the lease does not answer: it is gone for good. */
  takeOver?: boolean;
  /** One line for the drive's log. */
  log: (line: string) => void;
  /** One line for the person who opens the drive. */
  onNotice?: (line: string) => void;
  /** Ends the waits of opening with InterruptedError. */
  signal?: AbortSignal;
  /** Called before the tree is read, when the drive may be written: for a tree that is damaged. */
  mend?: (drive: MendableDrive) => Promise<void>;
  /** With `mend`: told what else was done. */
  onRepair?: (line: string) => void;
}

/** What a drive is made of while it is open. */
interface DriveParts {
  record: DriveRecord;
  paths: DrivePaths;
  lock: StoreLock;
  stateFile: StateFile;
  logs: DriveLogs;
  storeSync: StoreSync;
  swarm: Swarm | null;
  tree: HyperbeeTree;
  content: ChunkLog;
  contentCore: Hypercore;
  superblock: Superblock;
  /** Null for a drive that is kept whole. */
  cache: LocalCache | null;
  role: WriterRole;
  /** Whether the last process closed the drive in order. */
  wasClean: boolean;
  /** See {@link Drive.openedUncleanlyAfterReboot}. */
  openedUncleanlyAfterReboot: boolean;
  log: (line: string) => void;
}

/** A drive that this process has open. Close it. */
export class Drive {
  readonly #parts: DriveParts;
  #closing: Promise<void> | null = null;
  /** Where fsync notes what is not committed yet; null when the drive is read. */
  readonly journal: SyncJournal | null;

  /** Use {@link openDrive}. */
  constructor(parts: DriveParts) {
    this.#parts = parts;
    const { writer } = parts.logs.keys;
    const isWritten = parts.tree.writable && writer !== null;
    this.journal = isWritten ? new SyncJournal(parts.paths.journal, writer.journalKey) : null;
  }

  get name(): string {
    return this.#parts.record.name;
  }
  get capability(): Capability {
    return this.#parts.record.capability;
  }
  get paths(): DrivePaths {
    return this.#parts.paths;
  }
  get lock(): StoreLock {
    return this.#parts.lock;
  }
  get tree(): HyperbeeTree {
    return this.#parts.tree;
  }
  get content(): ChunkLog {
    return this.#parts.content;
  }
  get contentCore(): Hypercore {
    return this.#parts.contentCore;
  }
  get superblock(): Superblock {
    return this.#parts.superblock;
  }
  get logs(): DriveLogs {
    return this.#parts.logs;
  }
  /** How often the right to write went from one machine to another, this one's turn included. */
  get leaseGeneration(): number {
    return this.#parts.stateFile.state.lease.generation;
  }
  /** Null when offline. */
  get swarm(): Swarm | null {
    return this.#parts.swarm;
  }
  /** What is kept of the chunk log is bounded; null when it is not. */
  get diskCache(): DiskCache | null {
    return this.#parts.cache?.disk ?? null;
  }
  /** What lets blocks go that hosts have; null where everything is kept, or where another machine writes. Close it. */
  openOwnerCache(protector: () => Protector | null): OwnerCache | null {
    const { cache, stateFile, log } = this.#parts;
    if (cache === null || !this.writable) return null;
    const noteLack = async (): Promise<void> => {
      if (!stateFile.state.mayLack) await stateFile.update({ mayLack: true });
      const parity = protector()?.logs.parity;
      if (parity !== undefined && !cache.others.includes(parity)) cache.others.push(parity);
    };
    return new OwnerCache({ disk: cache.disk, protector, noteLack, log });
  }
  get writable(): boolean {
    return this.#parts.tree.writable;
  }
  /** Aborts when it is learnt that another machine has taken the drive over: nothing more is to be written here. */
  get takenOver(): AbortSignal {
    return this.#parts.role.takenOver;
  }
  /**
   * The last process did not close the drive and the machine was started again since, so what was appended last may
   * be lost. A log that lost its tail must not be appended to under the same fork when peers have that tail.
   */
  get openedUncleanlyAfterReboot(): boolean {
    return this.#parts.openedUncleanlyAfterReboot;
  }

  /** Resolves once everything appended before the call survives a loss of power. Throws NoSpaceError, StoreError. */
  sync(): Promise<void> {
    return this.#parts.storeSync.sync();
  }

  /** Lets the store write what it holds in memory to its files, if it is so much. Throws StoreError. */
  async flushStore(bytesMin = 0): Promise<void> {
    try {
      if (bytesMin > 0 && (await writeAheadBytes(this.#parts.paths.store)) < bytesMin) return;
      await this.#parts.logs.store.storage.db.flush();
    } catch (error) {
      throw asShoalError(error, 'write out what the store holds in memory');
    }
  }

  /** What keeps pinned paths here, for as long as the drive is open. Throws FormatVersionError, StoreError. */
  openPinner(localOnly = false): Promise<Pinner> {
    const { paths, tree, contentCore, log } = this.#parts;
    const { diskCache } = this;
    return Pinner.open({
      file: paths.pins,
      tree,
      content: contentCore,
      diskCache,
      localOnly,
      log,
    });
  }

  /** Checks the drive as it is committed now. Throws like {@link checkLogs}. */
  async check(options: CheckLogsOptions): Promise<CheckReport> {
    const { logs, record, stateFile, superblock } = this.#parts;
    const tree = logs.tree(false);
    const content = logs.content(superblock.writers[0]?.contentKey as Buffer, false);
    try {
      await Promise.all([tree.ready(), content.ready()]);
      const { head } = this.tree;
      const isWhole = isWholeStore(record, stateFile.state);
      const hashKey = deriveChunkHashKey(logs.keys.readSecret);
      const database = logs.store.storage.db;
      const { name } = this;
      const checked = { name, tree, content, head, hashKey, isWhole, database };
      return (await checkLogs(checked, options)).report;
    } finally {
      await Promise.all([tree.close(), content.close()]);
    }
  }

  /** Sessions of both logs, ready, which the caller closes, and the database that they lie in. */
  async openLogs(): Promise<{ treeCore: Hypercore; contentCore: Hypercore; storage: CoreStorage }> {
    const { logs, superblock } = this.#parts;
    const treeCore = logs.tree(false);
    const contentCore = logs.content(superblock.writers[0]?.contentKey as Buffer, false);
    await Promise.all([treeCore.ready(), contentCore.ready()]);
    return { treeCore, contentCore, storage: logs.store.storage };
  }

  /**
   * Syncs and lets everything go. Idempotent. Throws what the sync throws, after everything is let go.
   * @param isCommitted Else what the journal has is committed by the next one who opens the drive, as after a crash.
   */
  close(isCommitted = true): Promise<void> {
    this.#closing ??= this.#close(isCommitted);
    return this.#closing;
  }

  async #close(isCommitted: boolean): Promise<void> {
    const { tree, content, contentCore, swarm, storeSync, logs, stateFile, lock } = this.#parts;
    const { wasClean, cache, role } = this.#parts;
    // A closed log is not writable any more.
    const wasWriting = tree.writable;
    const errors: unknown[] = [];
    const attempt = async (step: () => Promise<void>): Promise<void> => {
      await step().catch((error: unknown) => errors.push(error));
    };
    await attempt(() => content.close());
    await attempt(async () => this.journal?.close());
    await attempt(async () => cache?.close());
    await attempt(() => storeSync.sync());
    role.close();
    await attempt(async () => swarm?.close());
    const lengths: LogLengths = {
      treeFork: tree.head.fork,
      treeLength: tree.head.length,
      contentFork: contentCore.fork,
      contentLength: contentCore.length,
    };
    // From the write-ahead log, where a damaged byte hides all that follows, into files with checksums.
    await attempt(() => this.flushStore());
    await attempt(() => tree.close());
    await attempt(() => contentCore.close());
    await attempt(() => storeSync.close());
    await attempt(() => logs.store.close());
    // Only an end without any error is clean.
    if (errors.length === 0 && isCommitted) {
      // Who only read knows nothing of what the writer should have, and mends nothing.
      if (wasWriting) await attempt(() => stateFile.update({ clean: true, lengths }));
      else if (wasClean) await attempt(() => stateFile.update({ clean: true }));
    }
    lock.release();
    if (errors.length > 0) throw asShoalError(errors[0], 'close the store');
  }
}

/**
 * Opens a drive that is on this machine. A drive that was joined and never seen waits for a peer.
 * Throws NotFoundError, BusyError, CapabilityError, FormatVersionError, DamagedError, UnavailableError, StoreError.
 */
export async function openDrive(
  home: Home,
  name: string,
  options: OpenDriveOptions,
): Promise<Drive> {
  try {
    return await openOrUndo(home, name, options);
  } catch (error) {
    // Those of system calls say what failed; the store's are of many kinds.
    if (error instanceof Error && 'syscall' in error && !isDiskFull(error)) throw error;
    throw asShoalError(error, `open drive '${name}'`);
  }
}

function isDiskFull(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

async function openOrUndo(home: Home, name: string, options: OpenDriveOptions): Promise<Drive> {
  const record = await home.read(name);
  requireCapability(record.capability, 'read');
  const paths = home.paths(name);
  const lock = StoreLock.acquire(paths.lock, name, options.command);
  const undo: (() => Promise<void>)[] = [async () => lock.release()];
  try {
    return await openLocked(home, record, paths, lock, options, undo);
  } catch (error) {
    for (const step of undo.reverse()) {
      await step().catch((failure: unknown) => options.log(`Cannot close: ${String(failure)}`));
    }
    throw error;
  }
}

/** Pushes onto `undo` what lets go of each part, in case a later one cannot be had. */
async function openLocked(
  home: Home,
  record: DriveRecord,
  paths: DrivePaths,
  lock: StoreLock,
  options: OpenDriveOptions,
  undo: (() => Promise<void>)[],
): Promise<Drive> {
  const { log, readOnly = false, offline = false } = options;
  // Without a network nobody is asked, so nobody is waited for.
  const deadlineMs = offline ? 0 : (options.deadlineMs ?? limits.network_deadline_ms);
  const state = (await readState(paths.state)) ?? createStateOfUnknown();
  requireRestored(state, record.name);
  const bootId = await readBootId();
  const openedUncleanlyAfterReboot = endedUncleanlyBeforeReboot(state, bootId);
  const stateFile = new StateFile(paths.state, state);
  const wasClean = state.clean;
  // After a loss of power the old boot's name stays until the logs are safe to append to again: whatever ends this
  // process before, the next one must know.
  const opened = { clean: false, bootId: openedUncleanlyAfterReboot ? state.bootId : bootId };
  await stateFile.update(opened);
  if (openedUncleanlyAfterReboot) {
    log('The last mount did not end in order before the machine was restarted');
  }

  const { capability } = record;
  if (capability.type === 'host') throw new CapabilityError('Cannot read with a host key');
  const keys = driveKeysOf(capability);
  const holdsLease = state.lease.state === 'held';
  const isCache = mayForget(record, state);
  // On the machine that writes only if it is asked for.
  const isBounded = isCache || options.cacheBytes != null;
  const plan =
    isBounded && options.keepsAll !== true
      ? await planCache(options.cacheBytes ?? null, paths.store)
      : null;
  const logs = await DriveLogs.open(paths.store, keys, !holdsLease, plan);
  undo.push(async () => {
    await logs.store.close();
    // Nothing was appended, so it is as clean as it was.
    await stateFile.update({ clean: wasClean, bootId: stateFile.state.bootId });
  });

  const role = await WriterRole.open({
    ...{ record, logs, keys, stateFile, bootId, readOnly, offline, deadlineMs, log },
    storeDirectory: paths.store,
    journal: paths.journal,
    wasClean,
    mayHaveLost: openedUncleanlyAfterReboot,
    takeOver: options.takeOver === true,
    onRepair: options.onRepair,
    leaseWaitMs: options.leaseWaitMs ?? limits.writer_lease_wait_ms,
    onNotice: options.onNotice,
    signal: options.signal,
  });
  undo.push(async () => role.close());
  let swarm: Swarm | null = null;
  if (!offline) {
    swarm = startSwarm(logs, keys, role.lease, options);
    undo.push(() => (swarm as Swarm).close());
  }
  const writing = await role.settle(swarm?.firstLookup ?? null);

  const core = logs.tree(writing);
  const tree = await HyperbeeTree.open({ core, deadlineMs });
  undo.push(() => tree.close());
  if (writing && keys.writer !== null && options.mend !== undefined) {
    const { contentLength } = await logs.lengths(keys.writer.contentLog.key);
    await options.mend({ tree, core, contentLength, writer: keys.writer });
  }
  const superblock = await findSuperblock(
    tree,
    record.name,
    options,
    deadlineMs,
    () => swarm?.unanswered() ?? null,
  );
  const contentKey = checkWriters(superblock, keys);
  const settings = await readSettings(tree, { deadlineMs, signal: options.signal }, log);
  if (settings.compression === 'zstd') requireZstd();
  if (record.contentLogKey === null) await home.update({ ...record, contentLogKey: contentKey });
  const contentCore = logs.content(contentKey, writing);
  let cache: LocalCache | null = null;
  const isOfHosts = writing && (await readProtection(tree, { localOnly: true })) !== null;
  if (!isCache && !isOfHosts && options.cacheBytes != null) {
    const why = writing
      ? `which keeps all of it until hosts do; see 'shoal hosts add'`
      : `and what it has of it may be nowhere else; to let that go, delete '${paths.directory}' and join the drive with its key again`;
    options.onNotice?.(
      `The size of the cache has no effect: '${record.name}' was written on this machine, ${why}`,
    );
  }
  const mayForgetHere = writing ? isOfHosts && options.cacheBytes != null : isCache;
  if (plan !== null && mayForgetHere) {
    await contentCore.ready();
    const hasPins = (await readPins(paths.pins)).length > 0;
    const parts = { plan, hasPins, store: logs.store, content: contentCore, tree: core };
    const isWriter = writing;
    cache = await LocalCache.open({ ...parts, isWriter, path: paths.cache, log });
    undo.push(async () => cache?.close());
  }
  const content = await ChunkLog.open({
    core: contentCore,
    layout: blockLayoutOf(superblock),
    diskCache: cache?.disk ?? null,
    rescuer: offline
      ? null
      : new StripeRescuer({
          logs: stripeLogsOf(logs, tree, contentKey),
          keepsParity: writing,
          log,
        }),
    ...(plan === null ? {} : { readaheadBytesMax: readaheadBytesOf(plan.bytesMax) }),
    writer: writing ? 0 : -1,
    chunker: new Chunker(superblock.chunker, deriveChunkerKey(keys.readSecret)),
    hashKey: deriveChunkHashKey(keys.readSecret),
    compress: settings.compression === 'zstd',
    deadlineMs,
    spaceGuard: new SpaceGuard({
      directory: paths.store,
      reserveBytes: limits.store_reserve_bytes,
    }),
  });
  undo.push(() => content.close());

  return new Drive({
    record,
    paths,
    lock,
    stateFile,
    logs,
    storeSync: storeSyncOf(logs.store),
    swarm,
    tree,
    content,
    contentCore,
    superblock,
    cache,
    role,
    wasClean,
    openedUncleanlyAfterReboot,
    log,
  });
}

function startSwarm(
  logs: DriveLogs,
  keys: DriveKeys,
  lease: WriterLease | null,
  options: OpenDriveOptions,
): Swarm {
  return new Swarm({
    store: logs.store,
    topic: topicOf(keys),
    bootstrap: options.bootstrap,
    log: options.log,
    ...(lease === null ? {} : { onConnection: (connection) => lease.attach(connection) }),
  });
}
