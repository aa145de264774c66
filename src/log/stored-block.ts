import type Hypercore from 'hypercore';
import { DamagedError } from '../errors.js';
import { isLogEncryption } from './encryption.js';
import { asShoalError } from './store-errors.js';

/** A block as the local store has it. */
export type StoredBlock =
  | { state: 'sound'; plain: Buffer }
  | { state: 'damaged'; reason: string }
  /** Never fetched, which is no damage. */
  | { state: 'absent' };

/**
 * Reads a block of a log from the local store only. Whatever keeps it from being read (a changed byte, a file that is
 * gone, an error of the disk) makes it damaged.
 *
 * @param isWhole Every block should be here, as in the store in which the log was written.
 */
export async function readStoredBlock(
  core: Hypercore,
  index: number,
  isWhole: boolean,
): Promise<StoredBlock> {
  const { encryption, core: context } = core;
  if (!isLogEncryption(encryption) || context === null) {
    throw new DamagedError('Cannot check a log: it was opened without its encryption');
  }
  try {
    const stored = await core.get(index, { raw: true, wait: false });
    if (stored !== null) {
      return { state: 'sound', plain: encryption.open(index, stored, context, true) };
    }
    if (!isWhole && !context.bitfield.get(index)) return { state: 'absent' };
    return { state: 'damaged', reason: `Cannot read block ${index}: it is missing in the store` };
  } catch (error) {
    return { state: 'damaged', reason: asShoalError(error, `read block ${index}`).message };
  }
}
