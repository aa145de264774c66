/**
 * Acting as another user inside this process. `setfsuid` changes only the calling thread, and takes its capabilities
 * over files away, so the synchronous calls of Node's `fs` made meanwhile are checked as that user's.
 */
import { load } from 'koffi';

const libc = load(null);
const setfsuid: (uid: number) => number = libc.func('int setfsuid(unsigned int)');
const setfsgid: (gid: number) => number = libc.func('int setfsgid(unsigned int)');

/** Two users and groups that own nothing. */
export const SOMEBODY = 12_345;
export const SOMEBODY_ELSE = 12_346;

/** Whether this process may act as others. */
export function canActAsOthers(): boolean {
  return process.getuid?.() === 0;
}

/** Runs synchronous file calls as a user and group. The process must be root's. */
export function asUser<T>(uid: number, gid: number, run: () => T): T {
  const gidBefore = setfsgid(gid);
  const uidBefore = setfsuid(uid);
  // Neither call reports failure: asking again tells.
  if (setfsuid(uid) !== uid || setfsgid(gid) !== gid) {
    setfsuid(uidBefore);
    setfsgid(gidBefore);
    throw new Error(`Cannot act as user ${uid}: this process is not root's`);
  }
  try {
    return run();
  } finally {
    setfsuid(uidBefore);
    setfsgid(gidBefore);
  }
}
