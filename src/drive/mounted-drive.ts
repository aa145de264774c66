/** A drive, its file system and its mount, from the first to the last moment of a mount process. */
import type { NodeAddress } from 'hyperdht';
import { MountBusyError } from '../../mount/errors.js';
import type { DriverStatistics, Mount, MountDriver } from '../../mount/file-system.js';
import type { DiskCache } from '../content/disk-cache.js';
import { ControlServer } from '../control/server.js';
import { BusyError, InterruptedError, UsageError } from '../errors.js';
import {
  DriveFileSystem,
  type DriveFileSystemFigures,
  type DriveFileSystemOptions,
} from '../fs/drive-file-system.js';
import { DriveHistory } from '../fs/history/drive-history.js';
import { HeadsInUse } from '../fs/history/heads-in-use.js';
import { HistoryFileSystem } from '../fs/history/history-file-system.js';
import { VersionHistory } from '../fs/history/version-history.js';
import type { VersionName } from '../fs/history/version-name.js';
import { limits } from '../limits.js';
import { checkedRetention } from '../tree/retention-record.js';
import type { VersionPoint } from '../tree/version-point.js';
import { Collections } from './collections.js';
import { controlSocketPath } from './control-socket-path.js';
import { type Drive, openDrive } from './drive.js';
import { describeFileHealth } from './drive-health.js';
import { openDespiteDamage } from './fetch-damaged-tree.js';
import { historyHandlers } from './history-session.js';
import type { Home } from './home.js';
import { listPage } from './list-page.js';
import { MemoryWatch } from './memory-watch.js';
import { MOUNT_SUBTYPE, mountSource } from './mount-table.js';
import type { OwnerCache } from './owner-cache.js';
import { pinHandlers } from './pin-control.js';
import type { PinFigures, Pinner } from './pinner.js';
import { Protection } from './protection.js';
import { type ProtectionFigures, protectionHandlers } from './protection-control.js';
import { SharedCheck } from './shared-check.js';
import { reportUsage, type UsageReport } from './usage-report.js';

export interface MountDriveOptions {
  home: Home;
  name: string;
  /** Checked before; absolute, without symbolic links. */
  directory: string;
  driver: MountDriver;
  readOnly: boolean;
  offline: boolean;
  allowOther: boolean;
  numericOwner: boolean;
  posixAcl: boolean;
  birthTimes: boolean;
  /** Show the drive as it was, read-only. */
  at?: VersionName | null;
  bootstrap?: NodeAddress[] | undefined;
  deadlineMs: number;
  /** Null for the default. */
  cacheBytes: number | null;
  takeOver?: boolean;
  log: (line: string) => void;
  onNotice: (line: string) => void;
  signal?: AbortSignal;
  environment: NodeJS.ProcessEnv;
}

/** How a mount ended. */
export interface MountEnd {
  /** What was written last and could not be committed is lost when this is set. */
  commitError: Error | null;
}

/** What `status` answers. */
export interface MountStatus {
  name: string;
  directory: string;
  pid: number;
  driver: string;
  readOnly: boolean;
  offline: boolean;
  peers: number;
  receivedBytes: number;
  sentBytes: number;
  swarmReachable: boolean;
  downloadedBlocks: number;
  downloadedBytes: number;
  storedBytes: number;
  /** Null for a drive that is kept whole. */
  cache: { bytes: number; bytesMax: number; pinnedBytes: number } | null;
  deduplicatedBytes: number;
  treeLength: number;
  treeFork: number;
  residentBytes: number;
  fileSystem: DriveFileSystemFigures;
  pins: PinFigures[];
  /** Null for a drive without hosts, or that another machine writes. */
  protection: ProtectionFigures | null;
  requests: DriverStatistics;
}

