/**
 * Blocks whose wait has just ended in vain. What failed as read-ahead the kernel asks for again at once, a page at a time; and
 * when pages before it could be read, a program is given those, and asks for the rest itself, which begins with read-ahead again.
 * All of these fail at once, so that a program learns of it after one deadline.
 */

/** So soon after the one before comes a request that belongs to it. */
const asked_again_ms = 500;

/** A program that tries again and again is not refused for longer: the block may come by now. */
const refused_ms_max = 2000;

/** Blocks noted. */
const given_up_max = 1024;

interface GivenUpBlock {
  readonly sinceMs: number;
  /** When it was refused last, or given up. */
  lastMs: number;
}

export class GivenUpBlocks {
  readonly #blocks = new Map<number, GivenUpBlock>();
  readonly #nowMs: () => number;

  /** @param nowMs Monotonic. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** A wait for the block has come to its deadline. */
  add(block: number): void {
    if (this.#blocks.size >= given_up_max) this.#blocks.clear();
    const nowMs = this.#nowMs();
    this.#blocks.set(block, { sinceMs: nowMs, lastMs: nowMs });
  }

  /** Whether a request for the block is one that failed already, and comes again. */
  refuses(block: number): boolean {
    const givenUp = this.#blocks.get(block);
    if (givenUp === undefined) return false;
    const nowMs = this.#nowMs();
    if (nowMs - givenUp.lastMs < asked_again_ms && nowMs - givenUp.sinceMs < refused_ms_max) {
      givenUp.lastMs = nowMs;
      return true;
    }
    this.#blocks.delete(block);
    return false;
  }

  /** Something has changed, by which they may come. */
  clear(): void {
    this.#blocks.clear();
  }
}
