import { deriveKey } from '../log/derive-key.js';

/** Sizes of content-defined chunks, in bytes; kept in the superblock, since all of a drive's data is cut alike. */
export interface ChunkerParameters {
  /** No chunk but a file's last is smaller. */
  minBytes: number;
  /** Boundaries are rare below this size and frequent above; a power of two. */
  averageBytes: number;
  /** No chunk is larger. */
  maxBytes: number;
}

export const defaultChunkerParameters: ChunkerParameters = {
  minBytes: 16 << 10,
  averageBytes: 64 << 10,
  maxBytes: 256 << 10,
};

const gearContext = 'shoal chunker gear 1';

/** How many bits the hash must be zero in more, before the average size, and fewer after it. */
const normalisation = 2;

/**
 * FastCDC (Xia et al., USENIX ATC 2016) with normalised chunking: a rolling gear hash, h = (h << 1) + gear[byte] in 32
 * bits, begins anew `minBytes` into each chunk; the chunk ends after the byte that makes the hash's uppermost bits
 * zero. These are log2(averageBytes) + 2 bits up to the average size, log2(averageBytes) - 2 bits beyond.
 *
 * The gear table comes from a secret: with a public one, the lengths of a drive's chunks, which whoever stores them
 * sees, would tell which known files are in it.
 */
export class Chunker {
  readonly parameters: ChunkerParameters;
  readonly #gear: Int32Array;
  readonly #maskBelow: number;
  readonly #maskAbove: number;
  /** Carried from the stretch below the average size to the one above. */
  #hash = 0;

  /**
   * @param secret 32 bytes that every writer of the drive has.
   * Throws RangeError for parameters that make no sense; who takes them from a record checks them there.
   */
  constructor(parameters: ChunkerParameters, secret: Buffer) {
    if (!areChunkerParameters(parameters)) {
      const { minBytes, averageBytes, maxBytes } = parameters;
      throw new RangeError(`Cannot cut chunks of ${minBytes}, ${averageBytes}, ${maxBytes} bytes`);
    }
    this.parameters = parameters;
    this.#gear = gearTable(secret);
    const bits = Math.log2(parameters.averageBytes);
    this.#maskBelow = -1 << (32 - (bits + normalisation));
    this.#maskAbove = -1 << (32 - (bits - normalisation));
  }

  /** As `ContentStore.boundaries`. */
  boundaries(pieces: readonly Buffer[], final: boolean): number[] {
    const text = new Pieces(pieces);
    const ends: number[] = [];
    let start = 0;
    while (start < text.length) {
      const end = this.#cut(text, start);
      if (end < 0) {
        if (final) ends.push(text.length);
        break;
      }
      ends.push(end);
      start = end;
    }
    return ends;
  }

  /** Where the chunk that begins at `start` ends; -1 when the text ends first. */
  #cut(text: Pieces, start: number): number {
    const { minBytes, averageBytes, maxBytes } = this.parameters;
    const limit = Math.min(text.length, start + maxBytes);
    const middle = Math.min(limit, start + averageBytes);
    this.#hash = 0;
    const end = this.#scanPieces(text, start + minBytes, middle, this.#maskBelow);
    if (end >= 0) return end;
    const from = Math.max(middle, start + minBytes);
    const late = this.#scanPieces(text, from, limit, this.#maskAbove);
    if (late >= 0) return late;
    return limit === start + maxBytes ? limit : -1;
  }

  /** As `#scan`, over a stretch that may lie in several pieces. */
  #scanPieces(text: Pieces, from: number, to: number, mask: number): number {
    for (let at = from; at < to; ) {
      text.seek(at);
      const { piece, base } = text;
      const stop = Math.min(to, base + piece.length);
      const end = this.#scan(piece, at - base, stop - base, mask);
      if (end >= 0) return base + end;
      at = stop;
    }
    return -1;
  }

  /** The first end of a chunk in (from, to], else -1. Eight bytes a turn: measured twice as fast as one. */
  #scan(data: Buffer, from: number, to: number, mask: number): number {
    const gear = this.#gear;
    let hash = this.#hash;
    let position = from;
    for (; position + 8 <= to; position += 8) {
      hash = ((hash << 1) + gear[data[position + 0]!]!) | 0;
      if ((hash & mask) === 0) return position + 1;
      hash = ((hash << 1) + gear[data[position + 1]!]!) | 0;
      if ((hash & mask) === 0) return position + 2;
      hash = ((hash << 1) + gear[data[position + 2]!]!) | 0;
      if ((hash & mask) === 0) return position + 3;
      hash = ((hash << 1) + gear[data[position + 3]!]!) | 0;
      if ((hash & mask) === 0) return position + 4;
      hash = ((hash << 1) + gear[data[position + 4]!]!) | 0;
      if ((hash & mask) === 0) return position + 5;
      hash = ((hash << 1) + gear[data[position + 5]!]!) | 0;
      if ((hash & mask) === 0) return position + 6;
      hash = ((hash << 1) + gear[data[position + 6]!]!) | 0;
      if ((hash & mask) === 0) return position + 7;
      hash = ((hash << 1) + gear[data[position + 7]!]!) | 0;
      if ((hash & mask) === 0) return position + 8;
    }
    for (; position < to; position++) {
      hash = ((hash << 1) + gear[data[position]!]!) | 0;
      if ((hash & mask) === 0) return position + 1;
    }
    this.#hash = hash;
    return -1;
  }
}

/** A text in pieces, and the piece that is looked at. */
class Pieces {
  readonly length: number;
  piece: Buffer = Buffer.alloc(0);
  /** Where `piece` begins in the text. */
  base = 0;
  readonly #pieces: readonly Buffer[];
  #next = 0;

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = pieces;
    this.length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** Goes on to the piece with byte `at`, which is within the text and not before the present piece. */
  seek(at: number): void {
    while (at >= this.base + this.piece.length) {
      this.base += this.piece.length;
      this.piece = this.#pieces[this.#next++] as Buffer;
    }
  }
}

/** Whether a chunker can work with these, and a block of the log can hold such chunks. */
export function areChunkerParameters(parameters: ChunkerParameters): boolean {
  const { minBytes, averageBytes, maxBytes } = parameters;
  return (
    Number.isInteger(minBytes) &&
    Number.isInteger(Math.log2(averageBytes)) &&
    Number.isInteger(maxBytes) &&
    minBytes >= 64 &&
    minBytes < averageBytes &&
    averageBytes < maxBytes &&
    maxBytes <= 512 << 10
  );
}

/** 256 numbers of 32 bits. */
function gearTable(secret: Buffer): Int32Array {
  const table = new Int32Array(256);
  for (let part = 0; part < 16; part++) {
    const bytes = deriveKey(secret, gearContext, Buffer.of(part), 64);
    for (let i = 0; i < 16; i++) table[part * 16 + i] = bytes.readInt32LE(i * 4);
  }
  return table;
}
