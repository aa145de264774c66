/** Tells a process from a later one with the same pid. */
import { readFileSync } from 'node:fs';

/** Clock ticks between boot and the start of a process; null when it is gone, empty where /proc is missing. */
export function processStartTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command in parentheses and may hold anything; the start time is field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; it only waits for its parent.
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    return fields[19] ?? '';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return isAlive(pid) ? '' : null;
    throw error;
  }
}

/** Whether the process that had this pid at that start time still runs. */
export function isProcessRunning(pid: number, startTime: string): boolean {
  return processStartTime(pid) === startTime;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
