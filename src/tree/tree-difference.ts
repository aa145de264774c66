/**
 * Compares two states of one tree. Both walk down side by side; a node that both have is skipped with all below it
 * before it is read, so what is read grows with the number of changes, not with the tree.
 */
import type { LogView } from './log-view.js';
import type { RecordDifference, TreeReadOptions } from './tree.js';
import { childOf, type NodePlace, type TreeNode } from './tree-reader.js';

/** A key of a node, or a child. */
type Item = { child: NodePlace } | { key: string; place: NodePlace } | null;

/** A place in a tree: children and keys in their order. */
class Cursor {
  readonly #view: LogView;
  readonly #options: TreeReadOptions;
  /** From the root down. Even positions of a node are children, odd ones keys. */
  readonly #stack: { node: TreeNode; at: number }[] = [];

  constructor(view: LogView, options: TreeReadOptions) {
    this.#view = view;
    this.#options = options;
  }

  async enter(place: NodePlace): Promise<void> {
    const { reader } = this.#view;
    const node = reader.cached(place) ?? (await reader.load(place, this.#waiting()));
    this.#stack.push({ node, at: node.isLeaf ? 1 : 0 });
  }

  /** What comes next; null at the end. */
  current(): Item {
    for (;;) {
      const top = this.#stack[this.#stack.length - 1];
      if (top === undefined) return null;
      const { node } = top;
      const index = top.at >> 1;
      if (top.at % 2 === 0) {
        if (!node.isLeaf) return { child: childOf(node, index, this.#stack.length - 1) };
        top.at++;
        continue;
      }
      const key = node.keys[index];
      if (key === undefined) {
        this.#stack.pop();
        continue;
      }
      const { seqs, offsets } = node.keyPlaces;
      return { key, place: { seq: seqs[index] as number, offset: offsets[index] as number } };
    }
  }

  skip(): void {
    const top = this.#stack[this.#stack.length - 1];
    if (top !== undefined) top.at++;
  }

  async descend(place: NodePlace): Promise<void> {
    this.skip();
    await this.enter(place);
  }

  /** The value of the current key. */
  async value(): Promise<Buffer> {
    const { node, at } = this.#stack[this.#stack.length - 1] as { node: TreeNode; at: number };
    const { reader } = this.#view;
    return reader.value(node, at >> 1) ?? (await reader.loadValue(node, at >> 1, this.#waiting()));
  }

  #waiting() {
    return this.#view.waiting(this.#options);
  }
}

/** Throws like reads of a view. */
export async function* differences(
  before: LogView,
  after: LogView,
  options: TreeReadOptions,
): AsyncGenerator<RecordDifference> {
  const a = new Cursor(before, options);
  const b = new Cursor(after, options);
  const rootA = before.root;
  const rootB = after.root;
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

function keyOf(item: Item): { key: string; place: NodePlace } | null {
  return item !== null && 'key' in item ? item : null;
}

async function* compareKeys(
  a: Cursor,
  b: Cursor,
  x: { key: string; place: NodePlace } | null,
  y: { key: string; place: NodePlace } | null,
): AsyncGenerator<RecordDifference> {
  const hasX = x !== null && (y === null || x.key <= y.key);
  const hasY = y !== null && (x === null || y.key <= x.key);
  const isCommon = hasX && hasY && isSame(x.place, y.place);
  const before = hasX && !isCommon ? await a.value() : null;
  const found = hasY && !isCommon ? await b.value() : null;
  if (hasX) a.skip();
  if (hasY) b.skip();
  if (isCommon) return;
  // Written again as it was.
  if (before !== null && found !== null && before.equals(found)) return;
  const key = Buffer.from((hasX ? x : (y as { key: string })).key, 'latin1');
  yield { key, before, after: found };
}

/** Whether two places of the log are one. */
function isSame(a: NodePlace, b: NodePlace): boolean {
  return a.seq === b.seq && a.offset === b.offset;
}
