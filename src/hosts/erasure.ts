/**
 * Erasure coding: k data shards get m parity shards, and any k of the k + m bring all of them back. Systematic
 * Reed-Solomon code over GF(2^8) with a Cauchy matrix; which one is a stored format (docs/format.md).
 */
import { TooFewShardsError } from '../errors.js';
import { divide, invert, type Matrix, multiply } from './gf256.js';
import { combine } from './gf256-kernel.js';

/** Each shard of a stripe has an element of the field. */
const SHARDS_MAX = 256;
/** Parity shards are numbered from the highest element down, so that a row does not depend on how many data shards there are. */
const FIRST_PARITY = 255;

/** Shards are numbered through: 0 … k − 1 are data, k … k + m − 1 parity. */
export interface ErasureCode {
  /** Data shards, k. */
  readonly data: number;
  /** Parity shards, m. */
  readonly parity: number;
  /**
   * Computes the parity shards.
   *
   * @param data k shards; null stands for zeros, and a shorter one is padded with zeros.
   * @param shardBytes Length of each parity shard, at least that of the longest data shard.
   * Throws RangeError when the number or a length does not fit.
   */
  encode(data: readonly (Uint8Array | null)[], shardBytes: number): Buffer[];
  /**
   * Computes shards from others.
   *
   * @param shards k + m; null where a shard is not known (one that is known to be zeros is an empty buffer). A shorter
   * one is padded with zeros. Which of the known ones are used: data first, then parity, in order.
   * @param shardBytes Length of each parity shard.
   * @param wanted Numbers of the shards to compute; one that is known is copied.
   * @returns The wanted shards in that order, `shardBytes` each: cut a data shard to the length it had.
   * Throws TooFewShardsError when fewer than k are known, RangeError when a number or a length does not fit.
   */
  rebuild(
    shards: readonly (Uint8Array | null)[],
    shardBytes: number,
    wanted: readonly number[],
  ): Buffer[];
}

/** The codes of all schemes that a drive has stripes of, each made once. */
export class ErasureCodes {
  readonly #codes = new Map<string, ErasureCode>();

  /** Throws like {@link createErasureCode}. */
  of({ data, parity }: { data: number; parity: number }): ErasureCode {
    const name = `${data}+${parity}`;
    let code = this.#codes.get(name);
    if (code === undefined) {
      code = createErasureCode(data, parity);
      this.#codes.set(name, code);
    }
    return code;
  }
}

/** Throws RangeError unless k ≥ 1, m ≥ 0 and k + m ≤ 256. */
export function createErasureCode(data: number, parity: number): ErasureCode {
  return new CauchyCode(data, parity);
}

/**
 * Row i, column j: (255 ⊕ j) ÷ ((255 − i) ⊕ j). That is the Cauchy matrix 1 ÷ (x_i ⊕ y_j) with x_i = 255 − i and y_j = j,
 * each column scaled so that the first row is all ones: the first parity shard is the exclusive or of the data shards.
 * Neither scaling nor cutting rows and columns off takes from it that every square part of it can be inverted.
 */
export function parityMatrix(data: number, parity: number): Matrix {
  return Array.from({ length: parity }, (_, i) =>
    Uint8Array.from({ length: data }, (_, j) => divide(FIRST_PARITY ^ j, (FIRST_PARITY - i) ^ j)),
  );
}

class CauchyCode implements ErasureCode {
  readonly #matrix: Matrix;

  constructor(
    readonly data: number,
    readonly parity: number,
  ) {
    const fits = Number.isInteger(data) && Number.isInteger(parity) && data >= 1 && parity >= 0;
    if (!fits || data + parity > SHARDS_MAX) {
      throw new RangeError(
        `Cannot make stripes of ${data} data and ${parity} parity shards: together at most ${SHARDS_MAX}`,
      );
    }
    this.#matrix = parityMatrix(data, parity);
  }

  encode(data: readonly (Uint8Array | null)[], shardBytes: number): Buffer[] {
    this.#check(data, this.data, shardBytes);
    const known = [...data.keys()].filter((j) => data[j] !== null);
    const rows = this.#matrix.map((row) => Uint8Array.from(known, (j) => row[j] as number));
    const sources = known.map((j) => data[j] as Uint8Array);
    return combined(rows, sources, shardBytes);
  }

