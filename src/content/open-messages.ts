/** What the main thread and the thread that opens blocks tell each other. */

import type { BlockLayout } from '../log/sectors.js';

export interface OpenThreadData {
  key: Uint8Array;
  associatedData: Uint8Array;
}

/** A block that is decrypted where it lies: in one piece, or its sectors gathered. */
export interface SealedBlock {
  /** Where it begins in the memory, and its bytes, sealed. */
  start: number;
  length: number;
  /** Its number in the log. */
  index: number;
  layout: BlockLayout;
}

export interface OpenRequest {
  memory: SharedArrayBuffer;
  blocks: SealedBlock[];
}

/** Whether each block was authentic; requests are answered in order. */
export type OpenReply = boolean[];
