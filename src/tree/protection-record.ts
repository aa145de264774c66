/** The protection record: by which logs a drive is kept safe on hosts. A drive without one has no hosts. */
import {
  decodeRecord,
  encodeRecord,
  readBytes,
  readVersion,
  writeByte,
  writeBytes,
} from './codec.js';
import { protectionKey } from './keys.js';
import type { TreeReadOptions, TreeView } from './tree.js';

const PROTECTION_VERSION = 1;
const KEY_BYTES = 32;

/** Keys of the logs beside the tree and chunk log. */
export interface Protection {
  /** Schemes, hosts, garbage. */
  planKey: Buffer;
  /** What each stripe consists of. */
  stripeKey: Buffer;
  /** Parity blocks. */
  parityKey: Buffer;
}

export function encodeProtection({ planKey, stripeKey, parityKey }: Protection): Buffer {
  return encodeRecord((state) => {
    writeByte(state, PROTECTION_VERSION);
    for (const key of [planKey, stripeKey, parityKey]) writeBytes(state, key);
  });
}

/** Throws DamagedError. */
export function decodeProtection(bytes: Buffer): Protection {
  return decodeRecord('the protection record', bytes, (state) => {
    readVersion(state, PROTECTION_VERSION);
    return {
      planKey: readBytes(state, 'key of the plan log', KEY_BYTES),
      stripeKey: readBytes(state, 'key of the stripe log', KEY_BYTES),
      parityKey: readBytes(state, 'key of the parity log', KEY_BYTES),
    };
  });
}

/** null for a drive without hosts. Throws what reading the tree throws. */
export async function readProtection(
  view: TreeView,
  options?: TreeReadOptions,
): Promise<Protection | null> {
  const bytes = await view.get(protectionKey, options);
  return bytes === null ? null : decodeProtection(bytes);
}
