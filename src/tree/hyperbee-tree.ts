/** The tree on Hyperbee2, which writes it; `log-view.ts` reads it. Only this file and `engine-nodes.ts` use the engine. */

import { setTimeout as sleep } from 'node:timers/promises';
import Hyperbee, { type WriteBatch } from 'hyperbee2';
import type Hypercore from 'hypercore';
import {
  DamagedError,
  InterruptedError,
  ReadOnlyError,
  ShoalError,
  UnavailableError,
} from '../errors.js';
import { limits } from '../limits.js';
import { asShoalError } from '../log/store-errors.js';
import { untilAborted } from '../log/until-aborted.js';
import { takeNodesFrom } from './engine-nodes.js';
import { readGarbage } from './garbage-record.js';
import { GarbageLog } from './keys.js';
import { LogView } from './log-view.js';
import type {
  Head,
  RecordDifference,
  Tree,
  TreeChange,
  TreeReadOptions,
  TreeRecord,
  TreeView,
} from './tree.js';
import { differences } from './tree-difference.js';
import { treeError } from './tree-error.js';
import { TreeFetcher } from './tree-fetcher.js';
import { TreeReader } from './tree-reader.js';
import { decodeWholeHead, encodeWholeHead, WHOLE_HEAD } from './whole-head.js';

/**
 * Keys per node: 8 to 16. With the engine's default of 128 a hundred thousand keys took gigabytes of memory and a
 * hundred block reads for one cold `get`.
 */
const TREE_T = 8;

/** Values above this are kept apart from their key, so that a walk over keys need not carry them. */
const INLINE_VALUE_BYTES_MAX = 1024;

/** The tree is one log; a node that claims to continue in another one is not ours. */
const noOtherLogs = {
  get(): never {
    throw new DamagedError('Cannot read the tree: a node refers to another log');
  },
  close: () => Promise.resolve(),
  opening: null,
  closing: null,
  opened: true,
  closed: false,
};

/**
 * A newer head is shown once its blocks are here, so that it can be read when the peers go away. If none of them comes
 * for so long although somebody is connected, it is shown with what there is. Longer than it takes to find a connection
 * dead.
 */
const STALL_MS = 20_000;

/** With a newer head, nothing has to come for this long until the older one is given up. */
const OVERTAKEN_MS = 1000;
/** What comes without this wait is asked for as it is; else it is looked up what of it is garbage. */
const ARRIVAL_MS = 250;
/** Between a new head and the look at its garbage. */
const GARBAGE_LOOK_MS = 500;

export interface HyperbeeTreeOptions {
  /** A session of the tree's log, encryption set, which the tree closes. */
  core: Hypercore;
  /** Default deadline of reads that wait for peers; 0 to ask nobody. */
  deadlineMs: number;
}

export class HyperbeeTree implements Tree {
  readonly #core: Hypercore;
  readonly #deadlineMs: number;
  readonly #listeners: (() => void)[] = [];
  #bee: Hyperbee;
  readonly #reader: TreeReader;
  #view: LogView;
  readonly #fetcher: TreeFetcher;
  readonly #garbageListeners: (() => void)[] = [];
  #garbageTimer: NodeJS.Timeout | null = null;
  #catchingUp = false;
  #closed = false;
  #lastDownloadMs = 0;
  /** As it is stored under {@link WHOLE_HEAD}. */
  #wholeHead: Head = { length: 0, fork: 0 };

  private constructor(options: HyperbeeTreeOptions) {
    this.#core = options.core;
    this.#reader = TreeReader.of(this.#core);
    this.#deadlineMs = options.deadlineMs;
    this.#fetcher = new TreeFetcher(this.#core);
    this.#bee = this.#openBee();
    this.#view = this.#currentView();
  }

