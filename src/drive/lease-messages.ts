/** Messages of the protocol "shoal/writer", by which the copies of a drive agree on the one that may write. */
import cenc from 'compact-encoding';
import { DamagedError } from '../errors.js';
import { sodium } from '../log/sodium.js';

/** Lengths of the drive's logs when the lease was given: the receiver needs all of it before it appends. */
export interface LogLengths {
  treeFork: number;
  treeLength: number;
  contentFork: number;
  contentLength: number;
}

export type LeaseMessage =
  /** The sender has the lease, of this generation, and appends now. */
  | { type: 'writing'; storeId: Buffer; generation: number }
  /** The sender wants the lease. */
  | { type: 'request'; storeId: Buffer }
  /** The lease is the asker's from now on. */
  | { type: 'granted'; to: Buffer; generation: number; lengths: LogLengths }
  /** The sender does not have the lease. */
  | { type: 'not-mine' };

export const STORE_ID_BYTES = 16;
const VERSION = 1;
const MAC_BYTES = 32;
const MESSAGE_BYTES_MAX = 256;
const CODES = { writing: 0, request: 1, granted: 2, 'not-mine': 3 } as const;

/** What both ends of a connection know, and nobody else can use: a message cannot be replayed elsewhere. */
export interface LeaseChannelSecrets {
  leaseKey: Buffer;
  handshakeHash: Buffer;
  /** Whether the sender opened the connection: a message cannot be sent back to its sender. */
  senderIsInitiator: boolean;
}

/** Layout: version, type, fields, MAC (keyed BLAKE2b, 32 bytes). */
export function encodeLeaseMessage(message: LeaseMessage, secrets: LeaseChannelSecrets): Buffer {
  const state = { start: 0, end: 0, buffer: Buffer.alloc(MESSAGE_BYTES_MAX) };
  cenc.uint.encode(state, VERSION);
  cenc.uint.encode(state, CODES[message.type]);
  if (message.type === 'writing' || message.type === 'request') {
    message.storeId.copy(state.buffer, state.start);
    state.start += STORE_ID_BYTES;
    if (message.type === 'writing') cenc.uint.encode(state, message.generation);
  } else if (message.type === 'granted') {
    message.to.copy(state.buffer, state.start);
    state.start += STORE_ID_BYTES;
    const { generation, lengths } = message;
    cenc.uint.encode(state, generation);
    cenc.uint.encode(state, lengths.treeFork);
    cenc.uint.encode(state, lengths.treeLength);
    cenc.uint.encode(state, lengths.contentFork);
    cenc.uint.encode(state, lengths.contentLength);
  }
  const payload = state.buffer.subarray(0, state.start);
  return Buffer.concat([payload, macOf(payload, secrets)]);
}

/** Throws DamagedError for a message that no writer of this drive can have sent, and for a newer version. */
export function decodeLeaseMessage(bytes: Buffer, secrets: LeaseChannelSecrets): LeaseMessage {
  const payload = bytes.subarray(0, Math.max(0, bytes.length - MAC_BYTES));
  const mac = bytes.subarray(payload.length);
  if (
    bytes.length > MESSAGE_BYTES_MAX ||
    mac.length !== MAC_BYTES ||
    !sodium.sodium_memcmp(mac, macOf(payload, secrets))
  ) {
    throw new DamagedError('Cannot read a writer message: it is not authentic');
  }
  try {
    return decodePayload(payload);
  } catch (error) {
    if (error instanceof DamagedError) throw error;
    throw new DamagedError('Cannot read a writer message: it does not decode', { cause: error });
  }
}

function decodePayload(payload: Buffer): LeaseMessage {
  const state = { start: 0, end: payload.length, buffer: payload };
  const version = cenc.uint.decode(state);
  if (version !== VERSION) {
    throw new DamagedError(`Cannot read a writer message: version ${version} is unknown`);
  }
  const code = cenc.uint.decode(state);
  switch (code) {
    case CODES.writing: {
      const storeId = decodeStoreId(state);
      // The first programs did not say it.
      const generation = state.start < state.end ? decodeNumber(state) : 0;
      return { type: 'writing', storeId, generation };
    }
    case CODES.request:
      return { type: 'request', storeId: decodeStoreId(state) };
    case CODES.granted:
      return {
        type: 'granted',
        to: decodeStoreId(state),
        generation: decodeNumber(state),
        lengths: decodeLengths(state),
      };
    case CODES['not-mine']:
      return { type: 'not-mine' };
    default:
      throw new DamagedError(`Cannot read a writer message: type ${code} is unknown`);
  }
}

interface DecodeState {
  start: number;
  end: number;
  buffer: Buffer;
}

function decodeStoreId(state: DecodeState): Buffer {
  const id = Buffer.from(state.buffer.subarray(state.start, state.start + STORE_ID_BYTES));
  if (id.length !== STORE_ID_BYTES || state.start + STORE_ID_BYTES > state.end) {
    throw new DamagedError('Cannot read a writer message: it is too short');
  }
  state.start += STORE_ID_BYTES;
  return id;
}

function decodeNumber(state: DecodeState): number {
  const value = cenc.uint.decode(state);
  if (!Number.isSafeInteger(value)) {
    throw new DamagedError('Cannot read a writer message: a number is too large');
  }
  return value;
}

function decodeLengths(state: DecodeState): LogLengths {
  return {
    treeFork: decodeNumber(state),
    treeLength: decodeNumber(state),
    contentFork: decodeNumber(state),
    contentLength: decodeNumber(state),
  };
}

function macOf(payload: Buffer, secrets: LeaseChannelSecrets): Buffer {
  const mac = Buffer.alloc(MAC_BYTES);
  const side = Buffer.of(secrets.senderIsInitiator ? 1 : 0);
  sodium.crypto_generichash_batch(mac, [secrets.handshakeHash, side, payload], secrets.leaseKey);
  return mac;
}
