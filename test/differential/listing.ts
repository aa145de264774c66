/**
 * Listing a directory in pieces while it changes. The two sides may differ in what they show: what POSIX promises is
 * that a name which was there all the time comes exactly once, and one that never was does not come.
 */
import { openSync, readdirSync } from 'node:fs';
import { nextEntries, seekDirectory } from '../support/directory-entries.js';
import { type Maker, type Operation, onPaths } from './operation.js';
import { outcomeOf, type Side, STREAMS } from './side.js';

/** Room for the longest name, and few others. */
const PIECE_BYTES = 320;

/** What one open directory may and must show. */
class Expectation {
  /** Names that are there since the listing began. */
  readonly always: Set<string>;
  /** Names that were there at some time since. */
  readonly ever: Set<string>;
  /** How often each side showed a name. */
  readonly seen = new Map<string, Map<string, number>>();

  constructor(names: readonly string[]) {
    this.always = new Set(names);
    this.ever = new Set(names);
  }

  changed(names: readonly string[]): void {
    const now = new Set(names);
    for (const name of this.always) if (!now.has(name)) this.always.delete(name);
    for (const name of now) this.ever.add(name);
  }

  show(side: string, name: string): void {
    const seen = this.seen.get(side) ?? new Map<string, number>();
    this.seen.set(side, seen);
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }

  /** What is wrong with what a side has shown by the end of its listing. */
  problems(side: string): string[] {
    const seen = this.seen.get(side) ?? new Map<string, number>();
    const found: string[] = [];
    for (const name of this.always) {
      const times = seen.get(name) ?? 0;
      if (times !== 1) found.push(`${JSON.stringify(name)} was listed ${times} times`);
    }
    for (const name of seen.keys()) {
      if (!this.ever.has(name)) found.push(`${JSON.stringify(name)} was listed, but never there`);
    }
    return found;
  }
}

/** The listings that are under way on both sides. */
export class Listings {
  readonly #reference: Side;
  readonly #expected: (Expectation | undefined)[] = new Array(STREAMS);
  readonly #beginning = new Set<number>();

  constructor(reference: Side) {
    this.#reference = reference;
  }

  /** Notes what the last operation changed. It may have been another user's, who cannot look. */
  update(): void {
    for (const slot of this.#beginning) this.#start(slot);
    this.#beginning.clear();
    this.#expected.forEach((expectation, slot) => {
      const fd = this.#reference.stream(slot);
      if (fd !== undefined) expectation?.changed(namesIn(fd));
    });
  }

  forget(): void {
    this.#expected.fill(undefined);
  }

  /** Begins a listing. */
  readonly begin: Maker = (choices) => {
    const slot = choices.random.below(STREAMS);
    const path = choices.directory();
    const opening = onPaths(`opendir %${slot}`, [path], [], () => undefined);
    const run = (side: Side) =>
      outcomeOf(() => {
        side.setStream(slot, undefined);
        side.setStream(slot, openSync(side.path(path), 'r'));
        this.#beginning.add(slot);
      });
    return { ...opening, run };
  };

  /** Takes the next entries. */
  readonly next: Maker = ({ random }) => {
    const slot = random.below(STREAMS);
    const bytes = random.pick([PIECE_BYTES, PIECE_BYTES, 700, 32_768]);
    return this.#onStream('getdents', slot, (side, fd) => this.#take(side, slot, fd, bytes));
  };

  readonly rewind: Maker = ({ random }) => {
    const slot = random.below(STREAMS);
    return this.#onStream('rewinddir', slot, (_, fd) => {
      seekDirectory(fd, 0n);
      this.#beginning.add(slot);
      return 'ok';
    });
  };

  #start(slot: number): void {
    const fd = this.#reference.stream(slot);
    this.#expected[slot] = fd === undefined ? undefined : new Expectation(namesIn(fd));
  }

  #onStream(name: string, slot: number, call: (side: Side, fd: number) => string): Operation {
    return {
      text: `${name} %${slot}`,
      paths: [],
      slots: [],
      run: (side) => {
        const fd = side.stream(slot);
        return fd === undefined ? 'not open' : call(side, fd);
      },
    };
  }

  #take(side: Side, slot: number, fd: number, bytes: number): string {
    const expectation = this.#expected[slot];
    if (expectation === undefined) return 'not started';
    const entries = orNone(() => nextEntries(fd, bytes));
    for (const entry of entries) {
      const name = entry.name.toString('latin1');
      if (name !== '.' && name !== '..') expectation.show(side.name, name);
    }
    if (entries.length > 0) return 'ok';
    const problems = expectation.problems(side.name);
    return problems.length === 0 ? 'ok' : `${side.name}: ${problems.join('; ')}`;
  }
}

/** A directory that was removed has no entries any more; the kernel says so with an error. */
function orNone<T>(list: () => T[]): T[] {
  try {
    return list();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return [];
  }
}

/** Through a descriptor of its own: the position of the listing stays. */
function namesIn(fd: number): string[] {
  const options = { encoding: 'latin1' as BufferEncoding };
  return orNone(() => readdirSync(`/proc/self/fd/${fd}`, options));
}
