/** The tree on Hyperbee2. The only file that uses the engine; `tree-walker.ts` knows its blocks. */

import Hyperbee, { type BeeEntry, type WriteBatch } from 'hyperbee2';
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
import { checkBlocksOf, checkNodesOf } from './checked-bee.js';
import type { Head, Tree, TreeChange, TreeReadOptions, TreeRecord, TreeView } from './tree.js';

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

/** Where a log that is followed keeps the newest head that was here with all its blocks. */
const WHOLE_HEAD = 'shoal/whole-head';
const WHOLE_HEAD_BYTES = 16;

export interface HyperbeeTreeOptions {
  /** A session of the tree's log, encryption set, which the tree closes. */
  core: Hypercore;
  /** Default deadline of reads that wait for peers. */
  deadlineMs: number;
}

/** The engine has null for an empty value. */
const NO_VALUE = Buffer.alloc(0);

const WHILE_WAITING = ' while waiting for the tree';

/** Errors of the engine that are not the store's come from bytes it could not decode. */
function treeError(error: unknown): ShoalError {
  if (error instanceof ShoalError) return error;
  const known = asShoalError(error, 'read the tree');
  if (known instanceof UnavailableError || known instanceof InterruptedError) return known;
  if (error instanceof TypeError || error instanceof RangeError || isDecodingFault(error)) {
    return new DamagedError('Cannot read the tree: a node does not decode', { cause: error });
  }
  return known;
}

function isDecodingFault(error: unknown): boolean {
  return (
    error instanceof Error &&
    /out of bounds|bad core index|unknown|invalid|incorrect|too big|uint must be/i.test(
      error.message,
    )
  );
}

class BeeView implements TreeView {
  readonly #bee: Hyperbee;
  readonly #deadlineMs: number;
  readonly head: Head;

  constructor(bee: Hyperbee, head: Head, deadlineMs: number) {
    this.#bee = bee;
    this.#deadlineMs = deadlineMs;
    this.head = head;
  }

  async get(key: Buffer, options: TreeReadOptions = {}): Promise<Buffer | null> {
    const deadlineMs = options.deadlineMs ?? this.#deadlineMs;
    const giveUpAtMs = Date.now() + deadlineMs;
    for (;;) {
      const timeout = Math.max(1, giveUpAtMs - Date.now());
      const wait = options.localOnly !== true;
      try {
        const entry = await untilAborted(
          this.#bee.get(key, { timeout, wait }),
          options.signal,
          WHILE_WAITING,
        );
        return entry === null ? null : (entry.value ?? NO_VALUE);
      } catch (error) {
        const known = treeError(error);
        // The engine shares a node's fetch between all who want it, and it fails for all of them when the first one's
        // time is up. Who has time left asks again.
        const mayRetry = wait && known instanceof UnavailableError && Date.now() < giveUpAtMs;
        if (!mayRetry) throw known;
      }
    }
  }

  async *range(from: Buffer, to: Buffer, options: TreeReadOptions = {}): AsyncIterable<TreeRecord> {
    const timeout = options.deadlineMs ?? this.#deadlineMs;
    const wait = options.localOnly !== true;
    const stream = this.#bee.createReadStream({ gte: from, lt: to, timeout, wait });
    const records = stream[Symbol.asyncIterator]();
    let last: Buffer | null = null;
    try {
      for (;;) {
        let next: IteratorResult<BeeEntry>;
        try {
          next = await untilAborted(records.next(), options.signal, WHILE_WAITING);
        } catch (error) {
          throw treeError(error);
        }
        if (next.done === true) return;
        const { key, value } = next.value;
        // Nodes that are sound one by one can still hang together in another way than a tree does.
        if (Buffer.compare(from, key) > 0 || (last !== null && Buffer.compare(last, key) >= 0)) {
          throw new DamagedError('Cannot read the tree: its keys are out of order');
        }
        last = key;
        yield { key, value: value ?? NO_VALUE };
      }
    } finally {
      await records.return?.().catch(() => undefined);
    }
  }
}

export class HyperbeeTree implements Tree {
  readonly #core: Hypercore;
  readonly #deadlineMs: number;
  readonly #listeners: (() => void)[] = [];
  #bee: Hyperbee;
  #view: BeeView;
  #download: { destroy(): void } | null = null;
  #catchingUp = false;
  #closed = false;
  #lastDownloadMs = 0;
  /** As it is stored under {@link WHOLE_HEAD}. */
  #wholeHead: Head = { length: 0, fork: 0 };

