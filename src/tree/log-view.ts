/** A state of the tree, read from the blocks of its log. */
import type { Head, TreeReadOptions, TreeRecord, TreeView } from './tree.js';
import type { Waiting } from './tree-blocks.js';
import { TreeRange } from './tree-range.js';
import type { FoundRecord, NodePlace, TreeReader } from './tree-reader.js';

/** A tree at one head. */
export class LogView implements TreeView {
  readonly reader: TreeReader;
  readonly head: Head;
  readonly #deadlineMs: number;

  /** @param deadlineMs Default deadline of a wait for peers; 0 to ask nobody. */
  constructor(reader: TreeReader, head: Head, deadlineMs: number) {
    this.reader = reader;
    this.head = head;
    this.#deadlineMs = deadlineMs;
  }

  async get(key: Buffer, options: TreeReadOptions = {}): Promise<Buffer | null> {
    return (await this.#find(key, options))?.value ?? null;
  }

  async blockOf(key: Buffer, options: TreeReadOptions = {}): Promise<number | null> {
    return (await this.#find(key, options))?.seq ?? null;
  }

  range(from: Buffer, to: Buffer, options: TreeReadOptions = {}): AsyncIterable<TreeRecord> {
    const { reader, root } = this;
    if (root === null) return { [Symbol.asyncIterator]: () => NOTHING };
    return {
      [Symbol.asyncIterator]: () =>
        new TreeRange({ reader, root, from, to, waiting: () => this.waiting(options) }),
    };
  }

  /** null for an empty tree. */
  get root(): NodePlace | null {
    return this.head.length === 0 ? null : { seq: this.head.length - 1, offset: 0 };
  }

  /** How a read that begins now waits for peers. */
  waiting({ deadlineMs, localOnly, signal }: TreeReadOptions): Waiting {
    const waitMs = deadlineMs ?? this.#deadlineMs;
    return { wait: localOnly !== true && waitMs > 0, giveUpAtMs: Date.now() + waitMs, signal };
  }

  #find(key: Buffer, options: TreeReadOptions): Promise<FoundRecord | null> {
    const { root } = this;
    if (root === null) return Promise.resolve(null);
    return this.reader.find(root, key, this.waiting(options));
  }
}

const NOTHING: AsyncIterator<TreeRecord> = {
  next: () => Promise.resolve({ done: true, value: undefined }),
};
