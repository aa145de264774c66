/** A state of the tree, read with the engine. */
import type Hyperbee from 'hyperbee2';
import type { BeeEntry } from 'hyperbee2';
import { DamagedError, InterruptedError, ShoalError, UnavailableError } from '../errors.js';
import { asShoalError } from '../log/store-errors.js';
import { untilAborted } from '../log/until-aborted.js';
import type { Head, TreeReadOptions, TreeRecord, TreeView } from './tree.js';

/** The engine has null for an empty value. */
const NO_VALUE = Buffer.alloc(0);

export const WHILE_WAITING = ' while waiting for the tree';

/** Errors of the engine that are not the store's come from bytes it could not decode. */
export function treeError(error: unknown, what = 'read the tree'): ShoalError {
  if (error instanceof ShoalError) return error;
  const known = asShoalError(error, what);
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

/** A tree at one head. */
export class BeeView implements TreeView {
  readonly #bee: Hyperbee;
  readonly #deadlineMs: number;
  readonly head: Head;

  /** @param deadlineMs Default deadline of a wait for peers; 0 to ask nobody. */
  constructor(bee: Hyperbee, head: Head, deadlineMs: number) {
    this.#bee = bee;
    this.#deadlineMs = deadlineMs;
    this.head = head;
  }

  async get(key: Buffer, options: TreeReadOptions = {}): Promise<Buffer | null> {
    const entry = await this.#find(key, options);
    return entry === null ? null : (entry.value ?? NO_VALUE);
  }

  async blockOf(key: Buffer, options: TreeReadOptions = {}): Promise<number | null> {
    return (await this.#find(key, options))?.seq ?? null;
  }

  /** The engine's view, for a comparison. */
  get bee(): Hyperbee {
    return this.#bee;
  }

  async #find(key: Buffer, options: TreeReadOptions): Promise<BeeEntry | null> {
    const deadlineMs = options.deadlineMs ?? this.#deadlineMs;
    const giveUpAtMs = Date.now() + deadlineMs;
    const wait = options.localOnly !== true && deadlineMs > 0;
    for (;;) {
      const timeout = Math.max(1, giveUpAtMs - Date.now());
      try {
        return await untilAborted(
          this.#bee.get(key, { timeout, wait }),
          options.signal,
          WHILE_WAITING,
        );
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
    const wait = options.localOnly !== true && timeout > 0;
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