  private constructor(options: HyperbeeTreeOptions) {
    this.#core = options.core;
    checkBlocksOf(this.#core);
    this.#deadlineMs = options.deadlineMs;
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
    if (!tree.writable) tree.#follow(wholeHead);
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

  at(head: Head): TreeView {
    return this.#viewAt(head);
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
    // Else the engine reads the newest block for its list of other logs, of which a tree of ours has none.
    this.#bee.context.length = this.#core.length;
    return await this.#flush(batch);
  }

  async #flush(batch: WriteBatch): Promise<Head> {
    const lengthBefore = this.#core.length;
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
      throw treeError(error);
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
      await untilAborted(advanced, options.signal, WHILE_WAITING);
    } finally {
      clearTimeout(timer);
      if (found !== undefined) this.#listeners.splice(this.#listeners.indexOf(found), 1);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#download?.destroy();
    this.#download = null;
    this.#listeners.length = 0;
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
    return checkNodesOf(bee);
  }

  #viewAt(head: Head): BeeView {
    const bee = checkNodesOf(this.#bee.checkout({ length: head.length }));
    return new BeeView(bee, head, this.#deadlineMs);
  }

  #currentView(): BeeView {
    const length = this.#bee.head()?.length ?? 0;
    return new BeeView(this.#bee, { length, fork: this.#core.fork }, this.#deadlineMs);
  }

  /** Takes over what peers announce, and keeps the whole tree local: it is small, and `ls` must work offline. */
  #follow(wholeHead: Head | null): void {
    const core = this.#core;
    if (wholeHead !== null && wholeHead.fork === core.fork && wholeHead.length <= core.length) {
      this.#wholeHead = wholeHead;
      this.#view = this.#viewAt(wholeHead);
    }
    core.on('append', () => this.#catchUp());
    core.on('truncate', () => {
      // The engine's node cache does not notice that blocks were replaced.
      this.#bee.cache.empty();
      this.#show({ length: core.length, fork: core.fork });
    });
    core.on('download', () => {
      this.#lastDownloadMs = performance.now();
      this.#noteWholeHead();
    });
    this.#download = core.download({ start: 0, end: -1 });
    this.#catchUp();
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
      if (shown.length > 0) await this.#arrived(shown.length, length);
      if (this.#closed) return;
      if (fork === this.#core.fork) this.#show({ length, fork });
    }
  }

  /** Waits for the blocks [start, end), unless nothing comes from those who are connected. */
  async #arrived(start: number, end: number): Promise<void> {
    const range = this.#core.download({ start, end });
    let timer: NodeJS.Timeout | undefined;
    const stalled = new Promise<void>((resolve) => {
      const beganMs = performance.now();
      timer = setInterval(() => {
        const quietMs = performance.now() - Math.max(beganMs, this.#lastDownloadMs);
        if (this.#closed || (quietMs > STALL_MS && this.#core.peers.length > 0)) resolve();
      }, STALL_MS / 20);
      timer.unref();
    });
    try {
      await Promise.race([range.done(), stalled]);
    } finally {
      clearInterval(timer);
      range.destroy();
    }
  }

  #show(head: Head): void {
    this.#bee.update();
    this.#view = this.#viewAt(head);
    this.#noteWholeHead();
    for (const listener of [...this.#listeners]) listener();
  }

  #noteWholeHead(): void {
    const { head } = this;
    if (head.length === this.#wholeHead.length && head.fork === this.#wholeHead.fork) return;
    if (this.#closed || head.length === 0 || this.#core.contiguousLength < head.length) return;
    this.#wholeHead = head;
    // Without it the next start waits for peers, at worst.
    this.#core.setUserData(WHOLE_HEAD, encodeWholeHead(head)).catch(() => undefined);
  }
}

/** The newest head of a log that this machine has all blocks of, as far as is known; else the newest one. */
export async function newestHead(core: Hypercore): Promise<Head> {
  const whole = decodeWholeHead(await core.getUserData(WHOLE_HEAD));
  const { length, fork } = core;
  if (core.contiguousLength >= length || whole === null) return { length, fork };
  return whole.fork === fork && whole.length <= length ? whole : { length, fork };
}

function encodeWholeHead({ length, fork }: Head): Buffer {
  const bytes = Buffer.alloc(WHOLE_HEAD_BYTES);
  bytes.writeBigUInt64BE(BigInt(length), 0);
  bytes.writeBigUInt64BE(BigInt(fork), 8);
  return bytes;
}

/** null for none, and for what is none. */
function decodeWholeHead(bytes: Buffer | null): Head | null {
  if (bytes === null || bytes.length !== WHOLE_HEAD_BYTES) return null;
  const length = Number(bytes.readBigUInt64BE(0));
  const fork = Number(bytes.readBigUInt64BE(8));
  return length > 0 && Number.isSafeInteger(length) && Number.isSafeInteger(fork)
    ? { length, fork }
    : null;
}
