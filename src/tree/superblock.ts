/** The superblock: what a reader must know before anything else of a drive. */
import { DamagedError, FormatVersionError } from '../errors.js';
import { limits } from '../limits.js';
import type { BlockLayout } from '../log/sectors.js';
import {
  decodeRecord,
  encodeRecord,
  readByte,
  readBytes,
  readUint,
  writeByte,
  writeBytes,
  writeUint,
} from './codec.js';
import { superblockKey } from './keys.js';
import type { TreeReadOptions, TreeView } from './tree.js';

/** Version of everything in the tree and the chunk log, of new drives. Older ones stay what they are until they need it. */
export const FORMAT_VERSION = 3;

/** Needed by a drive with records of collections, protection or usage; older ones get it with the first of these. */
export const RECORDS_FORMAT_VERSION = 2;

/** From this on new blocks of the chunk log are in sectors. */
const SECTORS_FORMAT_VERSION = 3;

/** Inode numbers stay below 2^52 with so many. */
const WRITERS_MAX = 4096;
const KEY_BYTES = 32;
const DRIVE_ID_BYTES = 16;

/** One who writes: a log of tree nodes and a log of chunks. */
export interface WriterLogs {
  /** Public key of the tree's log. */
  treeKey: Buffer;
  /** Public key of the chunk log. */
  contentKey: Buffer;
}

/** Sizes of content-defined chunks in bytes. */
export interface ChunkSizes {
  minBytes: number;
  averageBytes: number;
  maxBytes: number;
}

export interface Superblock {
  formatVersion: number;
  /** 16 random bytes. */
  driveId: Buffer;
  chunker: ChunkSizes;
  /** Chunk references and inode numbers carry an index into this table. */
  writers: WriterLogs[];
}

/** How new blocks of a drive's chunk log are sealed. */
export function blockLayoutOf({ formatVersion }: Superblock): BlockLayout {
  return formatVersion >= SECTORS_FORMAT_VERSION ? 'sectors' : 'whole';
}

export function encodeSuperblock(superblock: Superblock): Buffer {
  return encodeRecord((state) => {
    writeByte(state, superblock.formatVersion);
    writeBytes(state, superblock.driveId);
    writeUint(state, superblock.chunker.minBytes);
    writeUint(state, superblock.chunker.averageBytes);
    writeUint(state, superblock.chunker.maxBytes);
    writeUint(state, superblock.writers.length);
    for (const writer of superblock.writers) {
      writeBytes(state, writer.treeKey);
      writeBytes(state, writer.contentKey);
    }
  });
}

/** Throws FormatVersionError for a newer format, DamagedError for anything else that does not decode. */
export function decodeSuperblock(bytes: Buffer): Superblock {
  const formatVersion = bytes[0] ?? 0;
  if (formatVersion > FORMAT_VERSION) {
    throw new FormatVersionError(
      `Cannot open the drive: it has format ${formatVersion} and this program knows up to ${FORMAT_VERSION}; install a newer Shoal`,
    );
  }
  return decodeRecord('the superblock', bytes, (state) => {
    if (readByte(state, 'version') < 1) throw new Error('version 0');
    const driveId = readBytes(state, 'drive id', DRIVE_ID_BYTES);
    const minBytes = readUint(state, 'chunk minimum', limits.block_bytes_max);
    const averageBytes = readUint(state, 'chunk average', limits.block_bytes_max);
    const maxBytes = readUint(state, 'chunk maximum', limits.block_bytes_max / 2);
    if (!(64 <= minBytes && minBytes < averageBytes && averageBytes < maxBytes)) {
      throw new Error(`chunk sizes ${minBytes}, ${averageBytes}, ${maxBytes} are out of order`);
    }
    const count = readUint(state, 'number of writers', WRITERS_MAX);
    if (count === 0) throw new Error('no writer');
    const writers: WriterLogs[] = [];
    for (let i = 0; i < count; i++) {
      writers.push({
        treeKey: readBytes(state, 'tree key', KEY_BYTES),
        contentKey: readBytes(state, 'content key', KEY_BYTES),
      });
    }
    return { formatVersion, driveId, chunker: { minBytes, averageBytes, maxBytes }, writers };
  });
}

/**
 * Reads the superblock of a tree that has a head.
 * Throws FormatVersionError, DamagedError, UnavailableError.
 */
export async function readSuperblock(
  view: TreeView,
  options: TreeReadOptions,
): Promise<Superblock> {
  const bytes = await view.get(superblockKey, options);
  if (bytes === null) throw new DamagedError('Cannot open the drive: its tree has no superblock');
  return decodeSuperblock(bytes);
}
