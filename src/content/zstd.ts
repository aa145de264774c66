/**
 * Zstandard (RFC 8878): by Node.js where it has it (22.15 and later), else by the system's libzstd. Node.js of that kind
 * has zstd's functions among its own symbols, so a library must not be loaded beside it: the two would call each other.
 */
import { createRequire } from 'node:module';
import zlib from 'node:zlib';
import type koffiPackage from 'koffi';
import { DamagedError, EnvironmentError } from '../errors.js';
import { limits } from '../limits.js';

/** The fastest of zstd's own levels: the next ones take twice as long for 5 % less. */
const level = 1;

/** A frame that asks for a larger window than a chunk is not read. */
const windowLog = Math.log2(limits.block_bytes_max);

const magic = 0xfd2fb528;
/** Window as large as the content, and the content's size in four bytes. */
const rawFrameDescriptor = 0b1010_0000;
const rawFrameHeaderBytes = 9;
const frameBlockBytesMax = 128 << 10;
const frameBlockHeaderBytes = 3;

/** What a frame may take that shrinks nothing, beside its content. */
export const frameBytesMax =
  rawFrameHeaderBytes +
  frameBlockHeaderBytes * Math.ceil(limits.block_bytes_max / frameBlockBytesMax) +
  16;

/** Both throw for what cannot be done. Contexts and memory belong to the thread. */
interface Zstd {
  /** The frame, in memory that is good until the next call. */
  compress(source: Buffer): Buffer;
  /** Into `target`; answers the bytes of the content. Throws when it is larger. */
  decompress(source: Buffer, target: Buffer): number;
}

let found: Zstd | null | undefined;

/** Whether chunks can be compressed here. */
export function hasZstd(): boolean {
  return findZstd() !== null;
}

/** Throws EnvironmentError when chunks can be neither compressed nor decompressed here. */
export function requireZstd(): void {
  if (hasZstd()) return;
  throw new EnvironmentError(
    'Cannot read compressed data: install libzstd (package libzstd1 or zstd-libs), or Node.js 22.15 or later',
  );
}

/**
 * The bytes as one frame, in memory that is good until the next call; at most {@link frameBytesMax} larger than they are.
 * Never fails: without zstd, or where it fails, the frame has them as they are.
 */
export function compress(bytes: Buffer): Buffer {
  const zstd = findZstd();
  if (zstd === null) return rawFrame(bytes);
  try {
    const frame = zstd.compress(bytes);
    return frame.length <= bytes.length + frameBytesMax ? frame : rawFrame(bytes);
  } catch {
    return rawFrame(bytes);
  }
}

/**
 * What a frame holds, which must be exactly `length` bytes: no more than that is ever written, whatever the frame says.
 * Throws DamagedError, EnvironmentError.
 */
export function decompress(frame: Buffer, length: number): Buffer {
  requireZstd();
  const content = Buffer.allocUnsafeSlow(length);
  let bytes: number;
  try {
    bytes = (findZstd() as Zstd).decompress(frame, content);
  } catch (error) {
    throw new DamagedError('Cannot decompress a chunk: its bytes are not what zstd made', {
      cause: error,
    });
  }
  if (bytes !== length) {
    throw new DamagedError(
      `Cannot decompress a chunk: it has ${bytes} bytes in place of ${length}`,
    );
  }
  return content;
}

/** A frame with nothing compressed in it. */
export function rawFrame(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  const header = Buffer.alloc(rawFrameHeaderBytes);
  header.writeUInt32LE(magic, 0);
  header[4] = rawFrameDescriptor;
  header.writeUInt32LE(bytes.length, 5);
  parts.push(header);
  let start = 0;
  do {
    const part = bytes.subarray(start, start + frameBlockBytesMax);
    start += part.length;
    const isLast = start >= bytes.length ? 1 : 0;
    const blockHeader = Buffer.alloc(frameBlockHeaderBytes);
    blockHeader.writeUIntLE(isLast | (part.length << 3), 0, frameBlockHeaderBytes);
    parts.push(blockHeader, part);
  } while (start < bytes.length);
  return Buffer.concat(parts);
}

function findZstd(): Zstd | null {
  if (found === undefined) found = nodeZstd() ?? systemZstd();
  return found;
}

/** The functions of newer versions of Node.js. */
interface ZlibWithZstd {
  zstdCompressSync(bytes: Buffer, options: { params: Record<number, number> }): Buffer;
  zstdDecompressSync(
    bytes: Buffer,
    options: { info: true; maxOutputLength: number; params: Record<number, number> },
  ): { buffer: Buffer; engine: { bytesWritten: number } };
  constants: { ZSTD_c_compressionLevel: number; ZSTD_d_windowLogMax: number };
}

function nodeZstd(): Zstd | null {
  if (!('zstdCompressSync' in zlib)) return null;
  const { zstdCompressSync, zstdDecompressSync, constants } = zlib as unknown as ZlibWithZstd;
  const compressing = { params: { [constants.ZSTD_c_compressionLevel]: level } };
  const decompressing = { [constants.ZSTD_d_windowLogMax]: windowLog };
  return {
    compress: (source) => zstdCompressSync(source, compressing),
    decompress: (source, target) => {
      const options = {
        info: true as const,
        maxOutputLength: target.length,
        params: decompressing,
      };
      const { buffer, engine } = zstdDecompressSync(source, options);
      // It stops at the end of the first frame.
      if (engine.bytesWritten !== source.length) throw new Error('bytes are left over');
      return buffer.copy(target);
    },
  };
}

type Run = (
  context: unknown,
  target: Buffer,
  targetBytes: number,
  source: Buffer,
  sourceBytes: number,
  level?: number,
) => number | bigint;

function systemZstd(): Zstd | null {
  // Only once it is needed: a thread that encrypts is waited for, and may never compress.
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiPackage;
  let library: ReturnType<typeof koffi.load>;
  try {
    library = koffi.load('libzstd.so.1');
  } catch {
    return null;
  }
  const run = 'void *, void *, size_t, const void *, size_t';
  const compressWith = library.func(`size_t ZSTD_compressCCtx(${run}, int)`) as unknown as Run;
  const decompressWith = library.func(`size_t ZSTD_decompressDCtx(${run})`) as unknown as Run;
  // They live as long as the thread.
  const compressor: unknown = library.func('void *ZSTD_createCCtx()')();
  const decompressor: unknown = library.func('void *ZSTD_createDCtx()')();
  let memory = Buffer.alloc(0);
  return {
    compress(source) {
      const bytesMax = source.length + (source.length >>> 8) + 1024;
      if (memory.length < bytesMax) memory = Buffer.allocUnsafeSlow(bytesMax);
      const bytes = compressWith(compressor, memory, bytesMax, source, source.length, level);
      return memory.subarray(0, checkedSize(bytes, bytesMax));
    },
    decompress(source, target) {
      const bytes = decompressWith(decompressor, target, target.length, source, source.length);
      return checkedSize(bytes, target.length);
    },
  };
}

/** zstd's errors are sizes beyond all memory. */
function checkedSize(bytes: number | bigint, bytesMax: number): number {
  if (typeof bytes === 'number' && bytes <= bytesMax) return bytes;
  throw new Error(`zstd answered ${bytes}`);
}
