/** When a mount has nothing to do. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A mount looks every 3 s whether it has nothing to do, and gives memory back then. */
const LOOK_MS = 4000;
const IDLE_WORK_MS_MAX = 60;
const LOOKS_MAX = 60;

/** Waits until a mount's process has nothing to do: after it came up it learns which chunks there are. */
export async function waitUntilIdle(pid: number): Promise<void> {
  let quietLooks = 0;
  for (let looks = 0; looks < LOOKS_MAX && quietLooks < 2; looks++) {
    const before = cpuMs(pid);
    await sleep(LOOK_MS);
    quietLooks = cpuMs(pid) - before < IDLE_WORK_MS_MAX ? quietLooks + 1 : 0;
  }
}

/** Processor time of a process so far. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
