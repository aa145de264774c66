/**
 * The segment record: the extents of one stretch of a file. What no extent covers is a hole.
 *
 * One record per stretch instead of one per extent: a record costs about 100 bytes of log besides its value, an
 * extent 30, and a stretch of 1 MiB has 16 extents.
 */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import {
  decodeRecord,
  encodeRecord,
  readByte,
  readBytes,
  readUint,
  readVersion,
  writeByte,
  writeBytes,
  writeUint,
} from './codec.js';

/** The second has compressed chunks; it is written only where there are some. */
const SEGMENT_VERSION = 2;
/** A segment that was lost to damage: reading it is an error, not zeros. No version has this number. */
export const LOST_SEGMENT: Buffer = Buffer.of(0xff);
/** Bytes of a chunk's keyed hash that a reference carries. */
export const CHUNK_HASH_BYTES = 16;

const KIND_UNWRITTEN = 0;
const KIND_WHOLE_CHUNK = 1;
const KIND_PART_OF_CHUNK = 2;
const KIND_WHOLE_COMPRESSED = 3;
const KIND_PART_OF_COMPRESSED = 4;

/** Where a chunk lies. The same fields as the content layer's reference, which this layer does not know. */
export interface ChunkLocation {
  writer: number;
  block: number;
  offset: number;
  length: number;
  compressedBytes?: number;
  hash: Buffer;
}

export interface ExtentRecord {
  /** First byte, counted from the start of the segment. */
  start: number;
  length: number;
  /** null: allocated but never written, reads as zeros. */
  chunk: ChunkLocation | null;
  /** First byte of the chunk that belongs to the extent. */
  skip: number;
}

/** `extents` ascend and do not overlap. */
export function encodeSegment(extents: readonly ExtentRecord[]): Buffer {
  return encodeRecord((state) => {
    const isCompressed = extents.some(({ chunk }) => chunk?.compressedBytes !== undefined);
    writeByte(state, isCompressed ? SEGMENT_VERSION : 1);
    writeUint(state, extents.length);
    let end = 0;
    for (const { start, length, chunk, skip } of extents) {
      writeUint(state, start - end);
      end = start + length;
      if (chunk === null) {
        writeByte(state, KIND_UNWRITTEN);
        writeUint(state, length);
        continue;
      }
      const whole = skip === 0 && length === chunk.length;
      writeByte(state, kindOf(whole, chunk.compressedBytes !== undefined));
      writeUint(state, length);
      writeUint(state, chunk.writer);
      writeUint(state, chunk.block);
      writeUint(state, chunk.offset);
      writeBytes(state, chunk.hash);
      if (chunk.compressedBytes !== undefined) writeUint(state, chunk.compressedBytes);
      if (!whole) {
        writeUint(state, chunk.length);
        writeUint(state, skip);
      }
    }
  });
}

function kindOf(whole: boolean, compressed: boolean): number {
  if (compressed) return whole ? KIND_WHOLE_COMPRESSED : KIND_PART_OF_COMPRESSED;
  return whole ? KIND_WHOLE_CHUNK : KIND_PART_OF_CHUNK;
}

/** Throws DamagedError for extents that leave the segment, overlap, or reach outside their chunk. */
export function decodeSegment(ino: number, index: number, bytes: Buffer): ExtentRecord[] {
  if (bytes.equals(LOST_SEGMENT)) {
    throw new DamagedError(`Cannot read segment ${index} of inode ${ino}: it was lost`);
  }
  return decodeRecord(`segment ${index} of inode ${ino}`, bytes, (state) => {
    const version = readVersion(state, SEGMENT_VERSION);
    const lastKind = version === 1 ? KIND_PART_OF_CHUNK : KIND_PART_OF_COMPRESSED;
    const count = readUint(state, 'number of extents', limits.segment_bytes);
    const extents: ExtentRecord[] = [];
    let end = 0;
    for (let i = 0; i < count; i++) {
      const start = end + readUint(state, 'gap', limits.segment_bytes);
      const kind = readByte(state, 'kind');
      const length = readUint(state, 'extent length', limits.segment_bytes);
      end = start + length;
      if (length === 0 || end > limits.segment_bytes)
        throw new Error('an extent leaves the segment');
      if (kind === KIND_UNWRITTEN) {
        extents.push({ start, length, chunk: null, skip: 0 });
        continue;
      }
      if (kind > lastKind) {
        throw new Error(`extent kind ${kind} is unknown`);
      }
      const writer = readUint(state, 'writer', 8191);
      const block = readUint(state, 'block', limits.log_blocks_max);
      const offset = readUint(state, 'offset in block', limits.block_bytes_max);
      const hash = readBytes(state, 'chunk hash', CHUNK_HASH_BYTES);
      const compressed = kind >= KIND_WHOLE_COMPRESSED;
      const compressedBytes = compressed
        ? readUint(state, 'compressed length', limits.block_bytes_max)
        : 0;
      const whole = kind === KIND_WHOLE_CHUNK || kind === KIND_WHOLE_COMPRESSED;
      const chunkLength = whole ? length : readUint(state, 'chunk length', limits.block_bytes_max);
      const skip = whole ? 0 : readUint(state, 'skip', limits.block_bytes_max);
      if (skip + length > chunkLength) throw new Error('an extent leaves its chunk');
      const chunk: ChunkLocation = { writer, block, offset, length: chunkLength, hash };
      if (compressed) chunk.compressedBytes = compressedBytes;
      extents.push({ start, length, chunk, skip });
    }
    return extents;
  });
}
