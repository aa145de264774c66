/** What the messages between hosts, owners and readers are written with. */
import { DamagedError, FormatVersionError } from '../../errors.js';
import { type CodecState, readByte, readUint, writeByte, writeUint } from '../../tree/codec.js';

export {
  type CodecState as MessageState,
  readByte,
  readBytes,
  readUint,
  writeByte,
  writeUint,
} from '../../tree/codec.js';

/** The version of every message, and its first byte. Version 1 did not tell whom a host does not count on. */
export const WIRE_VERSION = 2;

/** Runs `write` over `bytesMax` bytes, after the version, and returns what it wrote. */
export function encodeMessage(bytesMax: number, write: (state: CodecState) => void): Buffer {
  const state = { start: 0, end: bytesMax, buffer: Buffer.alloc(bytesMax) };
  writeByte(state, WIRE_VERSION);
  write(state);
  return state.buffer.subarray(0, state.start);
}

/**
 * Runs `read` over a message behind its version. Throws FormatVersionError for another one; whatever else is wrong, bytes
 * left over included, becomes DamagedError.
 */
export function decodeMessage<T>(
  what: string,
  bytes: Buffer,
  bytesMax: number,
  read: (state: CodecState) => T,
): T {
  if (bytes.length > bytesMax) {
    throw new DamagedError(`Cannot read ${what}: ${bytes.length} bytes are too many`);
  }
  const state = { start: 0, end: bytes.length, buffer: bytes };
  let value: T;
  try {
    const version = readByte(state, 'version');
    if (version === 0) throw new Error('version 0 is unknown');
    if (version !== WIRE_VERSION) {
      throw new FormatVersionError(
        `Cannot read ${what}: it has version ${version}, this program knows ${WIRE_VERSION}; update Shoal${version < WIRE_VERSION ? ' at the other end' : ''}`,
      );
    }
    value = read(state);
  } catch (error) {
    if (error instanceof FormatVersionError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new DamagedError(`Cannot read ${what}: ${reason}`, { cause: error });
  }
  if (state.start !== state.end) {
    throw new DamagedError(`Cannot read ${what}: ${state.end - state.start} bytes left over`);
  }
  return value;
}

/** Bytes without a length in front. */
export function writeBytes(state: CodecState, bytes: Uint8Array): void {
  state.buffer.set(bytes, state.start);
  state.start += bytes.length;
}

/** Ascending numbers, each as the distance to the one before. */
export function writeAscending(state: CodecState, values: readonly number[]): void {
  writeUint(state, values.length);
  let next = 0;
  for (const value of values) {
    writeUint(state, value - next);
    next = value + 1;
  }
}

/** At most `max` ascending numbers, all below `max`. */
export function readAscending(state: CodecState, what: string, max: number): number[] {
  const count = readUint(state, `number of ${what}`, max);
  const values: number[] = [];
  for (let next = 0; values.length < count; ) {
    const value = next + readUint(state, what, max);
    if (value >= max) throw new Error(`${what} ${value} exceeds ${max - 1}`);
    values.push(value);
    next = value + 1;
  }
  return values;
}
