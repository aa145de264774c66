/**
 * Files that were written together lie next to each other in a log, and are mostly read together: a folder is copied, compared,
 * compiled. Of small ones, read one after the other, each block would be waited for in turn, a round trip to a peer; of larger ones each
 * beginning. So what lies next to those that were read is fetched ahead, the more the more of it is read.
 */

import type { ChunkReference } from './content-store.js';

/** Places of a log at which files are being read at once. */
const runs_max = 8;
/** Files near each other before others are fetched. Of files read here and there a few are near each other, too. */
const files_min = 3;
const first_window_blocks = 4;
/** How far from the one before a file may lie, besides what is fetched ahead: not all are read in the order in which they were written. */
const first_near_blocks = 8;
const near_blocks = 16;

/** Blocks [start, end) of a file that is read in order. */
export interface BlocksRead {
  start: number;
  end: number;
  /** They are the file's first ones. */
  isFirst: boolean;
}

/** Where chunks lie that are read in this order. @param isFirst They are a file's first ones. */
export function blocksRead(
  chunks: readonly Pick<ChunkReference, 'writer' | 'block'>[],
  isFirst: boolean,
): (BlocksRead & { writer: number })[] {
  const reads: (BlocksRead & { writer: number })[] = [];
  for (const { writer, block } of chunks) {
    const last = reads.at(-1);
    const follows = last?.writer === writer && (block === last.end || block === last.end - 1);
    if (last !== undefined && follows) last.end = block + 1;
    else
      reads.push({ writer, start: block, end: block + 1, isFirst: isFirst && reads.length === 0 });
  }
  return reads;
}

/** Files near each other, one read after the other. */
interface Run {
  files: number;
  /** What was read last. */
  start: number;
  end: number;
  /** Blocks to be fetched that are not read yet; 0 until there are files enough. */
  window: number;
  /** Those that were fetched and not read. */
  readonly unread: Set<number>;
}

/** Of one log. */
export class Neighbours {
  readonly #windowMax: number;
  readonly #isHere: (block: number) => boolean;
  /** Least recently used first. */
  readonly #runs: Run[] = [];

  /**
   * @param windowMax Blocks to be fetched that are not read yet, at most.
   * @param isHere Whether a block need not be fetched.
   */
  constructor(windowMax: number, isHere: (block: number) => boolean) {
    this.#windowMax = windowMax;
    this.#isHere = isHere;
  }

  /**
   * To be called for all that is read of a file, in order. Returns the blocks to fetch ahead, the most urgent first; some may have been
   * returned before.
   *
   * @param length Blocks of the log.
   */
  read({ start, end, isFirst }: BlocksRead, length: number): number[] {
    const last = this.#runs.at(-1);
    const run = this.#runAt(start);
    const isBackwards = start < run.start;
    const isSame = start === run.start && end === run.end;
    // The beginnings of files may lie in one place, and their ends in another.
    if (isFirst || run !== last) run.files++;
    run.start = start;
    run.end = end;
    if (run.files < files_min) return [];
    if (run.window === 0) run.window = first_window_blocks;
    else if (isSame) return [];
    this.#account(run);
    return this.#next(run, length, isBackwards);
  }

  /** The run that a block belongs to, or a new one. */
  #runAt(block: number): Run {
    const at = this.#runs.findIndex(({ start, end, window }) => {
      const near = window === 0 ? first_near_blocks : window + near_blocks;
      return start - near <= block && block < end + near;
    });
    const [known] = at < 0 ? [] : this.#runs.splice(at, 1);
    const run = known ?? { files: 0, start: block, end: block, window: 0, unread: new Set() };
    this.#runs.push(run);
    if (this.#runs.length > runs_max) this.#runs.shift();
    return run;
  }

  /** One more for each that was read, one less for each that was fetched in vain. */
  #account(run: Run): void {
    const [first, behind] = [run.start - near_blocks, run.end + this.#windowMax + near_blocks];
    for (const block of run.unread) {
      const isRead = run.start <= block && block < run.end;
      if (!isRead && first <= block && block < behind) continue;
      run.unread.delete(block);
      run.window += isRead ? 1 : -1;
    }
    run.window = Math.min(this.#windowMax, run.window);
    if (run.window > 0) return;
    // Something else lies between these files, or they are read here and there.
    run.window = 0;
    run.files = 0;
  }

  #next(run: Run, length: number, isBackwards: boolean): number[] {
    const { start, end, window, unread } = run;
    const blocks: number[] = [];
    let room = window - unread.size;
    let added = 0;
    const add = (block: number): void => {
      if (this.#isHere(block)) return;
      const isNew = !unread.has(block);
      if (isNew && added >= room) return;
      if (isNew) added++;
      blocks.push(block);
    };
    const isTail = end + window >= length;
    for (let block = end; block < Math.min(length, end + window); block++) add(block);
    // Of a folder whose files are read in another order than they were written in.
    if (isBackwards) room += first_window_blocks;
    const before = isBackwards ? Math.max(0, start - Math.min(window, near_blocks)) : start;
    for (let block = start - 1; block >= before; block--) add(block);
    // One by one would be a request for each.
    const isWorthIt = added * 4 >= window || isBackwards || isTail;
    if (added === 0 || !isWorthIt) return [];
    for (const block of blocks) unread.add(block);
    return blocks;
  }
}
