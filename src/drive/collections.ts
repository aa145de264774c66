/** Collection and retention of a drive that this process has open: on demand, and of its own accord. */
import { BusyError, LimitError, ReadOnlyError } from '../errors.js';
import type { DriveFileSystem } from '../fs/drive-file-system.js';
import { limits } from '../limits.js';
import { asShoalError } from '../log/store-errors.js';
import { retentionKey } from '../tree/keys.js';
import { encodeRetention, type Retention, readRetention } from '../tree/retention-record.js';
import { RECORDS_FORMAT_VERSION } from '../tree/superblock.js';
import type { VersionPoint } from '../tree/version-point.js';
import { describeClockJump } from './clock-jump.js';
import { type CollectOptions, type CollectReport, collect, dropCollected } from './collector.js';
import type { Drive } from './drive.js';
import { chooseKept, readCollection, readSnapshots, versionsOf } from './kept-versions.js';
import { WorkBudget, type WorkShare } from './work-budget.js';

const LOCAL = { localOnly: true };
const ON_DEMAND: WorkShare = { workMs: 20, restMs: 0 };
const IN_BACKGROUND: WorkShare = {
  workMs: limits.collect_work_ms,
  restMs: limits.collect_rest_ms,
};

/** What drives the collections of a mount that writes. */
export class Collections {
  readonly #drive: Drive;
  readonly #fileSystem: DriveFileSystem;
  /** Older versions that are read: their blocks stay. */
  readonly #inUse: () => readonly VersionPoint[];
  readonly #log: (line: string) => void;
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<CollectReport> | null = null;
  /** When the last one ended, and how long the logs were. */
  #lastMs = performance.now();
  #lastBytes: number | null = null;
  /** The newest version at the last look, and since when. */
  #head: { length: number; sinceMs: number } = { length: -1, sinceMs: 0 };
  #isCautious = false;

  constructor(
    drive: Drive,
    fileSystem: DriveFileSystem,
    inUse: () => readonly VersionPoint[],
    log: (line: string) => void,
  ) {
    this.#drive = drive;
    this.#fileSystem = fileSystem;
    this.#inUse = inUse;
    this.#log = log;
  }

  /** Collects from now on whenever enough may be garbage. */
  start(firstLookMs: number = limits.collect_first_look_ms): void {
    if (this.#abort.signal.aborted) return;
    if (!this.#drive.writable) {
      this.#drive.tree.onGarbage(() => this.#sweepSoon());
      this.#sweepSoon();
      return;
    }
    this.#timer = setTimeout(() => {
      this.#look()
        .catch((error: unknown) => {
          if (this.#abort.signal.aborted) return;
          // What is missing or damaged stays so for a while.
          this.#lastMs = performance.now();
          this.#lastBytes ??= Number.POSITIVE_INFINITY;
          this.#log(`Cannot collect what is not kept: ${String(error)}`);
        })
        .finally(() => this.start(limits.collect_look_ms));
    }, firstLookMs);
    this.#timer.unref();
  }

  /** Collects now. Throws BusyError while another one runs, and like {@link collect}. */
  async collect(options: { dryRun: boolean }): Promise<CollectReport> {
    if (this.#running !== null) throw new BusyError('A collection is running; wait until it ends');
    return await this.#collect({ ...options, compact: true }, ON_DEMAND);
  }

  retention(): Promise<Retention> {
    return readRetention(this.#drive.tree, LOCAL);
  }

  /** Throws BusyError when a version that somebody reads now would be dropped, ReadOnlyError. */
  async setRetention(retention: Retention): Promise<void> {
    if (!this.#drive.writable) {
      throw new ReadOnlyError(
        `Cannot change what '${this.#drive.name}' keeps: it is open for reading; unmount it, and run the command on the machine that writes it`,
      );
    }
    const { committer } = this.#fileSystem;
    if (this.#inUse().length > 0) await this.#checkInUse(retention);
    const change = { key: retentionKey, value: encodeRetention(retention) };
    committer.putDriveRecord(change, RECORDS_FORMAT_VERSION);
    await committer.commit();
  }

  /** Ends a collection that runs, and waits for that. */
  async close(): Promise<void> {
    this.#abort.abort(new LimitError('The drive was unmounted'));
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running?.catch(() => undefined);
  }

  /** A reader drops what the writer collected, once it shows a head that says so and lacks nothing. */
  #sweepSoon(delayMs: number = limits.collect_reader_look_ms): void {
    if (this.#timer !== null || this.#abort.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const { tree } = this.#drive;
      if (this.#running !== null) return;
      if (!tree.isWhole || this.#fileSystem.head.length < tree.head.length) {
        if (tree.head.length > 0) this.#sweepSoon();
        return;
      }
      this.#collect({ dryRun: false, compact: false }, IN_BACKGROUND).catch((error: unknown) => {
        if (this.#abort.signal.aborted) return;
        if (error instanceof BusyError) {
          this.#sweepSoon(limits.collect_look_ms);
          return;
        }
        this.#log(`Cannot drop what was collected: ${String(error)}`);
      });
    }, delayMs);
    this.#timer.unref();
  }

  /** What the writer does not keep somebody may be reading here. Throws BusyError. */
  async #checkReaderInUse(): Promise<void> {
    const { tree } = this.#drive;
    const record = await readCollection(tree.at(tree.head));
    if (record === null) return;
    const kept = new Set(record.kept.map(({ version }) => version));
    for (const { version } of this.#inUse()) {
      if (version >= record.contiguous || kept.has(version)) continue;
      throw new BusyError(
        `Cannot drop what was collected: version ${version}, which is in use right now, is no longer kept; end what reads it and wait some minutes`,
      );
    }
  }

