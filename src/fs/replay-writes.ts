/** Makes chunks of the written data that the sync journal has, and lets the records of its newest entry refer to them. */
import { blockHeaderBytes, packBytesMax } from '../content/block-format.js';
import { chunkHash } from '../content/chunk-hash.js';
import type { ChunkPut } from '../content/content-store.js';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { inodeKey, segmentKey } from '../tree/keys.js';
import { decodeSegment, encodeSegment } from '../tree/segment-record.js';
import type { TreeChange } from '../tree/tree.js';
import {
  type Extent,
  extentOf,
  insert,
  isMemory,
  MemoryBuffer,
  memoryBytes,
  punch,
  recordOf,
} from './extents.js';
import { segmentOf } from './inode.js';
import type { NotedWrite } from './write-notes.js';

const SEGMENT = limits.segment_bytes;
/** As long as a chunk in a block of its own may be that is no longer than one of small chunks. */
const CHUNK_BYTES_MAX = packBytesMax - blockHeaderBytes;

export interface ReplayedWrites {
  /** Records of the newest entry. */
  changes: readonly TreeChange[];
  /** In the order in which they were written. */
  writes: readonly NotedWrite[];
  /** The record of the commit that is continued; null without one. */
  stored: (key: Buffer) => Promise<Buffer | null>;
  /** Whose log the chunks go to, and the first block of it that is free. */
  writer: number;
  firstBlock: number;
  hashKey: Buffer;
}

/**
 * The records with the data in place, and the chunks to be appended from `firstBlock` on. What was written to files that the
 * newest entry does not have is left out: they were deleted. Throws DamagedError.
 */
export async function replayWrites(options: ReplayedWrites): Promise<{
  changes: TreeChange[];
  puts: ChunkPut[];
}> {
  const changes = new Map(options.changes.map((change) => [change.key.toString('latin1'), change]));
  const segments = new Map<string, { ino: number; index: number; extents: Extent[] }>();
  for (const { ino, offset, data } of options.writes) {
    if (changes.get(inodeKey(ino).toString('latin1'))?.value == null) continue;
    for (let done = 0; done < data.length; ) {
      const index = segmentOf(offset + done);
      const start = offset + done - index * SEGMENT;
      const piece = data.subarray(done, done + SEGMENT - start);
      const key = segmentKey(ino, index);
      const name = key.toString('latin1');
      let segment = segments.get(name);
      if (segment === undefined) {
        const change = changes.get(name);
        const value = change === undefined ? await options.stored(key) : change.value;
        const extents = value === null ? [] : decodeSegment(ino, index, value).map(extentOf);
        segment = { ino, index, extents };
        segments.set(name, segment);
      }
      punch(segment.extents, start, start + piece.length);
      const source = new MemoryBuffer(piece, piece.length);
      insert(segment.extents, { start, length: piece.length, source, skip: 0 });
      done += piece.length;
    }
  }
  const places = new Places(options);
  for (const [name, { ino, index, extents }] of segments) {
    const value = encoded(ino, index, places.chunksOf(extents));
    changes.set(name, { key: segmentKey(ino, index), value });
  }
  return { changes: [...changes.values()], puts: places.puts };
}

/** Throws DamagedError. */
function encoded(ino: number, index: number, extents: readonly Extent[]): Buffer {
  try {
    return encodeSegment(extents.map(recordOf));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const what = `segment ${index} of inode ${ino} is in ${extents.length} pieces`;
    throw new DamagedError(`Cannot use the sync journal: ${what}`);
  }
}

/** Chunks one behind the other, several in a block while they are small. */
class Places {
  readonly puts: ChunkPut[] = [];
  readonly #options: ReplayedWrites;
  #block: number;
  #used: number = blockHeaderBytes;

  constructor(options: ReplayedWrites) {
    this.#options = options;
    this.#block = options.firstBlock;
  }

  /** The same extents, with chunks where there was memory. */
  chunksOf(extents: readonly Extent[]): Extent[] {
    const result: Extent[] = [];
    for (let i = 0; i < extents.length; ) {
      const first = extents[i] as Extent;
      const pieces: Buffer[] = [];
      let end = first.start;
      for (; i < extents.length; i++) {
        const extent = extents[i] as Extent;
        if (!isMemory(extent) || extent.start !== end) break;
        pieces.push(memoryBytes(extent));
        end += extent.length;
      }
      if (pieces.length === 0) {
        result.push(first);
        i++;
        continue;
      }
      const data = Buffer.concat(pieces);
      for (let done = 0; done < data.length; ) {
        const chunk = data.subarray(done, done + CHUNK_BYTES_MAX);
        result.push({
          start: first.start + done,
          length: chunk.length,
          source: this.#put(chunk),
          skip: 0,
        });
        done += chunk.length;
      }
    }
    return result;
  }

  #put(data: Buffer) {
    if (this.#used + data.length > packBytesMax) {
      this.#block++;
      this.#used = blockHeaderBytes;
    }
    const { writer, hashKey } = this.#options;
    const place = { block: this.#block, offset: this.#used };
    this.puts.push({ ...place, compress: false, data });
    this.#used += data.length;
    return { writer, ...place, length: data.length, hash: chunkHash(hashKey, [data]) };
  }
}
