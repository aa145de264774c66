import type Hypercore from 'hypercore';
import type { HyperbeeTree } from '../tree/hyperbee-tree.js';
import type { WriterKeys } from './key-derivation.js';

/** A drive before anything of it was read. */
export interface MendableDrive {
  tree: HyperbeeTree;
  /** The tree's log. */
  core: Hypercore;
  /** Blocks of the chunk log. */
  contentLength: number;
  writer: WriterKeys;
}
