/** How a log that is followed notes the newest head that is here with all its blocks. */
import type { Head } from './tree.js';

/** Where a log that is followed keeps the newest head that was here with all its blocks. */
export const WHOLE_HEAD = 'shoal/whole-head';
const WHOLE_HEAD_BYTES = 16;

export function encodeWholeHead({ length, fork }: Head): Buffer {
  const bytes = Buffer.alloc(WHOLE_HEAD_BYTES);
  bytes.writeBigUInt64BE(BigInt(length), 0);
  bytes.writeBigUInt64BE(BigInt(fork), 8);
  return bytes;
}

/** null for none, and for what is none. */
export function decodeWholeHead(bytes: Buffer | null): Head | null {
  if (bytes === null || bytes.length !== WHOLE_HEAD_BYTES) return null;
  const length = Number(bytes.readBigUInt64BE(0));
  const fork = Number(bytes.readBigUInt64BE(8));
  return length > 0 && Number.isSafeInteger(length) && Number.isSafeInteger(fork)
    ? { length, fork }
    : null;
}
