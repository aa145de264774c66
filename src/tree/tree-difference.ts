/**
 * Compares two states of one tree. Both walk down side by side; a node that both have is skipped with all below it
 * before it is read, so what is read grows with the number of changes, not with the tree.
 */
import type Hyperbee from 'hyperbee2';
import type { BeeKey, BeeNode, BeeNodePointer } from 'hyperbee2';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import type { RecordDifference } from './tree.js';

const NO_VALUE = Buffer.alloc(0);

/** How reads wait for peers. */
export interface Waiting {
  timeout: number;
  wait: boolean;
}

type Item = { child: BeeNodePointer } | { key: BeeKey } | null;

/** A place in a tree: children and keys in their order. */
class Cursor {
  readonly bee: Hyperbee;
  readonly config: unknown;
  /** From the root down. Even positions of a node are children, odd ones keys. */
  readonly #stack: { node: BeeNode; at: number }[] = [];

  constructor(bee: Hyperbee, waiting: Waiting) {
    this.bee = bee;
    this.config = bee.config.options(waiting);
  }

  root(): Promise<BeeNodePointer | null> {
    return this.bee.bootstrap(this.config);
  }

  async enter(pointer: BeeNodePointer): Promise<void> {
    if (this.#stack.length > limits.tree_depth_max) {
      throw new DamagedError('Cannot read the tree: too many nodes below each other');
    }
    await this.bee.inflate(pointer, this.config);
    // Where nodes are checked.
    const node = this.bee.bump(pointer);
    if (node === null) throw new DamagedError('Cannot read the tree: a node is missing');
    this.#stack.push({ node, at: 0 });
  }

  /** What comes next; null at the end. */
  current(): Item {
    for (;;) {
      const top = this.#stack[this.#stack.length - 1];
      if (top === undefined) return null;
      const { keys, children } = top.node;
      const index = top.at >> 1;
      if (top.at % 2 === 0 && index < children.length) {
        const child = children.get(index);
        if (child !== null) return { child };
      } else if (top.at % 2 === 1 && index < keys.length) {
        const key = keys.get(index);
        if (key !== null) return { key };
      } else if (index >= keys.length) {
        this.#stack.pop();
        continue;
      }
      top.at++;
    }
  }

  skip(): void {
    const top = this.#stack[this.#stack.length - 1];
    if (top !== undefined) top.at++;
  }

  async descend(pointer: BeeNodePointer): Promise<void> {
    this.skip();
    await this.enter(pointer);
  }

  async valueOf(key: BeeKey): Promise<Buffer> {
    return (await this.bee.finalizeKeyPointer(key, this.config)).value ?? NO_VALUE;
  }
}

/** Throws what the engine throws. */
export async function* differences(
  before: Hyperbee,
  after: Hyperbee,
  waiting: Waiting,
): AsyncGenerator<RecordDifference> {
  const a = new Cursor(before, waiting);
  const b = new Cursor(after, waiting);
  const [rootA, rootB] = await Promise.all([a.root(), b.root()]);
  if (rootA !== null && rootB !== null && isSame(rootA, rootB)) return;
  if (rootA !== null) await a.enter(rootA);
  if (rootB !== null) await b.enter(rootB);
  for (;;) {
    const x = a.current();
    const y = b.current();
    if (x === null && y === null) return;
    const childX = x !== null && 'child' in x ? x.child : null;
    const childY = y !== null && 'child' in y ? y.child : null;
    if (childX !== null && childY !== null && isSame(childX, childY)) {
      a.skip();
      b.skip();
    } else if (childX !== null || childY !== null) {
      if (childX !== null) await a.descend(childX);
      if (childY !== null) await b.descend(childY);
    } else yield* compareKeys(a, b, keyOf(x), keyOf(y));
  }
}

function keyOf(item: Item): BeeKey | null {
  return item !== null && 'key' in item ? item.key : null;
}

async function* compareKeys(
  a: Cursor,
  b: Cursor,
  x: BeeKey | null,
  y: BeeKey | null,
): AsyncGenerator<RecordDifference> {
  const order =
    x === null ? 1 : y === null ? -1 : Buffer.compare(x.key ?? NO_VALUE, y.key ?? NO_VALUE);
  if (order <= 0) a.skip();
  if (order >= 0) b.skip();
  const isCommon = order === 0 && x !== null && y !== null;
  if (isCommon && isSame(x, y)) return;
  const key = (order <= 0 ? x : y)?.key ?? NO_VALUE;
  const before = order <= 0 && x !== null ? await a.valueOf(x) : null;
  const found = order >= 0 && y !== null ? await b.valueOf(y) : null;
  // Written again as it was.
  if (before !== null && found !== null && before.equals(found)) return;
  yield { key, before, after: found };
}

/** Whether two pointers lead to the same place of the log. What is being written has none yet. */
function isSame(
  a: { seq: number; offset: number; core: number; changed?: boolean },
  b: { seq: number; offset: number; core: number; changed?: boolean },
): boolean {
  if (a.changed === true || b.changed === true) return false;
  return a.seq === b.seq && a.offset === b.offset && a.core === b.core;
}
