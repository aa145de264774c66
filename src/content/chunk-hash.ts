import { createHmac } from 'node:crypto';

/** Bytes of a chunk's hash in references and in the index. */
export const chunkHashBytes = 16;

/**
 * HMAC-SHA-256 of a chunk, which is handed in as pieces, cut to 16 bytes. Keyed, so that the hash of a chunk tells nobody whether it is one of a
 * known file's.
 */
export function chunkHash(key: Buffer, pieces: readonly Buffer[]): Buffer {
  const hmac = createHmac('sha256', key);
  for (const piece of pieces) hmac.update(piece);
  return hmac.digest().subarray(0, chunkHashBytes);
}
