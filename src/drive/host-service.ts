/** A host as a process: its folder, its store, and the control socket that commands reach it over. */

import { appendFileSync, renameSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import Corestore from 'corestore';
import type { NodeAddress } from 'hyperdht';
import { ControlServer } from '../control/server.js';
import { NotFoundError, StoreError, UsageError } from '../errors.js';
import { decodeAbsences, encodeAbsences } from '../hosts/absences.js';
import { Accounts } from '../hosts/accounts.js';
import type { Evidence } from '../hosts/auditor.js';
import { isCapacity } from '../hosts/capacity.js';
import { formatDriveId, HostBook } from '../hosts/host-book.js';
import { formatInvite } from '../hosts/invite.js';
import { StorageHost } from '../hosts/storage-host.js';
import { limits } from '../limits.js';
import { asShoalError } from '../log/store-errors.js';
import type { StoreSync } from '../log/store-sync.js';
import { cacheTreeNodes } from '../log/tree-node-cache.js';
import { openValues } from '../log/values/after-power-loss.js';
import { controlSocketPath } from './control-socket-path.js';
import { diskUsage } from './disk-usage.js';
import { openStorage, storeSyncOf } from './drive-logs.js';
import type { Home } from './home.js';
import { accountStore, bookStore, type HostPaths, lockHost, makeHostFolder } from './host-files.js';
import { keptByHosts } from './own-host.js';
import type { StoreLock } from './store-lock.js';
import { reclaimSpace } from './store-space.js';
import { typedSize } from './typed-size.js';

export interface HostServiceOptions {
  /** Whose drives others keep, and for which this host may ask for something in return. */
  home: Home;
  paths: HostPaths;
  /** Bytes of disk that the host may take; null for what it was started with before. */
  capacityBytes: number | null;
  /** Nodes of a private DHT; absent for the public one. */
  bootstrap?: NodeAddress[] | undefined;
  /** See StorageHostOptions. */
  repairBytesPerSecond?: number | undefined;
  verifyBytesPerSecond?: number | undefined;
  auditIntervalMs?: number | undefined;
  /** See {@link Accounts}. */
  reciprocalRatio?: number | undefined;
  environment: NodeJS.ProcessEnv;
  log: (line: string) => void;
}

const WRITE_BUFFER_BYTES_MIN = 2 << 20;
const BLOB_FILE_BYTES_MAX = 64 << 20;
/** RocksDB reserves a tenth more than a memtable for a write-ahead file, and there can be two. */
const WRITE_AHEAD_SHARE = 2.2;
/** Files that RocksDB removes a little later than it could. */
const LATE_BYTES = 8 << 20;

/** Throws UsageError. */
export function checkCapacity(bytes: number): void {
  if (isCapacity(bytes)) return;
  throw new UsageError(
    `Cannot run a host with ${typedSize(bytes)}: at least ${typedSize(limits.host_capacity_bytes_min)} are needed; the database alone takes some megabytes`,
  );
}

export class HostService {
  /** Resolves when the host has ended: stopped, or left. */
  readonly ended: Promise<void>;
  readonly host: StorageHost;
  readonly book: HostBook;
  readonly #store: Corestore;
  readonly #storeSync: StoreSync;
  readonly #lock: StoreLock;
  readonly #saveAccounts: () => Promise<void>;
  #control: ControlServer | null = null;
  #resolveEnded: () => void = () => undefined;
  #stopping: Promise<void> | null = null;

  private constructor(
    host: StorageHost,
    book: HostBook,
    store: Corestore,
    storeSync: StoreSync,
    lock: StoreLock,
    saveAccounts: () => Promise<void>,
  ) {
    this.host = host;
    this.book = book;
    this.#store = store;
    this.#storeSync = storeSync;
    this.#lock = lock;
    this.#saveAccounts = saveAccounts;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** Throws UsageError, BusyError, StoreError, FormatVersionError, EnvironmentError. */
  static async start(options: HostServiceOptions): Promise<HostService> {
    const { paths, capacityBytes, bootstrap, environment, log } = options;
    if (capacityBytes !== null) checkCapacity(capacityBytes);
    await makeHostFolder(paths);
    const lock = lockHost(paths, 'host');
    const undo: (() => Promise<void>)[] = [async () => lock.release()];
    try {
      const book = await HostBook.open(bookStore(paths), capacityBytes);
      if (book === null) {
        throw new UsageError(
          'Cannot start a host: say how much disk it may take with --capacity, such as 50G',
        );
      }
      if (book.hasLeft) {
        throw new UsageError(
          'Cannot start the host: it has left; say how much disk it may take with --capacity, such as 50G, to begin anew',
        );
      }
      const store = await openStore(paths.store, book.capacityBytes);
      undo.push(() => store.close());
      const storeSync = storeSyncOf(store);
      undo.push(() => storeSync.close());
      const saved = await accountStore(paths).load();
      const accounts = new Accounts(options.reciprocalRatio ?? null, saved?.accounts);
      // Drives whose logs are not open yet are as they were.
      const absences = decodeAbsences(saved?.absences);
      const saveAccounts = (host: StorageHost): Promise<void> => {
        const seen = [...host.absences()].filter(([, hosts]) => hosts.size > 0);
        const kept = new Set(book.drives.map(({ keys }) => keys.plan.toString('hex')));
        const known = encodeAbsences(
          [...new Map([...absences, ...seen])].filter(([drive]) => kept.has(drive)),
        );
        return accountStore(paths)
          .save({ accounts: accounts.encode(), absences: known })
          .catch((error: unknown) => log(`Cannot note what other hosts did: ${String(error)}`));
      };
      let onLeft = (): void => undefined;
      const host = await StorageHost.start({
        onLeft: () => onLeft(),
        accounts,
        absences,
        reciprocalRatio: options.reciprocalRatio ?? null,
        keptByHosts: () => keptByHosts(options.home, log),
        book,
        store,
        space: {
          usedBytes: () => diskUsage(paths.store),
          diskFreeBytes: async () => {
            const { bavail, bsize } = await statfs(paths.store);
            return bavail * bsize;
          },
          reserveBytes: reserveBytes(book.capacityBytes),
          reclaim: (core, share) => reclaimSpace(store, core, share),
          sync: () => storeSync.sync(),
        },
        bootstrap,
        repairBytesPerSecond: options.repairBytesPerSecond,
        verifyBytesPerSecond: options.verifyBytesPerSecond,
        auditIntervalMs: options.auditIntervalMs,
        onEvidence: (evidence) => keepEvidence(paths.evidence, evidence, log),
        log,
      });
      undo.push(() => host.close());
      const timer = setInterval(() => void saveAccounts(host), limits.host_accounts_save_ms);
      undo.push(async () => clearInterval(timer));
      const service = new HostService(host, book, store, storeSync, lock, () => {
        clearInterval(timer);
        return saveAccounts(host);
      });
      onLeft = () => {
        log('Everything is handed over');
        void service.stop(log);
      };
      await service.#listen(controlSocketPath(paths.directory, environment), log);
      return service;
    } catch (error) {
      for (const step of undo.reverse()) {
        await step().catch((failure: unknown) => log(`Cannot close: ${String(failure)}`));
      }
      throw error;
    }
  }

  /** Ends the host in order. Idempotent; never rejects. */
  stop(log: (line: string) => void): Promise<void> {
    this.#stopping ??= this.#stop(log).then(() => this.#resolveEnded());
    return this.#stopping;
  }

  async #stop(log: (line: string) => void): Promise<void> {
    const steps = [
      () => this.host.close(),
      () => this.#saveAccounts(),
      () => this.#storeSync.sync(),
      // From the write-ahead log into files with checksums.
      () => this.#store.storage.db.flush(),
      () => this.#storeSync.close(),
      () => this.#store.close(),
    ];
    for (const step of steps) {
      await step().catch((error: unknown) => log(`Cannot close in order: ${String(error)}`));
    }
    this.#control?.stopListening();
    this.#lock.release();
    await this.#control?.close();
  }

  async #listen(path: string, log: (line: string) => void): Promise<void> {
    const { book, host } = this;
    this.#control = await ControlServer.listen({
      path,
      log,
      handlers: {
        invite: async ({ fresh }) => ({ invite: formatInvite(await book.invite(fresh === true)) }),
        allow: async ({ drive }) => {
          await book.allow(book.find(textOf(drive)));
        },
        deny: async ({ drive }) => {
          await host.deny(book.find(textOf(drive)));
        },
        status: () => host.report(),
        leave: ({ force }) => host.leave(force === true),
        handovers: () => host.handovers(),
        lists: () => listsOf(book),
        kept: () => book.drives.map(({ keys }) => formatDriveId(keys.plan)),
      },
    });
    this.#lock.update({ socket: path });
  }
}

