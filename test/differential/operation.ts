/** One operation, with all it needs to be done again: on the other side, or in another run. */
import type { SeededRandom } from '../support/seeded-random.js';
import { outcomeOf, type Side } from './side.js';

export interface Operation {
  /** For the list that is printed when something differs. */
  text: string;
  /** Relative paths whose attributes it may have changed. */
  paths: readonly string[];
  /** Slots of open files whose attributes it may have changed. */
  slots: readonly number[];
  /** Returns the outcome, which must be the same on both sides. */
  run(side: Side): string;
}

/** What operations are made from. */
export interface Choices {
  random: SeededRandom;
  /** Whether the process may act as other users and give files away. */
  root: boolean;
  /** A path: likely one that exists, or whose directory does. */
  path(): string;
  /** An existing directory, as a path; the top is ".". */
  directory(): string;
  /** A slot, likely one with an open file. */
  slot(): number;
  /** A slot, likely a free one. */
  freeSlot(): number;
}

export type Maker = (choices: Choices) => Operation;

/** An operation on paths. */
export function onPaths(
  name: string,
  paths: readonly string[],
  details: readonly unknown[],
  call: (...absolute: Buffer[]) => unknown,
): Operation {
  return {
    text: [name, ...paths.map(shown), ...details].join(' '),
    paths,
    slots: [],
    run: (side) => outcomeOf(() => call(...paths.map((path) => side.path(path)))),
  };
}

/** An operation on an open file; nothing happens when there is none in the slot. */
export function onFile(
  name: string,
  slot: number,
  details: readonly unknown[],
  call: (fd: number) => unknown,
): Operation {
  return {
    text: [name, `#${slot}`, ...details].join(' '),
    paths: [],
    slots: [slot],
    run: (side) => {
      const fd = side.file(slot);
      return fd === undefined ? 'not open' : outcomeOf(() => call(fd));
    },
  };
}

/** A path in a message: long names are cut. */
export function shown(path: string): string {
  return JSON.stringify(path.replaceAll(/(.)\1{20,}/g, (run) => `${run[0]}{${run.length}}`));
}
