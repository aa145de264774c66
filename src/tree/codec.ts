/** What all record codecs share: a scratch buffer to write into, and a reader that turns every fault into DamagedError. */
import c from 'compact-encoding';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';

/** Position in a buffer, as `compact-encoding` has it. */
export interface CodecState {
  start: number;
  end: number;
  buffer: Buffer;
}

const scratch: Buffer = Buffer.allocUnsafeSlow(2 * limits.record_bytes_max);

/** Runs `write` over the scratch buffer and returns a copy of what it wrote. */
export function encodeRecord(write: (state: CodecState) => void): Buffer {
  const state = { start: 0, end: scratch.length, buffer: scratch };
  write(state);
  if (state.start > limits.record_bytes_max) {
    throw new RangeError(`A record of ${state.start} bytes exceeds ${limits.record_bytes_max}`);
  }
  return Buffer.from(scratch.subarray(0, state.start));
}

/**
 * Runs `read` over a record. Whatever goes wrong in it, left-over bytes included, becomes a DamagedError that names
 * the record.
 */
export function decodeRecord<T>(
  what: string,
  bytes: Buffer,
  read: (state: CodecState) => T,
  bytesMax: number = limits.record_bytes_max,
): T {
  if (bytes.length > bytesMax) {
    throw new DamagedError(`Cannot decode ${what}: ${bytes.length} bytes are too many`);
  }
  const state = { start: 0, end: bytes.length, buffer: bytes };
  let value: T;
  try {
    value = read(state);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DamagedError(`Cannot decode ${what}: ${reason}`, { cause: error });
  }
  if (state.start !== state.end) {
    throw new DamagedError(`Cannot decode ${what}: ${state.end - state.start} bytes left over`);
  }
  return value;
}

/** An unsigned number up to 2^53 - 1. */
export function writeUint(state: CodecState, value: number): void {
  c.uint.encode(state, value);
}

/** Reads an unsigned number and checks it against `max`. */
export function readUint(state: CodecState, what: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = c.uint.decode(state);
  if (!Number.isSafeInteger(value) || value > max)
    throw new Error(`${what} ${value} exceeds ${max}`);
  return value;
}

/** A signed number (zig-zag), for seconds before 1970. */
export function writeInt(state: CodecState, value: number): void {
  c.int.encode(state, value);
}

export function readInt(state: CodecState, what: string): number {
  const value = c.int.decode(state);
  if (!Number.isSafeInteger(value)) throw new Error(`${what} is out of range`);
  return value;
}

export function writeByte(state: CodecState, value: number): void {
  state.buffer[state.start++] = value;
}

/** A byte of at most `max`. */
export function readByte(state: CodecState, what: string, max = 0xff): number {
  if (state.start >= state.end) throw new Error(`${what} is missing`);
  const value = state.buffer[state.start++] as number;
  if (value > max) throw new Error(`${what} ${value} is unknown`);
  return value;
}

/** Bytes without a length in front. */
export function writeBytes(state: CodecState, bytes: Buffer): void {
  bytes.copy(state.buffer, state.start);
  state.start += bytes.length;
}

/** A copy of the next `length` bytes. */
export function readBytes(state: CodecState, what: string, length: number): Buffer {
  if (state.end - state.start < length) throw new Error(`${what} is cut short`);
  const bytes = Buffer.from(state.buffer.subarray(state.start, state.start + length));
  state.start += length;
  return bytes;
}

/** Refuses a version that this program does not know. */
export function readVersion(state: CodecState, newest: number): number {
  const version = readByte(state, 'version');
  if (version < 1 || version > newest) {
    throw new Error(`version ${version} is unknown; this program knows up to ${newest}`);
  }
  return version;
}