  /**
   * Opens the tree at the newest head that is known locally; one that is followed at the newest head that can be read
   * without peers, if there is one. Throws StoreError.
   */
  static async open(options: HyperbeeTreeOptions): Promise<HyperbeeTree> {
    let wholeHead: Head | null;
    try {
      await options.core.ready();
      wholeHead = decodeWholeHead(await options.core.getUserData(WHOLE_HEAD));
    } catch (error) {
      throw asShoalError(error, 'open the tree');
    }
    const tree = new HyperbeeTree(options);
    await tree.#bee.ready();
    tree.#view = tree.#currentView();
    if (!tree.writable) await tree.#follow(wholeHead);
    return tree;
  }

  get head(): Head {
    return this.#view.head;
  }

  /** Bytes of the log, of all versions, as stored. */
  get storedBytes(): number {
    return this.#core.byteLength;
  }

  get writable(): boolean {
    return this.#core.writable;
  }

  get(key: Buffer, options?: TreeReadOptions): Promise<Buffer | null> {
    return this.#view.get(key, options);
  }

  range(from: Buffer, to: Buffer, options?: TreeReadOptions): AsyncIterable<TreeRecord> {
    return this.#view.range(from, to, options);
  }

  blockOf(key: Buffer, options?: TreeReadOptions): Promise<number | null> {
    return this.#view.blockOf(key, options);
  }

  at(head: Head): TreeView {
    return this.#viewAt(head);
  }

