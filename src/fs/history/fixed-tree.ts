/** A tree that stays as it was at one head, for reading. */
import { ReadOnlyError } from '../../errors.js';
import type { Head, Tree } from '../../tree/tree.js';

export function fixedTree(tree: Tree, head: Head): Tree {
  const view = tree.at(head);
  return {
    head,
    writable: false,
    get: (key, options) => view.get(key, options),
    blockOf: (key, options) => view.blockOf(key, options),
    differences: (from, to, options) => tree.differences(from, to, options),
    range: (from, to, options) => view.range(from, to, options),
    at: (older) => tree.at(older),
    write: () => Promise.reject(new ReadOnlyError('Cannot change the past')),
    onAdvance: () => undefined,
    close: () => Promise.resolve(),
  };
}
