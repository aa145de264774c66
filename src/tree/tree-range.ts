/** A walk over records in the order of their keys. */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import type { TreeRecord } from './tree.js';
import type { Waiting } from './tree-blocks.js';
import { childOf, type NodePlace, type TreeNode, type TreeReader } from './tree-reader.js';

/** A node that is being gone over. Even positions are children, odd ones the keys behind them. */
interface Step {
  node: TreeNode;
  at: number;
  /** Children read ahead, the first of which is the one with this number. */
  ahead: TreeNode[];
  aheadFrom: number;
}

export interface RangeOptions {
  reader: TreeReader;
  root: NodePlace;
  /** Records with `from` <= key < `to`. */
  from: Buffer;
  to: Buffer;
  /** Called for each read. */
  waiting: () => Waiting;
}

const END: IteratorResult<TreeRecord> = { done: true, value: undefined };

/** Its records share memory with blocks of the log. Throws DamagedError, UnavailableError, InterruptedError, StoreError. */
export class TreeRange implements AsyncIterableIterator<TreeRecord> {
  readonly #reader: TreeReader;
  readonly #root: NodePlace;
  readonly #from: string;
  readonly #to: string;
  readonly #waiting: () => Waiting;
  readonly #steps: Step[] = [];
  #isOpen = false;
  #isDone = false;
  /** On the way down to the first record. */
  #isDescending = true;
  /** The value of the next key, where it had to be read. */
  #loaded: Buffer | null = null;
  #last: string | null = null;

  constructor({ reader, root, from, to, waiting }: RangeOptions) {
    this.#reader = reader;
    this.#root = root;
    this.#from = from.toString('latin1');
    this.#to = to.toString('latin1');
    this.#waiting = waiting;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<TreeRecord>> {
    if (this.#isDone) return Promise.resolve(END);
    try {
      const found = this.#isOpen ? this.#advance() : null;
      if (found !== null) return Promise.resolve(found);
    } catch (error) {
      this.#isDone = true;
      return Promise.reject(error);
    }
    return this.#load();
  }

  return(): Promise<IteratorResult<TreeRecord>> {
    this.#isDone = true;
    this.#steps.length = 0;
    return Promise.resolve(END);
  }

  /** Reads what the next record needs. */
  async #load(): Promise<IteratorResult<TreeRecord>> {
    try {
      if (!this.#isOpen) {
        const root =
          this.#reader.cached(this.#root) ?? (await this.#reader.load(this.#root, this.#waiting()));
        this.#enter(root);
        this.#isOpen = true;
      }
      for (;;) {
        const found = this.#advance();
        if (found !== null) return found;
        await this.#loadNext();
      }
    } catch (error) {
      this.#isDone = true;
      throw error;
    }
  }

  #enter(node: TreeNode): void {
    let at = 0;
    if (this.#isDescending) {
      const below = node.lowerBound(this.#from);
      const isExact = node.keys[below] === this.#from;
      at = 2 * below + (isExact ? 1 : 0);
      if (isExact || node.isLeaf) this.#isDescending = false;
    }
    this.#steps.push({ node, at, ahead: [], aheadFrom: 0 });
  }

  /** The next record, or the end; null when something has to be read before. */
  #advance(): IteratorResult<TreeRecord> | null {
    for (;;) {
      const step = this.#steps[this.#steps.length - 1];
      if (step === undefined) return this.#end();
      const { node, at } = step;
      const index = at >> 1;
      if (at % 2 === 0) {
        if (!node.isLeaf) {
          const child = this.#childOf(step, index);
          if (child === undefined) return null;
          step.at++;
          this.#enter(child);
        } else step.at++;
        continue;
      }
      const key = node.keys[index];
      if (key === undefined) {
        this.#steps.pop();
        continue;
      }
      if (key >= this.#to) return this.#end();
      const value = this.#loaded ?? this.#reader.value(node, index);
      if (value === undefined) return null;
      this.#loaded = null;
      step.at++;
      return this.#found(key, value);
    }
  }

  #found(key: string, value: Buffer): IteratorResult<TreeRecord> {
    // Nodes that are sound one by one can still hang together in another way than a tree does.
    if (key < this.#from || (this.#last !== null && this.#last >= key)) {
      throw new DamagedError('Cannot read the tree: its keys are out of order');
    }
    this.#last = key;
    return { done: false, value: { key: Buffer.from(key, 'latin1'), value } };
  }

  #end(): IteratorResult<TreeRecord> {
    this.#isDone = true;
    return END;
  }

  #childOf(step: Step, index: number): TreeNode | undefined {
    const ahead = step.ahead[index - step.aheadFrom];
    if (ahead !== undefined) return ahead;
    return this.#reader.cached(childOf(step.node, index, this.#steps.length - 1));
  }

  /** What stopped `#advance`. */
  async #loadNext(): Promise<void> {
    const step = this.#steps[this.#steps.length - 1] as Step;
    const index = step.at >> 1;
    const waiting = this.#waiting();
    if (step.at % 2 === 1) {
      this.#loaded = await this.#reader.loadValue(step.node, index, waiting);
      return;
    }
    const places: NodePlace[] = [];
    const { keys, children } = step.node;
    for (let i = index; i < children.length && places.length < limits.tree_nodes_ahead_max; i++) {
      if (i > index && (keys[i - 1] as string) >= this.#to) break;
      places.push(childOf(step.node, i, this.#steps.length - 1));
    }
    step.ahead = await this.#reader.loadAll(places, waiting);
    step.aheadFrom = index;
  }
}