  async #checkInUse(retention: Retention): Promise<void> {
    const { tree } = this.#drive;
    const snapshots = await readSnapshots(tree.at(tree.head));
    const numbers = new Set([...snapshots.values()].map(({ version }) => version));
    const rules = { retention, nowMs: Date.now(), snapshots: numbers, inUse: new Set<number>() };
    const { lengths } = await chooseKept(versionsOf(tree, tree.head), rules);
    for (const { version, head } of this.#inUse()) {
      if (lengths.includes(head.length)) continue;
      throw new BusyError(
        `Cannot keep so little of '${this.#drive.name}': version ${version}, which is in use right now, would be dropped; end what reads it and wait some minutes, or keep more`,
      );
    }
  }

  async #look(): Promise<void> {
    const { length } = this.#drive.tree.head;
    if (length !== this.#head.length) this.#head = { length, sinceMs: performance.now() };
    if (this.#running !== null) return;
    const { tree, content } = await this.#bytes();
    const bytes = tree + content;
    const wanted = Math.max(
      limits.collect_growth_bytes_min,
      bytes * limits.collect_growth_share_min,
    );
    const isDue = performance.now() - this.#lastMs > limits.collect_interval_ms;
    if (this.#lastBytes !== null && !isDue && bytes - this.#lastBytes < wanted) return;
    const restedMs = performance.now() - this.#head.sinceMs;
    const unasked = { dryRun: false, compact: false, isUnasked: true, restedMs };
    const report = await this.#collect(unasked, IN_BACKGROUND);
    const isCautious = report.clockJumpMs > 0;
    if (isCautious && !this.#isCautious) {
      this.#log(
        `Dropping only versions that are old by the clock of before: ${describeClockJump(report.clockJumpMs)}; if it is right now, 'shoal collect ${this.#drive.name}' goes by it`,
      );
    }
    this.#isCautious = isCautious;
    if (report.bytes === 0) return;
    const blocks = report.treeBlocks + report.chunkBlocks;
    this.#log(`Collected ${blocks} blocks (${report.bytes} bytes) that no kept version needs`);
  }

  async #bytes(): Promise<{ tree: number; content: number }> {
    const { treeCore, contentCore } = await this.#drive.openLogs();
    try {
      return { tree: treeCore.byteLength, content: contentCore.byteLength };
    } finally {
      await Promise.all([treeCore.close(), contentCore.close()]);
    }
  }

  #collect(options: Omit<CollectOptions, 'pause'>, share: WorkShare): Promise<CollectReport> {
    this.#running = this.#run(options, share).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run(options: Omit<CollectOptions, 'pause'>, share: WorkShare): Promise<CollectReport> {
    const { tree, content } = this.#drive;
    const fileSystem = this.#fileSystem;
    const logs = await this.#drive.openLogs();
    const { pause } = new WorkBudget(share, this.#abort.signal);
    try {
      if (!this.#drive.writable) await this.#checkReaderInUse();
      const report = this.#drive.writable
        ? await collect(
            { ...logs, tree, content, fileSystem, inUse: this.#inUse },
            { ...options, pause },
          )
        : await dropCollected({ ...logs, tree, content }, { ...options, pause });
      this.#lastMs = performance.now();
      this.#lastBytes = logs.treeCore.byteLength + logs.contentCore.byteLength;
      return report;
    } catch (error) {
      throw asShoalError(error, 'collect what is not kept');
    } finally {
      await Promise.all([logs.treeCore.close(), logs.contentCore.close()]);
    }
  }
}
