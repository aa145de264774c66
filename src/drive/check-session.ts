/** A drive's logs, opened to be checked: without reading the tree, which may be damaged. Appends nothing. */
import type Hypercore from 'hypercore';
import type { NodeAddress } from 'hyperdht';
import { CapabilityError, DamagedError, UnavailableError } from '../errors.js';
import { asShoalError } from '../log/store-errors.js';
import type { StoreSync } from '../log/store-sync.js';
import { Swarm } from '../swarm/swarm.js';
import { newestHead } from '../tree/hyperbee-tree.js';
import { superblockKey } from '../tree/keys.js';
import { decodeSuperblock } from '../tree/superblock.js';
import { TreeWalker } from '../tree/tree-walker.js';
import { requireCapability } from './capability.js';
import type { CheckedLogs } from './check-logs.js';
import { type DriveKeys, DriveLogs, driveKeysOf, storeSyncOf, topicOf } from './drive-logs.js';
import {
  type DriveState,
  isShorterThanRecorded,
  readState,
  requireRestored,
} from './drive-state.js';
import { ForkGuard, ownFork } from './fork-guard.js';
import type { DriveRecord, Home } from './home.js';
import { deriveChunkHashKey } from './key-derivation.js';
import type { LogLengths } from './lease-messages.js';
import { StoreLock } from './store-lock.js';

export class CheckSession {
  readonly record: DriveRecord;
  readonly keys: DriveKeys;
  readonly state: DriveState | null;
  readonly logs: CheckedLogs;
  readonly #driveLogs: DriveLogs;
  readonly #storeSync: StoreSync;
  readonly #lock: StoreLock;
  #swarm: Swarm | null = null;

  private constructor(
    drive: { record: DriveRecord; keys: DriveKeys; state: DriveState | null; lock: StoreLock },
    driveLogs: DriveLogs,
    storeSync: StoreSync,
    logs: CheckedLogs,
  ) {
    this.record = drive.record;
    this.keys = drive.keys;
    this.state = drive.state;
    this.#lock = drive.lock;
    this.#driveLogs = driveLogs;
    this.#storeSync = storeSync;
    this.logs = logs;
  }

  /** Throws NotFoundError, BusyError, CapabilityError, UnavailableError, DamagedError, StoreError. */
  static async open(home: Home, name: string): Promise<CheckSession> {
    const record = await home.read(name);
    requireCapability(record.capability, 'read');
    if (record.capability.type === 'host') {
      throw new CapabilityError('Cannot check a drive with a host key: it cannot be read');
    }
    const paths = home.paths(name);
    const lock = StoreLock.acquire(paths.lock, name, 'check');
    let driveLogs: DriveLogs | null = null;
    try {
      const state = await readState(paths.state);
      requireRestored(state, name);
      const keys = driveKeysOf(record.capability);
      driveLogs = await DriveLogs.open(paths.store, keys, true);
      const storeSync = storeSyncOf(driveLogs.store);
      const logs = await openLogs(driveLogs, record, keys, state);
      return new CheckSession({ record, keys, state, lock }, driveLogs, storeSync, logs);
    } catch (error) {
      await driveLogs?.store.close().catch(() => undefined);
      // With a log that cannot be opened the store does not come to its database.
      await driveLogs?.store.storage.close().catch(() => undefined);
      lock.release();
      throw asShoalError(error, `open drive '${name}'`);
    }
  }

  /** This machine may change the drive. */
  get mayWrite(): boolean {
    return this.keys.writer !== null && this.state?.lease.state === 'held';
  }

  /** What the logs should have, if they lack it; null when they do not. */
  get recordedLengths(): LogLengths | null {
    const { tree, content } = this.logs;
    const lengths: LogLengths = {
      treeFork: tree.fork,
      treeLength: tree.length,
      contentFork: content.fork,
      contentLength: content.length,
    };
    const recorded = this.state?.lengths ?? null;
    return isShorterThanRecorded(lengths, recorded) ? recorded : null;
  }

  /** Looks for peers and replicates with them, until the session is closed. */
  async connect(bootstrap: NodeAddress[] | undefined, log: (line: string) => void): Promise<Swarm> {
    const { store } = this.#driveLogs;
    if (this.#swarm === null && this.mayWrite && this.state !== null) {
      const guard = await ForkGuard.open({
        logs: this.#driveLogs,
        contentKey: this.logs.content.key,
        onTakenOver: () =>
          log('Another machine has taken the drive over; repairing what is here, as it was before'),
      });
      guard.keep(ownFork(this.state));
    }
    this.#swarm ??= new Swarm({ store, topic: topicOf(this.keys), bootstrap, log });
    return this.#swarm;
  }

  /** Waits until the logs have these lengths; what is checked then is what they end with. Throws UnavailableError. */
  async reach(lengths: LogLengths, deadlineMs: number): Promise<void> {
    const { tree, content } = this.logs;
    await this.#driveLogs.reach(content.key, lengths, deadlineMs);
    this.logs.head = { length: tree.length, fork: tree.fork };
  }

  /** Throws what the sync throws, after everything is let go. */
  async close(): Promise<void> {
    const { tree, content } = this.logs;
    const errors: unknown[] = [];
    const steps = [
      () => this.#storeSync.sync(),
      async () => this.#swarm?.close(),
      () => tree.close(),
      () => content.close(),
      () => this.#storeSync.close(),
      () => this.#driveLogs.store.close(),
    ];
    for (const step of steps) await step().catch((error: unknown) => errors.push(error));
    this.#lock.release();
    if (errors.length > 0) throw asShoalError(errors[0], 'close the store');
  }
}

async function openLogs(
  driveLogs: DriveLogs,
  record: DriveRecord,
  keys: DriveKeys,
  state: DriveState | null,
): Promise<CheckedLogs> {
  const tree = driveLogs.tree(false);
  await tree.ready();
  if (tree.length === 0) {
    throw new UnavailableError(
      `Cannot check '${record.name}': nothing of it is on this machine yet; mount it once`,
    );
  }
  const isWriter = keys.writer !== null && state?.lease.state === 'held';
  const head = await newestHead(tree, isWriter);
  const isWhole = isWholeStore(record, state);
  const contentKey =
    keys.writer?.contentLog.key ?? record.contentLogKey ?? (await contentKeyOf(tree, head));
  const content = driveLogs.content(contentKey, false);
  await content.ready();
  const hashKey = deriveChunkHashKey(keys.readSecret);
  const database = driveLogs.store.storage.db;
  return { name: record.name, tree, content, head, hashKey, isWhole, database };
}

/** Whether every block of the logs should be in the store: nobody ever wrote the drive elsewhere, and no host keeps it. */
export function isWholeStore({ origin }: DriveRecord, state: DriveState | null): boolean {
  return origin && state?.lease.state === 'held' && state.lease.generation === 1 && !state.mayLack;
}

/** Of a drive that was never opened. */
async function contentKeyOf(tree: Hypercore, head: CheckedLogs['head']): Promise<Buffer> {
  const bytes = await new TreeWalker(tree, { isWhole: false }).get(head, superblockKey);
  const first = bytes === null ? undefined : decodeSuperblock(bytes).writers[0];
  if (first === undefined) throw new DamagedError('Cannot check the drive: it has no superblock');
  return first.contentKey;
}
