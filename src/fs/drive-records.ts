/**
 * Records of the drive as a whole (snapshots, what is kept) that the next commit is to write, and the format version
 * that the drive has: the commit that first needs a newer one says so in the superblock, so that older programs do not
 * misread what they do not know.
 */
import { superblockKey } from '../tree/keys.js';
import { encodeSuperblock, type Superblock } from '../tree/superblock.js';
import type { TreeChange } from '../tree/tree.js';

export class DriveRecords {
  #superblock: Superblock;
  /** What the next commit must say. */
  #neededVersion: number;
  /** By key in hexadecimal digits. */
  #pending = new Map<string, TreeChange>();
  /** In a commit that runs. */
  #taken = new Map<string, TreeChange>();
  #takenVersion: number;

  constructor(superblock: Superblock) {
    this.#superblock = superblock;
    this.#neededVersion = superblock.formatVersion;
    this.#takenVersion = superblock.formatVersion;
  }

  /** What the drive has, once the commit that is being made is in the tree. */
  get formatVersion(): number {
    return Math.max(this.#neededVersion, this.#superblock.formatVersion);
  }

  get pending(): number {
    return this.#pending.size;
  }

  /**
   * A record that this commit is to write needs so new a format. To be called before the commit takes up these records,
   * at the latest while it seals and encodes what is dirty.
   */
  needFormat(version: number): void {
    this.#neededVersion = Math.max(this.#neededVersion, version);
  }

  /** Goes with the next commit; `value` null removes the record. */
  put(change: TreeChange, formatVersion: number): void {
    this.needFormat(formatVersion);
    this.#pending.set(change.key.toString('hex'), change);
  }

  /** What the commit is to write. To be followed by `settle`. */
  take(): TreeChange[] {
    this.#taken = this.#pending;
    this.#pending = new Map();
    this.#takenVersion = this.#neededVersion;
    const changes = [...this.#taken.values()];
    if (this.#takenVersion > this.#superblock.formatVersion) {
      const superblock = { ...this.#superblock, formatVersion: this.#takenVersion };
      changes.push({ key: superblockKey, value: encodeSuperblock(superblock) });
    }
    return changes;
  }

  /** The tree has what was taken, or nothing of it. */
  settle(succeeded: boolean): void {
    if (succeeded) this.#superblock = { ...this.#superblock, formatVersion: this.#takenVersion };
    // What was put meanwhile is newer.
    else this.#pending = new Map([...this.#taken, ...this.#pending]);
    this.#taken = new Map();
  }
}