  async *differences(
    from: Head,
    to: Head,
    options: TreeReadOptions = {},
  ): AsyncIterable<RecordDifference> {
    for await (const found of differences(this.#viewAt(from), this.#viewAt(to), options)) {
      if (options.signal?.aborted === true) throw new InterruptedError('Interrupted');
      yield found;
    }
  }

  async write(changes: readonly TreeChange[]): Promise<Head> {
    if (!this.writable) throw new ReadOnlyError('Cannot change the drive: it is open for reading');
    const batch = this.#bee.write({ inlineValueSize: INLINE_VALUE_BYTES_MAX });
    for (const { key, value } of changes) {
      if (value === null) batch.tryDelete(key);
      else batch.tryPut(key, value);
    }
    return await this.#flush(batch);
  }

  /**
   * Replaces all records by others, in any order, as one batch that reads nothing of the tree there is: for one whose
   * nodes are damaged. Throws like `write`, and what `records` throws.
   */
  async rewrite(records: AsyncIterable<TreeRecord>): Promise<Head> {
    if (!this.writable) throw new ReadOnlyError('Cannot change the drive: it is open for reading');
    const batch = this.#bee.write({ inlineValueSize: INLINE_VALUE_BYTES_MAX });
    batch.tryClear();
    for await (const { key, value } of records) batch.tryPut(key, value);
    return await this.#flush(batch);
  }

  async #flush(batch: WriteBatch): Promise<Head> {
    const lengthBefore = this.#core.length;
    // Else the engine reads the newest block for its list of other logs, of which a tree of ours has none, and notes in the
    // store that it did.
    this.#bee.context.length = lengthBefore;
    try {
      await batch.flush();
    } catch (error) {
      // A batch changes cached nodes in place before it appends. After a failure they describe what is not in the log:
      // start over from the log.
      await batch.close().catch(() => undefined);
      this.#bee = this.#openBee();
      await this.#bee.ready();
      this.#view = this.#currentView();
      // Hypercore writes hints of its own after the blocks. When that fails the append rejects although it was done.
      if (this.#core.length > lengthBefore) return this.head;
      throw treeError(error, 'change the tree');
    }
    this.#view = this.#currentView();
    return this.head;
  }

  onAdvance(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Resolves once there is a head, for a drive that was joined and never seen.
   * Throws UnavailableError, InterruptedError.
   */
  async whenFound(options: TreeReadOptions = {}): Promise<void> {
    if (this.head.length > 0) return;
    const deadlineMs = options.deadlineMs ?? this.#deadlineMs;
    let timer: NodeJS.Timeout | undefined;
    let found: (() => void) | undefined;
    const advanced = new Promise<void>((resolve, reject) => {
      found = resolve;
      this.#listeners.push(found);
      timer = setTimeout(() => {
        reject(new UnavailableError('No peer that has the drive answered'));
      }, deadlineMs);
    });
    try {
      await untilAborted(advanced, options.signal, ' while waiting for the tree');
    } finally {
      clearTimeout(timer);
      if (found !== undefined) this.#listeners.splice(this.#listeners.indexOf(found), 1);
    }
  }

  /** Gives memory back that is only held to be faster; nodes above the leaves stay. */
  releaseMemory(): void {
    this.#reader.blocks.releaseMemory();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#garbageTimer !== null) clearTimeout(this.#garbageTimer);
    this.#fetcher.close();
    this.#listeners.length = 0;
    this.#garbageListeners.length = 0;
    await this.#core.close();
  }

  #openBee(): Hyperbee {
    const bee = new Hyperbee(noOtherLogs, {
      core: this.#core,
      t: TREE_T,
      maxCacheSize: limits.tree_cache_nodes_max,
      writable: this.#core.writable,
      autoUpdate: false,
    });
    return takeNodesFrom(this.#reader, this.#deadlineMs, bee);
  }

  #viewAt(head: Head): LogView {
    return new LogView(this.#reader, head, this.#deadlineMs);
  }

  #currentView(): LogView {
    const length = this.#bee.head()?.length ?? 0;
    return this.#viewAt({ length, fork: this.#core.fork });
  }

  /** Takes over what peers announce, and keeps the whole tree local: it is small, and `ls` must work offline. */
  async #follow(wholeHead: Head | null): Promise<void> {
    const core = this.#core;
    if (wholeHead !== null && wholeHead.fork === core.fork && wholeHead.length <= core.length) {
      this.#wholeHead = wholeHead;
      this.#view = this.#viewAt(wholeHead);
      await this.#readGarbage(AbortSignal.timeout(STALL_MS), true);
    }
    core.on('append', () => this.#catchUp());
    core.on('truncate', () => {
      // The engine's node cache does not notice that blocks were replaced.
      this.#bee.cache.empty();
      this.#fetcher.reset();
      this.#show({ length: core.length, fork: core.fork });
      this.#fetcher.follow(core.length);
    });
    core.on('download', () => {
      this.#lastDownloadMs = performance.now();
      this.#noteWholeHead();
    });
    this.#fetcher.follow(this.head.length);
    this.#catchUp();
    this.#readGarbageSoon();
  }

  #catchUp(): void {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    this.#showNewest()
      // A log that fails here fails again for who reads it, and is reported there.
      .catch(() => undefined)
      .finally(() => {
        this.#catchingUp = false;
      });
  }

