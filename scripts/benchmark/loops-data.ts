/** Data for the loops. */
import { createCipheriv } from 'node:crypto';

/** The same bytes in every run, in which nothing repeats: no compression or deduplication helps. */
export function incompressible(length: number): Buffer {
  const piece = 64 << 20;
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  const bytes = Buffer.allocUnsafe(length);
  const zeros = Buffer.alloc(Math.min(piece, length));
  for (let at = 0; at < length; at += piece) {
    cipher.update(zeros.subarray(0, Math.min(piece, length - at))).copy(bytes, at);
  }
  return bytes;
}
