import { createHmac } from 'node:crypto';

/** Bytes of a chunk's hash in references and in the index. */
export const chunkHashBytes = 16;

/**
 * HMAC-SHA-256 of a chunk, cut to 16 bytes. Keyed, so that the hash of a chunk tells nobody whether it is one of a
 * known file's.
 */
export function chunkHash(key: Buffer, data: Buffer): Buffer {
  return createHmac('sha256', key).update(data).digest().subarray(0, chunkHashBytes);
}