/** A mount that answers. */
export class MountedDrive {
  readonly #drive: Drive;
  readonly #fileSystem: DriveFileSystem;
  readonly #driverName: string;
  readonly #log: (line: string) => void;
  readonly #memoryWatch: MemoryWatch;
  readonly #pinner: Pinner;
  readonly #collections: Collections;
  readonly #protection: Protection;
  readonly #ownerCache: OwnerCache | null;
  /** The file system with its past; null when it is mounted as it was. */
  #past: HistoryFileSystem | null = null;
  readonly #headsInUse = new HeadsInUse();
  readonly #history: DriveHistory;
  #mount!: Mount;
  #control!: ControlServer;
  #ending: Promise<MountEnd> | null = null;
  readonly #checks: SharedCheck;
  readonly #underWay = new Set<Promise<unknown>>();
  /** Ends a check. */
  readonly #abort = new AbortController();
  #resolveEnded!: (end: MountEnd) => void;

  /** Resolves when the mount has ended, for whatever reason, and everything is closed. */
  readonly ended: Promise<MountEnd>;

  private constructor(
    drive: Drive,
    fileSystem: DriveFileSystem,
    driverName: string,
    log: (line: string) => void,
    pinner: Pinner,
    home: Home,
  ) {
    this.#drive = drive;
    this.#pinner = pinner;
    this.#fileSystem = fileSystem;
    this.#driverName = driverName;
    this.#history = new DriveHistory(fileSystem, drive.tree, this.#headsInUse);
    this.#log = log;
    this.#collections = new Collections(drive, fileSystem, () => this.headsInUse(), log);
    this.#checks = new SharedCheck(drive, () => fileSystem.commit(), this.#abort.signal);
    this.#protection = new Protection({ home, drive, fileSystem, inBackground: true, log });
    this.#ownerCache = drive.openOwnerCache(() => this.#protection.protector);
    fileSystem.health = async (blocks) => {
      const { protector } = this.#protection;
      return protector === null ? null : await describeFileHealth(protector, blocks);
    };
    this.#memoryWatch = new MemoryWatch(() => this.#releaseMemory());
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** Throws what {@link openDrive} throws, and MountError of the driver; nothing is left behind then. */
  static start(options: MountDriveOptions): Promise<MountedDrive> {
    return openDespiteDamage(options, () => MountedDrive.#open(options));
  }

  static async #open(options: MountDriveOptions): Promise<MountedDrive> {
    const { home, name, directory, driver, log } = options;
    const at = options.at ?? null;
    const readOnly = options.readOnly || at !== null;
    const drive = await openDrive(home, name, { ...options, readOnly, command: 'mount' });
    try {
      drive.lock.update({ directory });
      const history = new VersionHistory(drive.tree);
      const point = at === null ? null : await history.find(at);
      const fileSystemOptions: DriveFileSystemOptions = {
        tree: drive.tree,
        content: drive.content,
        sync: () => drive.sync(),
        journal: drive.journal,
        readOnly: !drive.writable,
        mountUid: process.getuid?.() ?? 0,
        mountGid: process.getgid?.() ?? 0,
        numericOwner: options.numericOwner,
        posixAcl: options.posixAcl,
        birthTimes: options.birthTimes,
        storeDirectory: drive.paths.store,
        log,
        ...(point === null ? {} : { at: point }),
      };
      const fileSystem = await DriveFileSystem.open(fileSystemOptions);
      const pinner = await drive.openPinner();
      const mounted = new MountedDrive(drive, fileSystem, driver.name, log, pinner, home);
      if (point === null) {
        mounted.#past = new HistoryFileSystem({
          drive: fileSystem,
          driveOptions: fileSystemOptions,
          history,
          headsInUse: mounted.#headsInUse,
        });
      } else mounted.#headsInUse.add(point);
      try {
        await mounted.#mountAndListen(options);
      } catch (error) {
        mounted.#memoryWatch.close();
        await pinner.close();
        await fileSystem.close();
        throw error;
      }
      return mounted;
    } catch (error) {
      await drive.close();
      throw error;
    }
  }

  get name(): string {
    return this.#drive.name;
  }
  get directory(): string {
    return this.#mount.directory;
  }
  get readOnly(): boolean {
    return !this.#drive.writable || this.#drive.takenOver.aborted;
  }

  /** Older versions that are mounted or open, which a collection must leave alone. */
  headsInUse(): VersionPoint[] {
    return this.#past?.headsInUse() ?? this.#headsInUse.list();
  }

  async #mountAndListen(options: MountDriveOptions): Promise<void> {
    const path = controlSocketPath(this.#drive.paths.directory, options.environment);
    this.#control = await ControlServer.listen({
      path,
      log: this.#log,
      handlers: {
        status: () => this.status(),
        sync: () => this.#fileSystem.commit(),
        check: (_params, gone) => this.#checks.ask(gone),
        ...pinHandlers(this.#pinner),
        checkProgress: () => this.#checks.progress,
        collect: ({ dryRun }) => this.#collections.collect({ dryRun: dryRun === true }),
        retention: () => this.#collections.retention(),
        setRetention: async (params) => {
          await this.#collections.setRetention(checkedRetention(params));
          return null;
        },
        ...historyHandlers(this.#history),
        ...protectionHandlers({
          drive: this.#drive,
          fileSystem: this.#fileSystem,
          protection: this.#protection,
          signal: this.#abort.signal,
        }),
        usage: ({ path, depth }) => this.#track(this.#usage(path, depth)),
        list: (request) => this.#track(listPage(this.#fileSystem, request, this.#abort.signal)),
        remove: ({ path, wait }) => this.#track(this.#remove(path, wait === true)),
        unmount: async ({ force }) => {
          const { commitError } = await this.unmount(force === true);
          if (commitError === null) return;
          // Still the same class, which decides the exit code.
          commitError.message = `Unmounted, but what was not committed is lost: ${commitError.message}`;
          throw commitError;
        },
      },
    });
    try {
      this.#mount = await options.driver.mount(this.#past ?? this.#fileSystem, {
        directory: options.directory,
        sourceName: mountSource(this.name),
        subtype: MOUNT_SUBTYPE,
        allowOther: options.allowOther,
        onNotice: options.onNotice,
        onEnd: (error) => {
          this.#log(
            `The mount was ended from outside${error === null ? '' : `: ${error.message}`}`,
          );
          void this.#finish();
        },
      });
    } catch (error) {
      await this.#control.close();
      throw error;
    }
    this.#drive.lock.update({ socket: path });
    this.#collections.start();
    const { takenOver } = this.#drive;
    const stop = (): void => {
      void this.#track(this.#fileSystem.stopWriting(takenOver.reason));
      const closed = async (): Promise<void> => {
        await this.#ownerCache?.close();
        await this.#protection.close();
      };
      void this.#track(closed().catch((error: unknown) => this.#log(String(error))));
    };
    if (takenOver.aborted) stop();
    else takenOver.addEventListener('abort', stop, { once: true });
    this.#protection.start();
  }

  status(): MountStatus {
    const { swarm, content, tree, diskCache } = this.#drive;
    const network = swarm?.statistics();
    const chunks = content.statistics();
    return {
      name: this.name,
      directory: this.directory,
      pid: process.pid,
      driver: this.#driverName,
      readOnly: this.readOnly,
      offline: swarm === null,
      peers: network?.peers ?? 0,
      receivedBytes: network?.receivedBytes ?? 0,
      sentBytes: network?.sentBytes ?? 0,
      swarmReachable: network?.reachable ?? false,
      downloadedBlocks: chunks.downloadedBlocks,
      downloadedBytes: chunks.downloadedBytes,
      storedBytes: chunks.storedBytes,
      cache: diskCache === null ? null : cacheFigures(diskCache),
      deduplicatedBytes: chunks.deduplicatedBytes,
      treeLength: tree.head.length,
      treeFork: tree.head.fork,
      residentBytes: process.memoryUsage.rss(),
      fileSystem: this.#fileSystem.figures(),
      pins: this.#pinner.figures(),
      protection: this.#protection.protector?.figures() ?? null,
      requests: this.#mount.statistics(),
    };
  }

  /** The drive is not closed before it has ended. */
  #track<T>(request: Promise<T>): Promise<T> {
    this.#underWay.add(request);
    return request.finally(() => this.#underWay.delete(request));
  }

  async #remove(path: unknown, wait: boolean): Promise<void> {
    if (typeof path !== 'string') throw new UsageError('Cannot remove: there is no path');
    await this.#fileSystem.removeTree(path);
    if (wait) await this.#fileSystem.removalsDone();
  }

  async #usage(path: unknown, depth: unknown): Promise<UsageReport> {
    if (typeof path !== 'string' || typeof depth !== 'number') {
      throw new UsageError('Cannot say what a directory takes: there is no path or depth');
    }
    await this.#fileSystem.commit();
    return await reportUsage(this.#drive, { path, depth, signal: this.#abort.signal });
  }

  /**
   * Commits, unmounts, closes everything. Without `force` it throws BusyError naming who uses the directory, or the
   * error of the commit, and the mount goes on. With `force` the directory is detached whatever happens.
   */
  async unmount(force: boolean): Promise<MountEnd> {
    if (this.#ending !== null) return await this.#ending;
    try {
      await this.#fileSystem.commit();
    } catch (error) {
      if (!force) throw error;
      this.#log(`Cannot commit before unmounting: ${errorText(error)}`);
    }
    try {
      await this.#mount.unmount({ force });
    } catch (error) {
      if (!(error instanceof MountBusyError)) throw error;
      // "... end that, or force it"
      const how = `with 'shoal unmount --force ${this.directory}'`;
      throw new BusyError(`${error.message} ${how}`, { cause: error });
    }
    return await this.#finish();
  }

  /** For a signal: unmounts, with force when the directory is in use. Never throws. */
  async stop(): Promise<MountEnd> {
    try {
      return await this.unmount(false);
    } catch (error) {
      this.#log(`${errorText(error)}; detaching the directory`);
    }
    try {
      return await this.unmount(true);
    } catch (error) {
      this.#log(`Cannot unmount '${this.directory}': ${errorText(error)}`);
      return await this.#finish();
    }
  }

  /** The next request finds everything on disk. */
  async #releaseMemory(): Promise<void> {
    (this.#past ?? this.#fileSystem).releaseMemory();
    this.#drive.tree.releaseMemory();
    try {
      await this.#drive.flushStore(limits.store_flush_bytes_min);
    } catch (error) {
      this.#log(errorText(error));
    }
  }

  /** The kernel asks nothing any more. Commits what is left and closes. Idempotent, never rejects. */
  #finish(): Promise<MountEnd> {
    this.#ending ??= this.#close();
    return this.#ending;
  }

  async #close(): Promise<MountEnd> {
    this.#memoryWatch.close();
    this.#abort.abort(new InterruptedError('The drive was unmounted'));
    await this.#pinner.close();
    await this.#checks.ended();
    await this.#collections.close();
    let commitError: Error | null = null;
    const keep = (error: unknown): void => {
      this.#log(`Cannot close '${this.name}' in order: ${errorText(error)}`);
      commitError ??= error instanceof Error ? error : new Error(String(error));
    };
    await this.#ownerCache?.close();
    await this.#protection.close().catch(keep);
    let isCommitted = true;
    await this.#fileSystem.close().catch((error: unknown) => {
      isCommitted = false;
      keep(error);
    });
    await Promise.allSettled(this.#underWay);
    // Before the lock is let go: afterwards the socket's path is the next mount's.
    this.#control.stopListening();
    await this.#drive.close(isCommitted).catch(keep);
    const end: MountEnd = { commitError };
    this.#resolveEnded(end);
    return end;
  }

  /** Sends the last answers. Call it after `ended`. */
  async closeControl(): Promise<void> {
    const late = new Promise<void>((resolve) => {
      setTimeout(resolve, 2 * limits.control_goodbye_ms_max).unref();
    });
    await Promise.race([this.#control.close(), late]);
  }
}

function cacheFigures({ bytes, bytesMax, pinnedBytes }: DiskCache) {
  return { bytes, bytesMax, pinnedBytes };
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