  rebuild(
    shards: readonly (Uint8Array | null)[],
    shardBytes: number,
    wanted: readonly number[],
  ): Buffer[] {
    const total = this.data + this.parity;
    this.#check(shards, total, shardBytes);
    for (const shard of wanted) {
      if (!Number.isInteger(shard) || shard < 0 || shard >= total) {
        throw new RangeError(`Cannot rebuild shard ${shard} of ${total}`);
      }
    }
    const missing = wanted.filter((shard) => shards[shard] === null);
    const known = [...shards.keys()].filter((shard) => shards[shard] !== null).slice(0, this.data);
    if (missing.length > 0 && known.length < this.data) {
      throw new TooFewShardsError(
        `Cannot rebuild a stripe: ${known.length} of its shards are left, ${this.data} are needed`,
      );
    }
    const sources = known.map((shard) => shards[shard] as Uint8Array);
    const rows = missing.length > 0 ? this.#rebuildRows(known, missing) : [];
    const rebuilt = combined(rows, sources, shardBytes);
    return wanted.map((shard) => {
      const given = shards[shard];
      if (given == null) return rebuilt[missing.indexOf(shard)] as Buffer;
      const copy = Buffer.alloc(shardBytes);
      copy.set(given);
      return copy;
    });
  }

  /** For each wanted shard, what it takes of each of the k known ones. */
  #rebuildRows(known: readonly number[], wanted: readonly number[]): Matrix {
    const lost = Array.from({ length: this.data }, (_, j) => j).filter((j) => !known.includes(j));
    const parities = known.filter((shard) => shard >= this.data);
    // Only the lost data shards are unknown, and there are as many parity shards to tell them.
    const solved = invert(
      parities.map((shard) => Uint8Array.from(lost, (j) => this.#coefficient(shard, j))),
    );
    const lostRows = solved.map((weights) =>
      Uint8Array.from(known, (shard) => {
        if (shard >= this.data) return weights[parities.indexOf(shard)] as number;
        return dot(weights, parities, (parity) => this.#coefficient(parity, shard));
      }),
    );
    return wanted.map((shard) => {
      if (shard < this.data) return lostRows[lost.indexOf(shard)] as Uint8Array;
      return Uint8Array.from(known, (source, column) => {
        let sum = source < this.data ? this.#coefficient(shard, source) : 0;
        for (const [i, j] of lost.entries()) {
          const row = lostRows[i] as Uint8Array;
          sum ^= multiply(this.#coefficient(shard, j), row[column] as number);
        }
        return sum;
      });
    });
  }

  /** Of data shard `j` in parity shard `shard`. */
  #coefficient(shard: number, j: number): number {
    return (this.#matrix[shard - this.data] as Uint8Array)[j] as number;
  }

  #check(shards: readonly (Uint8Array | null)[], count: number, shardBytes: number): void {
    if (shards.length !== count) {
      throw new RangeError(`Cannot use ${shards.length} shards, expected ${count}`);
    }
    if (!Number.isSafeInteger(shardBytes) || shardBytes < 0) {
      throw new RangeError(`Cannot make shards of ${shardBytes} bytes`);
    }
    for (const [i, shard] of shards.entries()) {
      if (shard !== null && shard.length > shardBytes) {
        throw new RangeError(`Cannot use shard ${i}: ${shard.length} bytes, at most ${shardBytes}`);
      }
    }
  }
}

function dot(
  weights: Uint8Array,
  items: readonly number[],
  value: (item: number) => number,
): number {
  let sum = 0;
  for (const [i, item] of items.entries()) sum ^= multiply(weights[i] as number, value(item));
  return sum;
}

function combined(rows: Matrix, sources: readonly Uint8Array[], shardBytes: number): Buffer[] {
  // Every byte is overwritten.
  const outputs = rows.map(() => Buffer.allocUnsafeSlow(shardBytes));
  combine(rows, sources, outputs, shardBytes);
  return outputs;
}
