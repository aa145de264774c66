/** Blocks of the tree's log as a malicious owner would write them: nodes that say what one likes. */
import { encodeBlock } from 'hyperbee2/lib/encoding.js';

const INSERT = 1;
const LIST = 3;
const NODE_DEGREE = 8;

/** A node somewhere in the log. */
export interface NodePlace {
  seq: number;
  offset: number;
}

export interface HostileKey {
  key: string | Buffer;
  value?: Buffer;
  /** Where the value is said to be, in place of `value`. */
  valueAt?: NodePlace & { split: number; core?: number };
}

export interface HostileNode {
  keys: HostileKey[];
  children?: (NodePlace & { core?: number })[];
  /** Takes in all entries of the block's list so often. */
  repeatList?: number;
}

/** Block number `seq` with some nodes, the first of which is a root when the block is the last. */
export function hostileBlock(seq: number, nodes: readonly HostileNode[], listLength = 0): Buffer {
  const keys: Parameters<typeof encodeBlock>[0]['keys'] = [];
  const tree = nodes.map((node) => ({
    keys: [
      ...node.keys.map(({ key, value = null, valueAt }, index) => {
        const valuePointer = valueAt === undefined ? null : { core: 0, ...valueAt };
        keys.push({ key: Buffer.from(key), value, valuePointer });
        return { type: INSERT, index, pointer: { core: 0, seq, offset: keys.length - 1 } };
      }),
      ...Array.from({ length: node.repeatList ?? 0 }, () => ({
        type: LIST,
        index: 0,
        pointer: { core: 0, seq, offset: 0 },
      })),
    ],
    children: (node.children ?? []).map((place, index) => ({
      type: INSERT,
      index,
      pointer: { core: 0, ...place },
    })),
  }));
  const entry = { type: INSERT, index: 0, pointer: { core: 0, seq, offset: 0 } };
  return encodeBlock({
    type: 1,
    checkpoint: 0,
    batch: { start: 0, end: 0 },
    previous: null,
    metadata: null,
    tree,
    keys,
    values: null,
    cohorts: listLength === 0 ? null : [Array.from({ length: listLength }, () => entry)],
    t: NODE_DEGREE,
  });
}