/** Which drives a host lets in, and which not. */
export function listsOf(book: HostBook) {
  return {
    allowed: book.allowed.map((key) => formatDriveId(key)),
    denied: book.denied.map((key) => formatDriveId(key)),
    unusedInvites: book.unusedInvites,
  };
}

/** A JSON object a line; of the file and the one before, each of bounded size. */
function keepEvidence(path: string, evidence: Evidence, log: (line: string) => void): void {
  try {
    const line = `${JSON.stringify({ time: new Date().toISOString(), ...evidence })}\n`;
    appendFileSync(path, '', { mode: 0o600 });
    const isFull = statSync(path).size + line.length > limits.host_evidence_bytes_max;
    if (isFull) renameSync(path, `${path}.1`);
    appendFileSync(path, line, { mode: 0o600 });
  } catch (error) {
    log(`Cannot keep evidence: ${String(error)}`);
  }
}

async function openStore(directory: string, capacityBytes: number): Promise<Corestore> {
  const storage = openStorage(directory, false, storePlan(capacityBytes));
  const store = new Corestore(storage);
  cacheTreeNodes(store);
  try {
    await store.ready();
    await openValues(storage);
    return store;
  } catch (error) {
    // A store that fails leaves its database open. What that says is the same again.
    await storage.close().catch(() => undefined);
    if ((error as NodeJS.ErrnoException).code === 'DEVICE_FILE') {
      throw new StoreError(
        `Cannot open the store '${directory}': it was copied or restored from another place; start a new host with an empty --store, and let the owners add it`,
        { cause: error },
      );
    }
    throw asShoalError(error, `open the store '${directory}'`);
  }
}

function storePlan(capacityBytes: number) {
  const share = Math.floor(capacityBytes / 32);
  return {
    bytesMax: capacityBytes,
    writeBufferBytes: clamp(share, WRITE_BUFFER_BYTES_MIN, limits.store_write_buffer_bytes),
    blobFileBytes: clamp(2 * share, WRITE_BUFFER_BYTES_MIN, BLOB_FILE_BYTES_MAX),
  };
}

function reserveBytes(capacityBytes: number): number {
  const { writeBufferBytes, blobFileBytes } = storePlan(capacityBytes);
  return Math.ceil(WRITE_AHEAD_SHARE * writeBufferBytes) + blobFileBytes + LATE_BYTES;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new NotFoundError('Cannot find a drive without its id');
  return value;
}
