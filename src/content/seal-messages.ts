/** What the main thread and the thread that seals tell each other. */

/** Of a hash in a log's Merkle tree. */
export const hashBytes = 32;

export interface SealThreadData {
  key: Uint8Array;
  associatedData: Uint8Array;
}

/** Answered with null, in order. */
export interface SealRequest {
  /** The blocks one behind the other: each the room for its padding, then the plaintext, which is encrypted in place. */
  memory: SharedArrayBuffer;
  /** Where their hashes go, {@link hashBytes} each. */
  hashes: SharedArrayBuffer;
  /** Where each block ends in `memory`. */
  ends: number[];
}
