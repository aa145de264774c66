/**
 * Inode numbers of what the mount shows of the past. Those of the drive itself stay below 2^52; above it, each view of
 * an older version has a slot of 2^40 numbers of its own, so that one file in two versions is not taken for one file.
 */
import { PosixError } from '../posix-error.js';

const FIRST = 2 ** 52;
const SLOT_NUMBERS = 2 ** 40;

/** Slot 0 belongs to the directories above the views. */
export const SLOTS = 2 ** 12;
export const ROOT_INO = 1;

/** `.shoal`, and what is in it. */
export const HistoryIno = { top: FIRST + 1, snapshots: FIRST + 2, versions: FIRST + 3 } as const;

export function isHistory(ino: number): boolean {
  return ino >= FIRST;
}

export function slotOf(ino: number): number {
  return Math.floor((ino - FIRST) / SLOT_NUMBERS);
}

/** The number that a file of a view has in its version. */
export function inoInView(ino: number): number {
  return (ino - FIRST) % SLOT_NUMBERS;
}

/** Throws PosixError for inode numbers of other writers than the first: no drive has them. */
export function numberOf(slot: number, ino: number): number {
  if (ino >= SLOT_NUMBERS) throw new PosixError('ESTALE');
  return FIRST + slot * SLOT_NUMBERS + ino;
}
