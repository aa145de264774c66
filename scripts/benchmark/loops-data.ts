/** Data for the loops. */
import { createCipheriv } from 'node:crypto';

/**
 * Bytes in which nothing repeats, the same for the same seed. With a seed that was never used, no compression and no
 * deduplication helps.
 */
export function incompressible(length: number, seed = 0): Buffer {
  const piece = 64 << 20;
  const initial = Buffer.alloc(16);
  initial.writeUInt32BE(seed);
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), initial);
  const bytes = Buffer.allocUnsafe(length);
  const zeros = Buffer.alloc(Math.min(piece, length));
  for (let at = 0; at < length; at += piece) {
    cipher.update(zeros.subarray(0, Math.min(piece, length - at))).copy(bytes, at);
  }
  return bytes;
}
