/**
 * Gives the engine the nodes that it changes when it writes. By itself it would take apart each block that it looks at,
 * once for every key in it, and believe what it finds; here nodes are checked, and come from the blocks that reading has
 * in memory. Applies to hyperbee2 2.
 */
import type Hyperbee from 'hyperbee2';
import type { BeeContext, BeeNode, BeeNodePointer } from 'hyperbee2';
import { DeltaCohort, DeltaOp, OP_COHORT } from 'hyperbee2/lib/compression.js';
import { KeyPointer, Pointer, T, TreeNode, ValuePointer } from 'hyperbee2/lib/tree.js';
import { DamagedError } from '../errors.js';
import type { Delta, PackedBlock } from './packed-block.js';
import type { NodePlace, TreeReader, WrittenNode } from './tree-reader.js';

/**
 * Lets a tree and the views that it makes of itself take their nodes from `reader`.
 *
 * @param deadlineMs Of a wait for peers; 0 to ask nobody.
 */
export function takeNodesFrom(reader: TreeReader, deadlineMs: number, bee: Hyperbee): Hyperbee {
  bee.inflate = async (pointer) => {
    if (pointer.value === null) {
      pointer.inflating ??= inflate(reader, deadlineMs, pointer);
      try {
        await pointer.inflating;
      } finally {
        pointer.inflating = null;
      }
    }
    bee.bump(pointer);
    return pointer.value as BeeNode;
  };
  const makeView = bee._makeView.bind(bee);
  bee._makeView = (...parameters) => takeNodesFrom(reader, deadlineMs, makeView(...parameters));
  return bee;
}

async function inflate(
  reader: TreeReader,
  deadlineMs: number,
  pointer: BeeNodePointer,
): Promise<BeeNode> {
  const giveUpAtMs = Date.now() + deadlineMs;
  const { seq, offset, context } = pointer;
  const written = await reader.loadWritten({ seq, offset }, { wait: deadlineMs > 0, giveUpAtMs });
  pointer.value ??= engineNode(written, context);
  return pointer.value;
}

function engineNode({ node, degree, deltas, blockAt }: WrittenNode, context: BeeContext): BeeNode {
  const keyAt = ({ seq, offset }: NodePlace): KeyPointer =>
    new KeyPointer(context, 0, seq, offset, false, null, null, null);
  const childAt = ({ seq, offset }: NodePlace): BeeNodePointer =>
    context.createTreeNode(0, seq, offset, false, null);
  const opOf = <P>({ type, index, seq, offset }: Delta, at: (place: NodePlace) => P) =>
    new DeltaOp(false, type, index, seq < 0 ? null : at({ seq, offset }));
  const listOf = <P>(changes: readonly Delta[], at: (place: NodePlace) => P) =>
    changes.map((delta) => {
      if (delta.type !== OP_COHORT) return opOf(delta, at);
      const { seq, offset } = delta;
      const parts = blockAt(seq).cohort(offset);
      return new DeltaCohort(
        false,
        new Pointer(context, 0, seq, offset, false),
        parts.map((part) => opOf(part, at)),
      );
    });
  const made = new TreeNode<KeyPointer, BeeNodePointer>(
    degree === 0 ? T : degree,
    listOf(deltas.keys, keyAt),
    listOf(deltas.children, childAt),
  );
  // Of those that others took the place of, only where they are counts.
  for (const [i, key] of made.keys.entries.entries()) {
    if (key === null) throw new DamagedError('Cannot read the tree: a key is missing');
    setKey(key, node.blocks?.[i] ?? blockAt(key.seq), context);
  }
  return made;
}

function setKey(key: KeyPointer, block: PackedBlock, context: BeeContext): void {
  const { bytes } = block;
  key.key = bytes.subarray(block.keyStart(key.offset), block.keyEnd(key.offset));
  const { seq, offset, start, end } = block.valuePlace(key.offset);
  if (offset >= 0) key.valuePointer = new ValuePointer(context, 0, seq, offset, 0);
  else key.value = bytes.subarray(start, end);
}
