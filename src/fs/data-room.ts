/** How much written data is taken in: neither memory nor the disk may be asked for more than they have. */
import type { ContentStore } from '../content/content-store.js';
import { limits } from '../limits.js';
import type { SpaceGuard } from '../log/space-guard.js';

/** Of what is written, blocks and the log take so much more. */
const STORED_OVERHEAD = 1 / 32;

export interface DataRoomOptions {
  content: ContentStore;
  /** Of the disk of the store. */
  space: Pick<SpaceGuard, 'require'>;
  /** Whether so much is in memory that writers must wait for a commit. */
  isCrowded: () => boolean;
  /** Written data that is in no chunk yet, in bytes. */
  dirtyBytes: () => number;
  commit: () => Promise<void>;
}

export class DataRoom {
  readonly #options: DataRoomOptions;

  constructor(options: DataRoomOptions) {
    this.#options = options;
  }

  /**
   * To be called before `bytes` of data are taken in. Each commit has to store all that is waiting, so more than the disk has room
   * for would keep deletions from being committed, too. Throws NoSpaceError.
   */
  require(bytes: number): void {
    const { content, space, dirtyBytes } = this.#options;
    const waiting = dirtyBytes() + content.pendingBytes + bytes;
    space.require(Math.ceil(waiting * (1 + STORED_OVERHEAD)));
  }

  /** Twice the limits: taking in more must wait. */
  get isOverfull(): boolean {
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
