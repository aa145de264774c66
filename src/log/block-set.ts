/** Which blocks of a log are meant, a bit for each, and what blocks take. */
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';

const BLOCKS_PER_PAGE = 1 << 20;
const NODES_PER_READ = 1024;

export class BlockSet {
  readonly #pages = new Map<number, Uint8Array>();

  add(block: number): void {
    const number = Math.floor(block / BLOCKS_PER_PAGE);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(BLOCKS_PER_PAGE / 8);
      this.#pages.set(number, page);
    }
    const at = block % BLOCKS_PER_PAGE;
    page[at >>> 3] = (page[at >>> 3] as number) | (1 << (at & 7));
  }

  has(block: number): boolean {
    const page = this.#pages.get(Math.floor(block / BLOCKS_PER_PAGE));
    const at = block % BLOCKS_PER_PAGE;
    return (((page?.[at >>> 3] ?? 0) >>> (at & 7)) & 1) === 1;
  }
}

export interface BlockTotals {
  blocks: number;
  /** As stored, encryption included. */
  bytes: number;
}

/**
 * Blocks of a log that are in the local store, within [0, `length`) and not in `except`. What cannot be read of the
 * hash tree, where sizes are, counts with no bytes.
 */
export async function localBlocksExcept(
  core: Hypercore,
  length: number,
  except: BlockSet,
  signal?: AbortSignal,
): Promise<BlockTotals> {
  const context = core.core as CoreContext;
  const totals = { blocks: 0, bytes: 0 };
  let wanted: number[] = [];
  const look = async (): Promise<void> => {
    const read = context.state.storage.read();
    const nodes = wanted.map((index) => read.getTreeNode(index).catch(() => null));
    read.tryFlush();
    for (const node of await Promise.all(nodes)) totals.bytes += node?.size ?? 0;
    wanted = [];
  };
  for (let block = 0; block < length; block++) {
    if (except.has(block) || !context.bitfield.get(block)) continue;
    totals.blocks++;
    // The leaf of a block in the hash tree.
    wanted.push(2 * block);
    if (wanted.length < NODES_PER_READ) continue;
    signal?.throwIfAborted();
    await look();
  }
  await look();
  return totals;
}
