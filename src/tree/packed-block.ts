/**
 * A block of the tree's log as it is stored, with a note of where its parts begin. Of some fifty keys in a block a look-up
 * needs one; taking apart the whole block costs ten times as much as finding the places. The layout is that of
 * hyperbee2 2, block type 1.
 */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';

/** First byte of a block of the layout that we write. */
const BLOCK_TYPE = 1;

const HAS_PREVIOUS = 1;
const HAS_METADATA = 2;
const HAS_NODES = 4;
const HAS_KEYS = 8;
const HAS_VALUES = 16;
const HAS_COHORTS = 32;

const DELTA_SET = 0;
const DELTA_INSERT = 1;
const DELTA_DELETE = 2;
const DELTA_COHORT = 3;

/** A change of a list, as the engine knows it. Blocks and places are -1 without a pointer. */
export interface Delta {
  type: number;
  index: number;
  seq: number;
  offset: number;
}

/** Where a value lies in its block's bytes; `seq` says in which block when it is not the key's own. */
export interface ValuePlace {
  seq: number;
  /** In the list of that block's values; -1: in the key's own block, from `start` to `end`. */
  offset: number;
  start: number;
  end: number;
}

/** A list of places that changes make, of keys or of children. */
export class PlaceList {
  readonly seqs: number[] = [];
  readonly offsets: number[] = [];

  get length(): number {
    return this.seqs.length;
  }
}

/** Throws DamagedError, as all its methods do, where the bytes are none of the layout. */
export class PackedBlock {
  readonly seq: number;
  readonly bytes: Buffer;
  /** Keys of a node, at most twice as many; 0 for the engine's default. */
  readonly degree: number;
  readonly #nodes: number[];
  readonly #keys: number[];
  readonly #values: number[];
  readonly #cohorts: number[];
  #at = 0;

  constructor(seq: number, bytes: Buffer) {
    this.seq = seq;
    this.bytes = bytes;
    if (bytes.length > limits.tree_block_bytes_max) {
      throw new DamagedError(`Cannot read the tree: block ${seq} has ${bytes.length} bytes`);
    }
    if (bytes[0] !== BLOCK_TYPE) {
      throw new DamagedError(`Cannot read the tree: block ${seq} is of no known type`);
    }
    // Type, checkpoint, and the batch's blocks before and behind.
    for (let i = 0; i < 4; i++) this.#uint();
    const flags = this.#uint();
    if (flags & HAS_PREVIOUS) {
      this.#uint();
      this.#uint();
    }
    if (flags & HAS_METADATA) this.#skip(this.#uint());
    this.#nodes = flags & HAS_NODES ? this.#places(() => this.#skipNode()) : [];
    this.#keys = flags & HAS_KEYS ? this.#places(() => this.#skipKey()) : [];
    this.#values = flags & HAS_VALUES ? this.#places(() => this.#skip(this.#uint())) : [];
    this.#cohorts = flags & HAS_COHORTS ? this.#places(() => this.#skipDeltas()) : [];
    this.degree = this.#at < bytes.length ? this.#uint() : 0;
  }

  /** About what it takes in memory. */
  get memoryBytes(): number {
    const places =
      this.#nodes.length + this.#keys.length + this.#values.length + this.#cohorts.length;
    return this.bytes.length + 8 * places + 400;
  }

  /** Changes that a node's keys, and then its children, are put together from. */
  node(offset: number): { keys: Delta[]; children: Delta[] } {
    this.#goTo(this.#nodes, offset);
    return { keys: this.#deltas(), children: this.#deltas() };
  }

  cohort(offset: number): Delta[] {
    this.#goTo(this.#cohorts, offset);
    return this.#deltas();
  }

  /** Where a key begins in `bytes`. */
  keyStart(offset: number): number {
    this.#goTo(this.#keys, offset);
    this.#uint();
    return this.#at;
  }

  /** Where it ends. */
  keyEnd(offset: number): number {
    this.#goTo(this.#keys, offset);
    const length = this.#uint();
    return this.#at + length;
  }

  /** Where a key's value is. */
  valuePlace(offset: number): ValuePlace {
    this.#goTo(this.#keys, offset);
    this.#skip(this.#uint());
    const flags = this.#byte();
    if (flags & 1) {
      const length = this.#uint();
      return { seq: this.seq, offset: -1, start: this.#at, end: this.#at + length };
    }
    // The engine has nothing for an empty value.
    if (!(flags & 2)) return { seq: this.seq, offset: -1, start: 0, end: 0 };
    const core = flags & 4 ? this.#uint() : 0;
    const seq = flags & 8 ? this.#uint() : 0;
    const place = flags & 16 ? this.#uint() : 0;
    const split = flags & 32 ? this.#uint() : 0;
    // The writer never splits a value over blocks.
    if (split !== 0 || core !== 0) throw this.damaged(offset, 'a value apart');
    if (seq > this.seq) throw this.damaged(offset, 'a value that was written after it');
    return { seq, offset: place, start: 0, end: 0 };
  }

  /** A value that is kept apart from its key; in the block's memory. */
  value(offset: number): Buffer {
    this.#goTo(this.#values, offset);
    const length = this.#uint();
    return this.bytes.subarray(this.#at, this.#at + length);
  }

  damaged(offset: number, what: string): DamagedError {
    return new DamagedError(
      `Cannot read the tree: entry ${offset} of block ${this.seq} has ${what}`,
    );
  }

  #goTo(places: readonly number[], offset: number): void {
    const at = places[offset];
    if (at === undefined) throw this.damaged(offset, 'no place in it');
    this.#at = at;
  }

  #places(skip: () => void): number[] {
    const count = this.#count();
    const places: number[] = new Array(count);
    for (let i = 0; i < count; i++) {
      places[i] = this.#at;
      skip();
    }
    return places;
  }

  /** Each element takes a byte at least. */
  #count(): number {
    const count = this.#uint();
    if (count > this.bytes.length - this.#at) throw this.#short();
    return count;
  }

  #deltas(): Delta[] {
    const count = this.#listLength();
    const deltas: Delta[] = new Array(count);
    for (let i = 0; i < count; i++) {
      const flags = this.#byte();
      const index = flags & 8 ? this.#byte() : 0;
      if (!(flags & 16)) {
        deltas[i] = { type: flags & 7, index, seq: -1, offset: -1 };
        continue;
      }
      if (flags & 32 && this.#uint() !== 0) {
        throw new DamagedError('Cannot read the tree: a node refers to another log');
      }
      const seq = flags & 64 ? this.#uint() : 0;
      const offset = flags & 128 ? this.#uint() : 0;
      deltas[i] = { type: flags & 7, index, seq, offset };
    }
    return deltas;
  }

