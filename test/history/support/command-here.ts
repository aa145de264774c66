/** Commands of one machine in the process of the test; its mounts may have been made by the program. */
import type { Machine } from '../../support/drive-mount.js';
import { type CommandEnd, runHere, runHereWell } from '../../support/run-here.js';

export type { CommandEnd } from '../../support/run-here.js';

/** Runs a command of a machine, whatever its exit code. */
export function tryHere(machine: Machine, ...args: string[]): Promise<CommandEnd> {
  return runHere(args, { SHOAL_HOME: machine.home });
}

/** Runs a command that must succeed; returns what it printed. */
export function shoalHere(machine: Machine, ...args: string[]): Promise<string> {
  return runHereWell(args, { SHOAL_HOME: machine.home });
}