  async #showNewest(): Promise<void> {
    while (!this.#closed) {
      const { length, fork } = this.#core;
      const shown = this.head;
      if (length === shown.length && fork === shown.fork) return;
      // Nothing is shown yet: what is asked for first is fetched first.
      const isFirst = shown.length === 0;
      if (!isFirst && !(await this.#arrived(shown.length, { length, fork }))) continue;
      if (this.#closed) return;
      if (fork !== this.#core.fork) continue;
      this.#show({ length, fork });
      if (isFirst) this.#fetcher.follow(length);
    }
  }

  /**
   * Waits for the blocks of a newer head, unless nothing comes from those who are connected. False when there is a still
   * newer one: then what is missing may have been collected, and comes no more.
   */
  async #arrived(start: number, head: Head): Promise<boolean> {
    const abort = new AbortController();
    let isOvertaken = false;
    const stalled = new Promise<void>((resolve) => {
      abort.signal.addEventListener('abort', () => resolve());
    });
    const beganMs = performance.now();
    const timer = setInterval(() => {
      const quietMs = performance.now() - Math.max(beganMs, this.#lastDownloadMs);
      isOvertaken = this.#core.length > head.length && quietMs > OVERTAKEN_MS;
      const isStalled = quietMs > STALL_MS && this.#core.peers.length > 0;
      if (this.#closed || isOvertaken || isStalled) abort.abort();
    }, OVERTAKEN_MS / 4);
    timer.unref();
    try {
      const all = this.#core.download({ start, end: head.length });
      const isHere = await Promise.race([
        all.done(),
        stalled,
        sleep(ARRIVAL_MS, null, { ref: false }),
      ]);
      all.destroy();
      if (isHere === true || abort.signal.aborted) return !isOvertaken;
      // Some of them may be garbage by now.
      const garbage = await readGarbage(this.#viewAt(head), GarbageLog.tree, {
        signal: abort.signal,
      }).catch(() => null);
      const wanted = this.#fetcher.fetch(start, head.length, garbage ?? this.#fetcher.garbage);
      await Promise.race([wanted, stalled]);
      if (isOvertaken) return false;
      if (garbage !== null) this.#fetcher.setGarbage(garbage);
      return true;
    } finally {
      clearInterval(timer);
      abort.abort();
    }
  }

  #show(head: Head): void {
    this.#bee.update();
    this.#view = this.#viewAt(head);
    this.#noteWholeHead();
    for (const listener of [...this.#listeners]) listener();
    this.#readGarbageSoon();
  }

  /** Called after blocks of the head that is shown became garbage. */
  onGarbage(listener: () => void): void {
    this.#garbageListeners.push(listener);
  }

  /** Whether the head that is shown can be read without peers. */
  get isWhole(): boolean {
    return this.writable || this.#fetcher.isWhole(this.head.length);
  }

  #readGarbageSoon(): void {
    if (this.#closed || this.#garbageTimer !== null) return;
    this.#garbageTimer = setTimeout(() => {
      this.#garbageTimer = null;
      if (this.head.length === 0 || this.#closed) return;
      void this.#readGarbage(AbortSignal.timeout(STALL_MS), false).then((isNew) => {
        if (!isNew || this.#closed) return;
        this.#fetcher.follow(this.head.length);
        this.#noteWholeHead();
        for (const listener of [...this.#garbageListeners]) listener();
      });
    }, GARBAGE_LOOK_MS);
    this.#garbageTimer.unref();
  }

  /** Takes over the map of the head that is shown. Returns whether it says more than before. */
  async #readGarbage(signal: AbortSignal, localOnly: boolean): Promise<boolean> {
    const view = this.#view;
    try {
      const garbage = await readGarbage(view, GarbageLog.tree, { signal, localOnly });
      if (view !== this.#view || garbage.count === this.#fetcher.garbage.count) return false;
      this.#fetcher.setGarbage(garbage);
      return true;
    } catch (error) {
      // The next head is looked at again; until then more is fetched than has to be.
      if (error instanceof ShoalError) return false;
      throw error;
    }
  }

  #noteWholeHead(): void {
    const { head } = this;
    if (head.length === this.#wholeHead.length && head.fork === this.#wholeHead.fork) return;
    if (this.#closed || head.length === 0 || !this.#fetcher.isWhole(head.length)) return;
    this.#wholeHead = head;
    // Without it the next start waits for peers, at worst.
    this.#core.setUserData(WHOLE_HEAD, encodeWholeHead(head)).catch(() => undefined);
  }
}

/**
 * The newest head of a log that this machine has all blocks of, as far as is known; else the newest one.
 * @param isWriter Whether the log is written here: then there is nothing to wait for.
 */
export async function newestHead(core: Hypercore, isWriter: boolean): Promise<Head> {
  const whole = decodeWholeHead(await core.getUserData(WHOLE_HEAD));
  const { length, fork } = core;
  if (isWriter || core.contiguousLength >= length || whole === null) return { length, fork };
  return whole.fork === fork && whole.length <= length ? whole : { length, fork };
}
