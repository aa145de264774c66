/** What the messages between hosts, owners and readers are written with. */
import c from 'compact-encoding';
import { DamagedError, FormatVersionError } from '../../errors.js';

/** Position in a buffer, as `compact-encoding` has it. */
export interface MessageState {
  start: number;
  end: number;
  buffer: Buffer;
}

/** The version of every message, and its first byte. */
export const WIRE_VERSION = 1;

/** Runs `write` over `bytesMax` bytes, after the version, and returns what it wrote. */
export function encodeMessage(bytesMax: number, write: (state: MessageState) => void): Buffer {
  const state = { start: 0, end: bytesMax, buffer: Buffer.alloc(bytesMax) };
  writeByte(state, WIRE_VERSION);
  write(state);
  return state.buffer.subarray(0, state.start);
}

/**
 * Runs `read` over a message behind its version. Throws FormatVersionError for a newer one; whatever else is wrong, bytes
 * left over included, becomes DamagedError.
 */
export function decodeMessage<T>(
  what: string,
  bytes: Buffer,
  bytesMax: number,
  read: (state: MessageState) => T,
): T {
  if (bytes.length > bytesMax) {
    throw new DamagedError(`Cannot read ${what}: ${bytes.length} bytes are too many`);
  }
  const state = { start: 0, end: bytes.length, buffer: bytes };
  let value: T;
  try {
    const version = readByte(state, 'version');
    if (version > WIRE_VERSION) {
      throw new FormatVersionError(
        `Cannot read ${what}: it has version ${version}, this program knows ${WIRE_VERSION}; update Shoal`,
      );
    }
    if (version !== WIRE_VERSION) throw new Error(`version ${version} is unknown`);
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

export function writeUint(state: MessageState, value: number): void {
  c.uint.encode(state, value);
}

/** An unsigned number up to `max`. */
export function readUint(state: MessageState, what: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = c.uint.decode(state);
  if (!Number.isSafeInteger(value) || value > max) {
    throw new Error(`${what} ${value} exceeds ${max}`);
  }
  return value;
}

export function writeByte(state: MessageState, value: number): void {
  state.buffer[state.start++] = value;
}

/** A byte of at most `max`. */
export function readByte(state: MessageState, what: string, max = 0xff): number {
  if (state.start >= state.end) throw new Error(`${what} is missing`);
  const value = state.buffer[state.start++] as number;
  if (value > max) throw new Error(`${what} ${value} is unknown`);
  return value;
}

/** Bytes without a length in front. */
export function writeBytes(state: MessageState, bytes: Uint8Array): void {
  state.buffer.set(bytes, state.start);
  state.start += bytes.length;
}

/** A copy of the next `length` bytes. */
export function readBytes(state: MessageState, what: string, length: number): Buffer {
  if (state.end - state.start < length) throw new Error(`${what} is cut short`);
  const bytes = Buffer.from(state.buffer.subarray(state.start, state.start + length));
  state.start += length;
  return bytes;
}

/** Ascending numbers, each as the distance to the one before. */
export function writeAscending(state: MessageState, values: readonly number[]): void {
  writeUint(state, values.length);
  let next = 0;
  for (const value of values) {
    writeUint(state, value - next);
    next = value + 1;
  }
}

/** At most `max` ascending numbers, all below `max`. */
export function readAscending(state: MessageState, what: string, max: number): number[] {
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
