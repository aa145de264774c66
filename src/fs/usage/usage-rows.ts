/**
 * What directories take, and what they share: counts each chunk once for each directory that refers to it, and finds
 * the lowest directory that holds all that refers to it. Directories are entered and left as a walk from the root does.
 */
import { LimitError } from '../../errors.js';
import { limits } from '../../limits.js';
import type { ChunkLocation } from '../../tree/segment-record.js';
import { ChunkTable } from './chunk-table.js';

/** A directory with all that is below it. */
export interface UsageRow {
  /** Within the drive; "/" for the root. */
  path: string;
  files: number;
  directories: number;
  /** Sum of the sizes of files; one with several names counts with each. */
  logicalBytes: number;
  /** What files refer to, without holes and before deduplication. */
  referencedBytes: number;
  /**
   * Chunks that it refers to, each once, and content in inode records. Small ones that something refers to as one, and something
   * else each for itself, count twice.
   */
  storedBytes: number;
  /** Chunks among them that something outside of it refers to, too. */
  sharedBytes: number;
}

interface OpenRow extends UsageRow {
  parent: number;
  isOpen: boolean;
  /** Chunks seen later than this were seen in it. */
  enteredAt: number;
}

/** The table is full: count a smaller sample. */
export class SampleTooLarge extends Error {}

export class UsageRows {
  readonly #rows: OpenRow[] = [];
  readonly #path: number[] = [];
  readonly #chunks = new ChunkTable();
  readonly #sampleBits: number;
  readonly #chunksMax: number;
  #now = 0;

  /** Counts one of 2^`sampleBits` chunks, picked by their hashes. */
  constructor(sampleBits: number, chunksMax: number = limits.usage_chunks_max) {
    this.#sampleBits = sampleBits;
    this.#chunksMax = chunksMax;
  }

  /** Throws LimitError. */
  enter(path: string): void {
    if (this.#rows.length >= limits.usage_rows_max) {
      throw new LimitError(
        `Cannot list more than ${limits.usage_rows_max} directories; give a lower --depth, or a path`,
      );
    }
    this.#now++;
    this.#path.push(this.#rows.length);
    this.#rows.push({
      path,
      files: 0,
      directories: 0,
      logicalBytes: 0,
      referencedBytes: 0,
      storedBytes: 0,
      sharedBytes: 0,
      parent: this.#path.at(-2) ?? 0,
      isOpen: true,
      enteredAt: this.#now,
    });
  }

  leave(): void {
    this.#now++;
    (this.#rows[this.#path.pop() as number] as OpenRow).isOpen = false;
  }

  addDirectory(): void {
    this.#each((row) => row.directories++);
  }

  addFile(logicalBytes: number, inlineBytes: number): void {
    this.#each((row) => {
      row.files++;
      row.logicalBytes += logicalBytes;
      row.referencedBytes += inlineBytes;
      row.storedBytes += inlineBytes;
    });
  }

  /** A reference to `length` bytes of a chunk. Throws SampleTooLarge. */
  addReference(chunk: ChunkLocation, length: number): void {
    this.#each((row) => {
      row.referencedBytes += length;
    });
    const mask = 2 ** this.#sampleBits - 1;
    if ((chunk.hash.readUInt32LE(0) & mask) !== 0) return;
    const chunks = this.#chunks;
    const slot = chunks.slotOf(chunk.block, chunk.offset, chunk.length);
    if (chunks.size > this.#chunksMax) throw new SampleTooLarge();
    const seenAt = chunks.get(slot, 'seenAt');
    const bytes = chunk.length * (mask + 1);
    this.#each((row) => {
      if (seenAt >= row.enteredAt) return;
      row.storedBytes += bytes;
      row.sharedBytes += bytes;
    });
    chunks.set(slot, 'home', seenAt === 0 ? this.#last : this.#openAbove(chunks.get(slot, 'home')));
    chunks.set(slot, 'seenAt', this.#now);
  }

  /** All directories, each before those below it. To be called once, when all are left. */
  finish(): UsageRow[] {
    const rows = this.#rows;
    for (const slot of this.#chunks.slots()) {
      const bytes = this.#chunks.get(slot, 'length') * 2 ** this.#sampleBits;
      // What has its home in a directory or below it is shared with nobody outside.
      for (let at = this.#chunks.get(slot, 'home'); ; at = (rows[at] as OpenRow).parent) {
        (rows[at] as OpenRow).sharedBytes -= bytes;
        if (at === 0) break;
      }
    }
    return rows.map(({ parent: _, isOpen: __, enteredAt: ___, ...row }) => row);
  }

  get #last(): number {
    return this.#path.at(-1) as number;
  }

  #openAbove(index: number): number {
    let at = index;
    while (!(this.#rows[at] as OpenRow).isOpen) at = (this.#rows[at] as OpenRow).parent;
    return at;
  }

  #each(change: (row: OpenRow) => void): void {
    for (const index of this.#path) change(this.#rows[index] as OpenRow);
  }
}
