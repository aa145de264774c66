/** Content of any size that does not repeat or compress, of which any part can be told without the rest. */
import { createCipheriv } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';

const PIECE_BYTES = 1 << 20;

/** The bytes [offset, offset + length) of the content with this seed. `offset` is a multiple of 16. */
export function contentAt(seed: number, offset: number, length: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(seed);
  const counter = Buffer.alloc(16);
  counter.writeBigUInt64BE(BigInt(offset / 16), 8);
  return createCipheriv('aes-128-ctr', key, counter).update(Buffer.alloc(length));
}

/** Writes a file of `length` bytes and brings it to the disk. */
export function writeContent(path: string, seed: number, length: number): void {
  const fd = openSync(path, 'w');
  try {
    for (let at = 0; at < length; at += PIECE_BYTES) {
      writeSync(fd, contentAt(seed, at, Math.min(PIECE_BYTES, length - at)));
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
