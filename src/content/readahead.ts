import type { Download } from 'hypercore';
import { limits } from '../limits.js';
import { packBytesMax } from './block-format.js';
import type { BlockReader } from './block-reader.js';
import { type BlocksRead, Neighbours } from './neighbours.js';

/**
 * Blocks that are read and decrypted ahead at once, and no more bytes than are read ahead at all, so that the disk and the thread
 * that decrypts are both busy. Measured, cold reads: 720 MB/s with 64, 815 with 128, 780 when there were also more bytes.
 */
const local_concurrency = 128;

/** While enough is on its way, fewer than these more are left for a later announcement. */
const small_range_blocks = 16;

/** A block, and how many of its bytes are wanted. */
export interface WantedBlock {
  readonly block: number;
  readonly length: number;
}

/** A stretch of one log that is being fetched from peers. */
interface FetchedRange {
  reader: BlockReader;
  start: number;
  end: number;
  bytes: number;
  /** They are decrypted as they come. */
  decrypts: boolean;
  download: Download;
}

/**
 * Fetches what will be wanted soon. Blocks on this machine are decrypted into the cache, and so are others as they come: these are asked
 * of peers in ranges, since many single requests are answered several times over. What was announced longest ago gives way when
 * there is too much, so what a seek made pointless soon ends.
 */
export class Readahead {
  readonly #bytesMax: number;
  /** Blocks to decrypt: for each, its reader and the bytes it is taken to have. */
  readonly #wanted = new Map<BlockReader, Map<number, number>>();
  #wantedBytes = 0;
  #loading = 0;
  #loadingBytes = 0;
  /** Least recently announced first. */
  #ranges: FetchedRange[] = [];
  readonly #neighbours = new Map<BlockReader, Neighbours>();
  #closed = false;

  constructor(bytesMax: number = limits.readahead_bytes_max) {
    this.#bytesMax = bytesMax;
  }

  /** As `ContentStore.prefetch`, of chunks of one log. */
  announce(reader: BlockReader, chunks: readonly WantedBlock[]): void {
    this.#announce(reader, chunks, true);
  }