  /** Lists are put into each other, so that their lengths multiply. */
  #listLength(): number {
    const count = this.#count();
    if (count <= limits.tree_node_entries_max) return count;
    throw new DamagedError(
      `Cannot read the tree: a node in block ${this.seq} has too many entries`,
    );
  }

  #skipNode(): void {
    this.#skipDeltas();
    this.#skipDeltas();
  }

  #skipDeltas(): void {
    for (let left = this.#listLength(); left > 0; left--) {
      const flags = this.#byte();
      if (flags & 8) this.#at++;
      if (!(flags & 16)) continue;
      if (flags & 32) this.#uint();
      if (flags & 64) this.#uint();
      if (flags & 128) this.#uint();
    }
  }

  #skipKey(): void {
    this.#skip(this.#uint());
    const flags = this.#byte();
    if (flags & 1) this.#skip(this.#uint());
    if (!(flags & 2)) return;
    for (let bit = 4; bit <= 32; bit <<= 1) if (flags & bit) this.#uint();
  }

  #skip(bytes: number): void {
    this.#at += bytes;
    if (this.#at > this.bytes.length) throw this.#short();
  }

  #byte(): number {
    const byte = this.bytes[this.#at++];
    if (byte === undefined) throw this.#short();
    return byte;
  }

  /** As `compact-encoding` has it. */
  #uint(): number {
    const first = this.#byte();
    if (first <= 0xfc) return first;
    const { bytes } = this;
    const at = this.#at;
    this.#skip(first === 0xfd ? 2 : first === 0xfe ? 4 : 8);
    if (first === 0xfd) return bytes.readUInt16LE(at);
    if (first === 0xfe) return bytes.readUInt32LE(at);
    const value = bytes.readUInt32LE(at) + 2 ** 32 * bytes.readUInt32LE(at + 4);
    if (Number.isSafeInteger(value)) return value;
    throw new DamagedError(
      `Cannot read the tree: block ${this.seq} has a number that is too large`,
    );
  }

  #short(): DamagedError {
    return new DamagedError(`Cannot read the tree: block ${this.seq} is cut short`);
  }
}

/**
 * Applies changes to a list; `cohortOf` gives those that one stands for, or undefined where they are not at hand, and then
 * this returns false. Throws DamagedError.
 */
export function applyDeltas(
  list: PlaceList,
  deltas: readonly Delta[],
  cohortOf: (delta: Delta) => readonly Delta[] | undefined,
): boolean {
  for (const delta of deltas) {
    if (delta.type !== DELTA_COHORT) {
      apply(list, delta);
      continue;
    }
    if (delta.seq < 0) throw new DamagedError('Cannot read the tree: a bad change');
    const cohort = cohortOf(delta);
    if (cohort === undefined) return false;
    for (const each of cohort) apply(list, each);
  }
  return true;
}

function apply({ seqs, offsets }: PlaceList, { type, index, seq, offset }: Delta): void {
  const { length } = seqs;
  if (type === DELTA_INSERT && index === length) {
    if (length >= limits.tree_node_entries_max) {
      throw new DamagedError('Cannot read the tree: a node has too many entries');
    }
    seqs.push(seq);
    offsets.push(offset);
  } else if (type === DELTA_INSERT && index < length) {
    if (length >= limits.tree_node_entries_max) {
      throw new DamagedError('Cannot read the tree: a node has too many entries');
    }
    seqs.splice(index, 0, seq);
    offsets.splice(index, 0, offset);
  } else if (type === DELTA_DELETE && index < length) {
    seqs.splice(index, 1);
    offsets.splice(index, 1);
  } else if (type === DELTA_SET && index < length) {
    seqs[index] = seq;
    offsets[index] = offset;
  }
}
