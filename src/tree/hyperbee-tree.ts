/** The tree on Hyperbee2. The only file that knows the engine. */

import Hyperbee from 'hyperbee2';
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

export interface HyperbeeTreeOptions {
  /** A session of the tree's log, encryption set, which the tree closes. */
  core: Hypercore;
  /** Default deadline of reads that wait for peers. */
  deadlineMs: number;
}

/** Ends `promise` with InterruptedError when `signal` aborts; the work below goes on for others that wait for it. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(new InterruptedError('Interrupted while waiting for the tree'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (abort !== undefined) signal.removeEventListener('abort', abort);
    // The loser of the race must not become an unhandled rejection.
    promise.catch(() => undefined);
  }
}

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
    /out of bounds|bad core index|unknown|invalid|incorrect/i.test(error.message)
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
        const entry = await untilAborted(this.#bee.get(key, { timeout, wait }), options.signal);
        return entry === null ? null : entry.value;
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
    try {
      for (;;) {
        let next: IteratorResult<TreeRecord>;
        try {
          next = await untilAborted(records.next(), options.signal);
        } catch (error) {
          throw treeError(error);
        }
        if (next.done === true) return;
        yield { key: next.value.key, value: next.value.value };
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

  private constructor(options: HyperbeeTreeOptions) {
    this.#core = options.core;
    this.#deadlineMs = options.deadlineMs;
    this.#bee = this.#openBee();
    this.#view = this.#currentView();
  }

  /** Opens the tree at the newest head that is known locally. Throws StoreError. */
  static async open(options: HyperbeeTreeOptions): Promise<HyperbeeTree> {
    try {
      await options.core.ready();
    } catch (error) {
      throw asShoalError(error, 'open the tree');
    }
    const tree = new HyperbeeTree(options);
    await tree.#bee.ready();
    tree.#view = tree.#currentView();
    if (!tree.writable) tree.#follow();
    return tree;
  }

  get head(): Head {
    return this.#view.head;
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
    return new BeeView(this.#bee.checkout({ length: head.length }), head, this.#deadlineMs);
  }

  async write(changes: readonly TreeChange[]): Promise<Head> {
    if (!this.writable) throw new ReadOnlyError('Cannot change the drive: it is open for reading');
    const batch = this.#bee.write({ inlineValueSize: INLINE_VALUE_BYTES_MAX });
    try {
      for (const { key, value } of changes) {
        if (value === null) batch.tryDelete(key);
        else batch.tryPut(key, value);
      }
      await batch.flush();
    } catch (error) {
      // A batch changes cached nodes in place before it appends. After a failure they describe what is not in the log:
      // start over from the log.
      await batch.close().catch(() => undefined);
      this.#bee = this.#openBee();
      await this.#bee.ready();
      this.#view = this.#currentView();
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
      await untilAborted(advanced, options.signal);
    } finally {
      clearTimeout(timer);
      if (found !== undefined) this.#listeners.splice(this.#listeners.indexOf(found), 1);
    }
  }

  async close(): Promise<void> {
    this.#download?.destroy();
    this.#download = null;
    this.#listeners.length = 0;
    await this.#core.close();
  }

  #openBee(): Hyperbee {
    return new Hyperbee(noOtherLogs, {
      core: this.#core,
      t: TREE_T,
      maxCacheSize: limits.tree_cache_nodes_max,
      writable: this.#core.writable,
      autoUpdate: false,
    });
  }

  #currentView(): BeeView {
    const length = this.#bee.head()?.length ?? 0;
    return new BeeView(this.#bee, { length, fork: this.#core.fork }, this.#deadlineMs);
  }

  /** Takes over what peers announce, and keeps the whole tree local: it is small, and `ls` must work offline. */
  #follow(): void {
    const advance = () => {
      this.#bee.update();
      this.#view = this.at({ length: this.#core.length, fork: this.#core.fork }) as BeeView;
      for (const listener of [...this.#listeners]) listener();
    };
    this.#core.on('append', advance);
    this.#core.on('truncate', () => {
      // The engine's node cache does not notice that blocks were replaced.
      this.#bee.cache.empty();
      advance();
    });
    this.#download = this.#core.download({ start: 0, end: -1 });
  }
}