  #announce(reader: BlockReader, chunks: readonly WantedBlock[], decrypts: boolean): void {
    if (this.#closed) return;
    const missing = new Map<number, number>();
    let onTheWay = false;
    let bytes = 0;
    for (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > this.#bytesMax) break;
      if (reader.isAtHand(chunk.block)) continue;
      if (reader.isLocal(chunk.block)) this.#want(reader, chunk);
      else if (reader.rescueAhead(chunk.block)) continue;
      else if (this.#touch(reader, chunk.block)) onTheWay = true;
      else {
        missing.set(chunk.block, (missing.get(chunk.block) ?? 0) + chunk.length);
      }
    }
    this.#load();
    // A window that moves on by a block or two is not worth a range each time.
    const fewMore = onTheWay && missing.size < small_range_blocks;
    if (fewMore && this.#bytesToCome() * 2 > this.#bytesMax) return;
    // Who reads in earnest waits until there is room.
    if (missing.size > 0 && !reader.hasRoom) return;
    this.#download(reader, missing, decrypts);
  }

  /**
   * As `ContentStore.noteRead`, of blocks of one log. Only what peers have is fetched: from this machine's disk it comes as quickly once
   * it is wanted (measured with 16 and 64 blocks ahead). What no peer has may be garbage, and is brought back only for who reads it.
   */
  announceNeighbours(reader: BlockReader, read: BlocksRead): void {
    let neighbours = this.#neighbours.get(reader);
    if (neighbours === undefined) {
      const blocksMax = Math.floor(this.#bytesMax / packBytesMax);
      neighbours = new Neighbours(blocksMax, (block) => reader.needsNoFetch(block));
      this.#neighbours.set(reader, neighbours);
    }
    const wanted = neighbours
      .read(read, reader.core.length)
      .filter((block) => !reader.isNowhere(block))
      .map((block) => ({ block, length: packBytesMax }));
    if (wanted.length > 0) this.#announce(reader, wanted, false);
  }

  /** Whether a block is about to be decrypted, or in a range that is being fetched. */
  holds(reader: BlockReader, block: number): boolean {
    if (this.#wanted.get(reader)?.has(block) === true) return true;
    return this.#ranges.some((range) => covers(range, reader, block));
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    this.#wanted.clear();
    for (const range of this.#ranges) range.download.destroy();
    this.#ranges = [];
  }

  #want(reader: BlockReader, chunk: WantedBlock): void {
    let blocks = this.#wanted.get(reader);
    if (blocks === undefined) {
      blocks = new Map();
      this.#wanted.set(reader, blocks);
    }
    if (blocks.has(chunk.block)) return;
    blocks.set(chunk.block, chunk.length);
    this.#wantedBytes += chunk.length;
    while (this.#wantedBytes > this.#bytesMax && this.#takeWanted() !== undefined);
  }

  #takeWanted(): { reader: BlockReader; block: number; bytes: number } | undefined {
    for (const [reader, blocks] of this.#wanted) {
      for (const [block, bytes] of blocks) {
        blocks.delete(block);
        this.#wantedBytes -= bytes;
        return { reader, block, bytes };
      }
    }
    return undefined;
  }

  #load(): void {
    while (this.#loading < local_concurrency && this.#loadingBytes < this.#bytesMax) {
      const next = this.#takeWanted();
      if (next === undefined) return;
      const { reader, block, bytes } = next;
      if (reader.isAtHand(block)) continue;
      this.#loading++;
      this.#loadingBytes += bytes;
      const done = (): void => {
        this.#loading--;
        this.#loadingBytes -= bytes;
        this.#load();
      };
      // A failure is told to whoever reads the block in earnest: that read tries again.
      reader.preload(block).then(done, done);
    }
  }

  /** Whether the block is on its way; its range counts as announced just now. */
  #touch(reader: BlockReader, block: number): boolean {
    const at = this.#ranges.findIndex((range) => covers(range, reader, block));
    if (at < 0) return false;
    const last = this.#ranges.length - 1;
    if (at !== last) this.#ranges.push(...this.#ranges.splice(at, 1));
    return true;
  }

  #download(reader: BlockReader, missing: Map<number, number>, decrypts: boolean): void {
    if (missing.size === 0) return;
    const blocks = [...missing.keys()].sort((a, b) => a - b);
    let start = 0;
    for (let i = 1; i <= blocks.length; i++) {
      if (i < blocks.length && blocks[i] === blocks[i - 1]! + 1) continue;
      this.#downloadRange(reader, blocks.slice(start, i), missing, decrypts);
      start = i;
    }
    const toComeMax = this.#bytesMax * limits.readaheads_fetched_max;
    while (this.#ranges.length > 1 && this.#bytesToCome() > toComeMax) {
      this.#ranges.shift()?.download.destroy();
    }
  }

  #downloadRange(
    reader: BlockReader,
    blocks: number[],
    sizes: Map<number, number>,
    decrypts: boolean,
  ): void {
    if (decrypts) reader.openAsTheyCome((block) => this.#isStreamed(reader, block));
    const start = blocks[0] as number;
    const end = start + blocks.length;
    const bytes = blocks.reduce((sum, block) => sum + (sizes.get(block) ?? 0), 0);
    const download = reader.download(start, end);
    const range = { reader, start, end, bytes, decrypts, download };
    this.#ranges.push(range);
    const drop = (): void => {
      this.#ranges = this.#ranges.filter((other) => other !== range);
    };
    // It fails when the core closes, and then reads fail too.
    download.done().then(drop, drop);
  }

  /** Whether the block is of a range that somebody who reads in earnest waits for. */
  #isStreamed(reader: BlockReader, block: number): boolean {
    return this.#ranges.some((range) => range.decrypts && covers(range, reader, block));
  }

  #bytesToCome(): number {
    return this.#ranges.reduce((sum, range) => sum + bytesToCome(range), 0);
  }
}

function covers({ reader, start, end }: FetchedRange, of: BlockReader, block: number): boolean {
  return reader === of && start <= block && block < end;
}

/** Of what has not come yet. */
function bytesToCome({ reader, start, end, bytes }: FetchedRange): number {
  let blocks = 0;
  for (let block = start; block < end; block++) if (!reader.isLocal(block)) blocks++;
  return (bytes * blocks) / (end - start);
}
