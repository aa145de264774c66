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
/** So many at most, where it was in vain before. */
const files_again_max = 48;
const first_window_blocks = 4;
/** Where others are being read within what may be fetched for them. */
const nearby_window_blocks = 16;
/** How far from the one before a file may lie, besides what is fetched ahead: not all are read in the order in which they were written. */
const first_near_blocks = 8;
const near_blocks = 16;

/** Blocks [start, end) that are read of a file. */
export interface BlocksRead {
  /** Its number. */
  file: number;
  start: number;
  end: number;
}

/** Where chunks of a file lie that are read in this order, by the log's writer; the first places only, where they are many. */
export function blocksRead(
  chunks: readonly Pick<ChunkReference, 'writer' | 'block'>[],
  file: number,
): (BlocksRead & { writer: number })[] {
  const reads: (BlocksRead & { writer: number })[] = [];
  for (const { writer, block } of chunks) {
    const last = reads.at(-1);
    const follows = last?.writer === writer && (block === last.end || block === last.end - 1);
    if (last !== undefined && follows) last.end = block + 1;
    else if (reads.length === runs_max / 2) break;
    else reads.push({ writer, file, start: block, end: block + 1 });
  }
  return reads;
}

/** Files near each other, one read after the other. */
interface Run {
  /** Those that were read, until they are enough. */
  readonly files: Set<number>;
  filesMin: number;
  /** What was read last. */
  start: number;
  end: number;
  /** Blocks to be fetched that are not read yet; 0 until there are files enough. */
  window: number;
  /** Those that were to be fetched and are not read. */
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
    this.#windowMax = Math.max(nearby_window_blocks, windowMax);
    this.#isHere = isHere;
  }

  /**
   * To be called when blocks are read. Returns those to fetch ahead, what lies behind before what lies in front; some may have been
   * returned before.
   *
   * @param length Blocks of the log.
   */
  read({ file, start, end }: BlocksRead, length: number): number[] {
    const run = this.#runAt(start);
    const isBackwards = start < run.start;
    const isSame = start === run.start && end === run.end;
    run.start = start;
    run.end = end;
    if (run.window > 0) {
      if (isSame) return [];
      this.#account(run);
    } else {
      run.files.add(file);
      if (run.files.size < run.filesMin) return [];
      run.files.clear();
      run.window = first_window_blocks;
    }
    return run.window > 0 ? this.#next(run, length, isBackwards) : [];
  }

  /** The run that a block belongs to: the nearest one, or else the one that it was fetched for; or a new one. */
  #runAt(block: number): Run {
    let found: Run | undefined;
    for (const run of this.#runs) {
      const near = run.window === 0 ? first_near_blocks : near_blocks;
      const distance = distanceTo(run, block);
      if (distance > near && !run.unread.has(block)) continue;
      if (found === undefined || distance < distanceTo(found, block)) found = run;
    }
    if (found !== undefined) this.#runs.splice(this.#runs.indexOf(found), 1);
    const run = found ?? newRun(block, this.#isNearby(block) ? nearby_window_blocks : 0);
    this.#runs.push(run);
    if (this.#runs.length > runs_max) this.#runs.shift();
    return run;
  }

  /** Whether files are read around a block: those of a large folder, most likely, in another order than they were written in. */
  #isNearby(block: number): boolean {
    return this.#runs.some((run) => run.window > 0 && distanceTo(run, block) <= this.#windowMax);
  }

  /** One more for each that was read, one less for each that was fetched in vain. */
  #account(run: Run): void {
    for (const block of run.unread) {
      const isRead = run.start <= block && block < run.end;
      if (!isRead && distanceTo(run, block) <= this.#windowMax + near_blocks) continue;
      run.unread.delete(block);
      run.window += isRead ? 1 : -1;
    }
    run.window = Math.min(this.#windowMax, run.window);
    if (run.window > 0) return;
    // Something else lies between these files, or they are read here and there.
    run.window = 0;
    run.filesMin = Math.min(files_again_max, run.filesMin * 2);
  }

  #next(run: Run, length: number, isBackwards: boolean): number[] {
    const { start, end, window, unread } = run;
    const blocks: number[] = [];
    const room = window - unread.size;
    let added = 0;
    const add = (block: number): void => {
      if (this.#isHere(block)) return;
      if (!unread.has(block)) {
        if (added >= room) return;
        added++;
      }
      blocks.push(block);
    };
    for (let block = end; block < Math.min(length, end + window); block++) add(block);
    // Of a folder whose files are read in another order than they were written in some lie in front.
    const inFront = Math.min(window, near_blocks);
    const before = isBackwards ? Math.max(0, start - inFront) : start;
    for (let block = start - 1; block >= before; block--) add(block);
    // One by one would be a request for each. Where this one is waited for, what was to be fetched may never have been asked for.
    const isTail = end + window >= length;
    const isEnough = added * 4 >= (isBackwards ? inFront : window) || isTail;
    if ((added === 0 || !isEnough) && !this.#isWaiting(run)) return [];
    for (const block of blocks) unread.add(block);
    return blocks;
  }

  #isWaiting({ start, end }: Run): boolean {
    for (let block = start; block < end; block++) if (!this.#isHere(block)) return true;
    return false;
  }
}

function distanceTo({ start, end }: Run, block: number): number {
  if (block < start) return start - block;
  return Math.max(0, block - end + 1);
}

function newRun(block: number, window: number): Run {
  return {
    files: new Set(),
    filesMin: files_min,
    start: block,
    end: block,
    window,
    unread: new Set(),
  };
}
