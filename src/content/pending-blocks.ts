/** Blocks on their way into the log, whose plaintext is in memory. */
import { copyBytes } from '../log/copy-bytes.js';
import { blockHeaderBytes, blockVersion, packBytesMax } from './block-format.js';
import type { Plaintext } from './block-sealer.js';

/** A pack begins with this much memory and doubles. */
const first_pack_bytes = 4 << 10;

/** Blocks on their way, by what their `used` bytes of plaintext are, header and all. */
export type PendingBlock = PendingPack | PendingChunk;

/** Small chunks, copied into memory of the block's own. */
export interface PendingPack {
  /** Plaintext so far and room for more. */
  data: Buffer;
  used: number;
  /** It may still grow, so it is not appended. */
  open: boolean;
}

/** One chunk, in the memory of who put it. */
export interface PendingChunk {
  /** Plaintext behind the header. */
  pieces: readonly Buffer[];
  used: number;
  open: false;
  compress: boolean;
  /** Tells that the pieces are not needed any more. */
  release: (() => void) | undefined;
}

/** In place of a block that nobody needs any more, but whose number was given away: a byte that nothing refers to. */
export const emptyBlock: PendingChunk = Object.freeze({
  pieces: [Buffer.alloc(1)],
  used: blockHeaderBytes + 1,
  open: false,
  compress: false,
  release: undefined,
});

/** An empty one. */
export function newPack(): PendingPack {
  const data = Buffer.allocUnsafeSlow(first_pack_bytes);
  data[0] = blockVersion;
  return { data, used: blockHeaderBytes, open: true };
}

export function plaintextOf(pending: PendingBlock): Plaintext {
  return {
    bytes: pending.used,
    compress: 'compress' in pending && pending.compress,
    copyTo(target) {
      if ('data' in pending) {
        copyBytes(pending.data.subarray(0, pending.used), target);
        return;
      }
      target[0] = blockVersion;
      let end = blockHeaderBytes;
      for (const piece of pending.pieces) {
        copyBytes(piece, target.subarray(end));
        end += piece.length;
      }
    },
  };
}

/** Makes room for `bytes` in an open pack. What was handed out of the smaller buffer stays as it is. */
export function reserve(pack: PendingPack, bytes: number): void {
  if (bytes <= pack.data.length) return;
  const grown = Buffer.allocUnsafeSlow(
    Math.min(packBytesMax, Math.max(bytes, pack.data.length * 2)),
  );
  pack.data.copy(grown, 0, 0, pack.used);
  pack.data = grown;
}

/** Without the room a pack was given to grow, which would be held as long as the block is cached. */
export function trim(pack: PendingPack): Buffer {
  const data = pack.data.subarray(0, pack.used);
  return data.length * 1.25 < data.buffer.byteLength ? Buffer.from(data) : data;
}

export function copyOfStretch(pieces: readonly Buffer[], offset: number, length: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(length);
  let base = 0;
  let done = 0;
  for (const piece of pieces) {
    const from = Math.max(0, offset - base);
    const to = Math.min(piece.length, offset + length - base);
    if (from < to) done += piece.copy(copy, done, from, to);
    base += piece.length;
  }
  return copy;
}
