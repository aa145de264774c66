/** What the main thread and the thread that seals tell each other. */

/** Of a hash in a log's Merkle tree. */
export const hashBytes = 32;

export interface SealThreadData {
  key: Uint8Array;
  associatedData: Uint8Array;
}

/** The room of a block: for its padding, then the plaintext, then what it takes to compress it. It is sealed in place. */
export interface SealRoom {
  /** Bytes of the whole room. */
  bytes: number;
  /** Bytes of the plaintext. */
  plainBytes: number;
  /** Whether all behind the plaintext's header is a chunk to be compressed. */
  compress: boolean;
}

/** Answered with the sealed blocks' lengths in bytes; requests are answered in order. */
export interface SealRequest {
  /** The blocks' rooms one behind the other. */
  memory: SharedArrayBuffer;
  /** Where their hashes go, {@link hashBytes} each. */
  hashes: SharedArrayBuffer;
  rooms: SealRoom[];
}
