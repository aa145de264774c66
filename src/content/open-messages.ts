/** What the main thread and the thread that opens blocks tell each other. */

export interface OpenThreadData {
  key: Uint8Array;
  associatedData: Uint8Array;
}

/** Blocks that are decrypted where they lie, behind their padding. */
export interface OpenRequest {
  memory: SharedArrayBuffer;
  /** Of each block: where it begins in `memory`, and its bytes with the padding. */
  starts: number[];
  lengths: number[];
}

/** Whether each block was authentic; requests are answered in order. */
export type OpenReply = boolean[];
