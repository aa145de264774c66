/** How much written data is taken in: neither memory nor the disk may be asked for more than they have. */
import { setImmediate } from 'node:timers/promises';
import type { ContentStore } from '../content/content-store.js';
import { limits } from '../limits.js';
import type { SpaceGuard } from '../log/space-guard.js';

/** Of what is written, blocks and the log take so much more. */
const STORED_OVERHEAD = 1 / 32;

export interface DataRoomOptions {
  content: ContentStore;
  /** Of the disk of the store. */
  space: Pick<SpaceGuard, 'fits' | 'require'>;
  /** Whether so much is in memory that writers must wait for a commit. */
  isCrowded: () => boolean;
  /** Written data that is in no chunk yet, in bytes. */
  dirtyBytes: () => number;
  /** Rejects at once with what the last commit failed with, when that was a moment ago. */
  commit: () => Promise<void>;
}

export class DataRoom {
  readonly #options: DataRoomOptions;

  constructor(options: DataRoomOptions) {
    this.#options = options;
  }

  /**
   * To be called before `bytes` of data are taken in: undefined when they can be, else a promise that resolves once that is
   * likely. Each commit has to store all that is waiting, so more than the disk has room for would keep deletions from being
   * committed, too. Rejects with NoSpaceError, StoreError.
   */
  take(bytes: number): Promise<void> | undefined {
    const { space, isCrowded } = this.#options;
    const fits = !this.#isOverfull && !isCrowded() && space.fits(this.#bytesWith(bytes));
    return fits ? undefined : this.#make(bytes);
  }

  async #make(bytes: number): Promise<void> {
    const { space, isCrowded, commit } = this.#options;
    if (isCrowded()) await commit();
    while (this.#isOverfull) {
      await this.wait();
      // A commit without anything to do ends at once, but what is being stored needs the event loop.
      await setImmediate();
    }
    // What is on its way to the disk counts twice until the log has it.
    if (!space.fits(this.#bytesWith(bytes))) await commit();
    space.require(this.#bytesWith(bytes));
  }

  /** What the next commit needs, with `bytes` more. */
  #bytesWith(bytes: number): number {
    const { content, dirtyBytes } = this.#options;
    const waiting = dirtyBytes() + content.pendingBytes + bytes;
    return Math.ceil(waiting * (1 + STORED_OVERHEAD)) + limits.commit_spare_bytes;
  }

  /** Twice the limits: taking in more must wait. */
  get #isOverfull(): boolean {
    const { content, dirtyBytes } = this.#options;
    return (
      dirtyBytes() > 2 * limits.dirty_bytes_max ||
      content.pendingBytes > 4 * limits.pending_append_bytes_max
    );
  }

  /**
   * For a writer: undefined when there is room, else a promise that resolves once there is.
   * Rejects with NoSpaceError, StoreError.
   */
  wait(): Promise<void> | undefined {
    const { content, dirtyBytes, isCrowded, commit } = this.#options;
    if (dirtyBytes() > limits.dirty_bytes_max || isCrowded()) return commit();
    if (content.pendingBytes > limits.pending_append_bytes_max) return content.room();
    return undefined;
  }
}
