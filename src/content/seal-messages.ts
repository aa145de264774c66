/** What the main thread and the thread that seals tell each other. */

/** Of a hash in a log's Merkle tree. */
export const hashBytes = 32;

import type { BlockLayout } from '../log/sectors.js';

export interface SealThreadData {
  layout: BlockLayout;
  key: Uint8Array;
  associatedData: Uint8Array;
}

/** Where a block's plaintext lies, with room for what it takes to compress it, and where it goes when it is sealed. */
export interface SealRoom {
  /** Bytes of the room of the plaintext. */
  bytes: number;
  /** Bytes of the plaintext. */
  plainBytes: number;
  /** Bytes of the room of the sealed block. */
  sealedBytes: number;
  /** Whether all behind the plaintext's header is a chunk to be compressed. */
  compress: boolean;
}

/** Of the sealed blocks, in order. */
export interface SealAnswer {
  /** In bytes. */
  lengths: number[];
  /** CRC-32. */
  checksums: number[];
}

/** Answered with a {@link SealAnswer}. */
export interface SealRequest {
  /** The plaintexts' rooms one behind the other. */
  memory: SharedArrayBuffer;
  /** The same of the sealed blocks. */
  sealed: SharedArrayBuffer;
  /** Where their hashes go, {@link hashBytes} each. */
  hashes: SharedArrayBuffer;
  rooms: SealRoom[];
  /** Number of the first block in its log. */
  first: number;
}
