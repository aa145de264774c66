/**
 * How much room blocks that were taken out of the store still take in its files. It is noted in the store before they are
 * taken out, so that whatever ends the process before the space was given back, a later collection gives it back.
 */
import type Hypercore from 'hypercore';
import { asShoalError } from '../log/store-errors.js';

/** User data of the tree's log: a big-endian u64. */
const OWED_SPACE = 'shoal/owed-space';
const NOTE_BYTES = 8;

/** In bytes, about. A note that is none counts as nothing. Throws StoreError. */
export async function readOwedSpace(treeCore: Hypercore): Promise<number> {
  try {
    const note = await treeCore.getUserData(OWED_SPACE);
    if (note === null || note.length !== NOTE_BYTES) return 0;
    return Number(note.readBigUInt64BE(0));
  } catch (error) {
    throw asShoalError(error, 'read what space is to be given back');
  }
}

/** @param bytes An integer. Throws StoreError, NoSpaceError. */
export async function noteOwedSpace(treeCore: Hypercore, bytes: number): Promise<void> {
  const note = Buffer.alloc(NOTE_BYTES);
  note.writeBigUInt64BE(BigInt(bytes));
  try {
    await treeCore.setUserData(OWED_SPACE, note);
  } catch (error) {
    throw asShoalError(error, 'note what space is to be given back');
  }
}
