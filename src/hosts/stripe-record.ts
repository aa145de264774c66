/**
 * Blocks of the stripe log: what one stripe consists of, so that whatever is rebuilt from it is verified before it is
 * used. Signed, not encrypted. Documented in docs/format.md.
 */
import { limits } from '../limits.js';
import { sectoredBytes } from '../log/sectors.js';
import {
  decodeRecord,
  encodeRecord,
  readBytes,
  readUint,
  readVersion,
  writeByte,
  writeBytes,
  writeUint,
} from '../tree/codec.js';

const STRIPE_VERSION = 1;
const HASH_BYTES = 32;
/** A stored block: with what encryption puts in front. */
const STORED_BYTES_MAX = sectoredBytes(limits.block_bytes_max);
/** In place of the hash of a block that is missing. */
const NO_HASH: Buffer = Buffer.alloc(HASH_BYTES);

/** A data shard: a block of the chunk log as it is stored there. */
export interface StripeBlock {
  /** Bytes of the stored (encrypted) block. */
  bytes: number;
  /** Hypercore's leaf hash of the stored block. */
  leafHash: Buffer;
}

export interface StripeRecord {
  /** One for each data shard; null for a block that was missing: it counts as zeros. */
  data: (StripeBlock | null)[];
  /** Length of each parity block: that of the longest data block. */
  parityBytes: number;
  /** Leaf hashes of the parity blocks. */
  parityHashes: Buffer[];
}

export function encodeStripe({ data, parityBytes, parityHashes }: StripeRecord): Buffer {
  return encodeRecord((state) => {
    writeByte(state, STRIPE_VERSION);
    writeUint(state, data.length);
    writeUint(state, parityHashes.length);
    for (const block of data) {
      writeUint(state, block?.bytes ?? 0);
      writeBytes(state, block?.leafHash ?? NO_HASH);
    }
    writeUint(state, parityBytes);
    for (const hash of parityHashes) writeBytes(state, hash);
  });
}

/** Throws DamagedError. */
export function decodeStripe(bytes: Buffer): StripeRecord {
  return decodeRecord('a stripe record', bytes, (state) => {
    readVersion(state, STRIPE_VERSION);
    const dataCount = readUint(state, 'data shards', limits.stripe_shards_max);
    const parityCount = readUint(state, 'parity shards', limits.stripe_shards_max);
    if (dataCount < 1 || parityCount < 1 || dataCount + parityCount > limits.stripe_shards_max) {
      throw new Error(`there is no stripe of ${dataCount} and ${parityCount} shards`);
    }
    const data: (StripeBlock | null)[] = [];
    let longest = 0;
    for (let i = 0; i < dataCount; i++) {
      const blockBytes = readUint(state, 'length of a block', STORED_BYTES_MAX);
      const leafHash = readBytes(state, 'leaf hash', HASH_BYTES);
      if (blockBytes === 0 && !leafHash.equals(NO_HASH))
        throw new Error('an empty block has a hash');
      data.push(blockBytes === 0 ? null : { bytes: blockBytes, leafHash });
      longest = Math.max(longest, blockBytes);
    }
    const parityBytes = readUint(state, 'length of the parity', STORED_BYTES_MAX);
    if (parityBytes !== longest) {
      throw new Error(`parity of ${parityBytes} bytes for blocks of up to ${longest}`);
    }
    const parityHashes: Buffer[] = [];
    for (let j = 0; j < parityCount; j++) {
      parityHashes.push(readBytes(state, 'leaf hash', HASH_BYTES));
    }
    return { data, parityBytes, parityHashes };
  });
}
