/** What the main thread and the thread that opens blocks tell each other. */

import type { BlockLayout } from '../log/sectors.js';

export interface OpenThreadData {
  key: Uint8Array;
  associatedData: Uint8Array;
  /** Memory for what the thread reads itself: for one read each, all of one length, and as aligned as direct reads want it. */
  reading: readonly Uint8Array[];
}

/** A block that is decrypted. */
export interface SealedBlock {
  /** Its number in the log. */
  index: number;
  layout: BlockLayout;
  /**
   * Where it begins in the memory, and its bytes: of a block with a `source` those of the plaintext, which go there; else it lies
   * there, sealed, in one piece or its sectors gathered, and is decrypted in place.
   */
  start: number;
  length: number;
  source: BlockSource | null;
}

/** Where a stored block lies: in an open file, which stays open until the answer. */
export interface BlockSource {
  fd: number;
  offset: number;
  /** Of the block as it is stored. */
  length: number;
  /** Its CRC-32. */
  checksum: number;
}

export interface OpenRequest {
  memory: SharedArrayBuffer;
  blocks: SealedBlock[];
}

/** Whether each block was read and was authentic. */
export type OpenReply = boolean[];
