/** Whether data is worth the work of compressing it. */
import { limits } from '../limits.js';
import { compress } from './zstd.js';

/** Of longer data a sample is looked at: so many stretches of so many bytes. */
const stretches = 16;
const stretchBytes = 256;

/**
 * How much likelier two bytes of the sample are the same than two random ones. Measured: random, JPEG, PNG and gzip data
 * has 0.97 to 1.05, everything that zstd makes 6 % smaller 1.2 or more, program code and text 6 to 150.
 */
const likenessMin = 1.2;

/** Less is not worth a longer reference and decompressing: a sixteenth. */
const savedShare = 1 / 16;

const counts = new Uint32Array(256);

/** Looks at 4 KiB, which takes about 10 us. Data that repeats itself only far apart is missed. */
export function looksCompressible(pieces: readonly Buffer[]): boolean {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const step = Math.max(stretchBytes, Math.floor(length / stretches));
  counts.fill(0);
  let looked = 0;
  let base = 0;
  let next = 0;
  for (const piece of pieces) {
    while (next < base + piece.length) {
      const from = next - base;
      const end = Math.min(from + stretchBytes, piece.length);
      for (let i = from; i < end; i++) counts[piece[i] as number]!++;
      looked += end - from;
      next += step;
    }
    base += piece.length;
  }
  let pairs = 0;
  for (const count of counts) pairs += count * count;
  return (pairs - looked) * 256 >= likenessMin * looked * looked;
}

/**
 * A small chunk compressed, in memory that is good until the next call; null when it is not worth it. Very small ones
 * are not tried: a frame takes some 15 bytes.
 */
export function compressSmall(pieces: readonly Buffer[], length: number): Buffer | null {
  if (length < limits.compressed_chunk_bytes_min || !looksCompressible(pieces)) return null;
  const frame = compress(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
  return frame.length <= length * (1 - savedShare) ? frame : null;
}
