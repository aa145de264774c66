/**
 * What signals wait for a program that waits for us. The kernel says that a caller has a signal (INTERRUPT), once for a
 * request and not which one; on a local file system only those that end the program would be noticed.
 */
import { readFileSync } from 'node:fs';

const [HUP, INT, QUIT, KILL, TERM] = [1, 2, 3, 9, 15];
const maskOf = (...signals: number[]) =>
  signals.reduce((mask, n) => mask | (1n << BigInt(n - 1)), 0n);

/** A program that is about to be ended by any signal has this one pending. */
const ENDS = maskOf(KILL);
/** Somebody wants it to end, and it will see to that itself. */
const ASKS_TO_END = maskOf(HUP, INT, QUIT, KILL, TERM);

/** Whether a thread will end as soon as it gets its answer. Also true where that cannot be known. */
export function isEnding(pid: number): boolean {
  return hasPending(pid, ENDS);
}

/** Whether a thread was asked to end. Also true where that cannot be known. */
export function isAskedToEnd(pid: number): boolean {
  return hasPending(pid, ASKS_TO_END);
}

function hasPending(pid: number, wanted: bigint): boolean {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    // In another pid namespace, hidden from this user, or gone.
    return true;
  }
  const set = (field: string) =>
    BigInt(`0x${new RegExp(`^${field}:\\s*(\\w+)$`, 'm').exec(status)?.[1] ?? '0'}`);
  return ((set('SigPnd') | set('ShdPnd')) & ~set('SigBlk') & wanted) !== 0n;
}
