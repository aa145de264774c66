/** Does the same operations on a plain directory and on a mounted one, and compares them all the time. */
import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { SeededRandom } from '../support/seeded-random.js';
import { differencesOfInodes, stateOf, stateOrNone } from './inode-state.js';
import { Listings } from './listing.js';
import { type Operation, shown } from './operation.js';
import { Sequence } from './sequence.js';
import { Side, SLOTS } from './side.js';
import { StepClock } from './step-clock.js';
import { differenceOfOpenFiles, differencesOfTrees } from './tree-differences.js';

/** Operations listed with a difference. */
const HISTORY_LINES = 40;

/** The two sides differ. The message says in what, after which operations, and how to see it again. */
export class DifferenceError extends Error {}

export class Differential {
  readonly seed: number;
  readonly plain: Side;
  readonly mounted: Side;
  /** For comparing with further copies of the tree. */
  readonly clock = new StepClock();
  readonly #listings: Listings;
  readonly #sequence: Sequence;
  /** Apart from the sequence, so that what is looked at does not change what is done. */
  readonly #attention: SeededRandom;
  readonly #history: string[] = [];
  #steps = 0;

  /** Makes the directories `top` in two empty directories. Their times are set: they were not made in one step. */
  constructor(plain: string, mounted: string, seed: number) {
    this.seed = seed;
    for (const root of [plain, mounted]) {
      mkdirSync(path.join(root, 'top'));
      // Other users take part.
      for (const directory of [root, path.join(root, 'top')]) chmodSync(directory, 0o777);
    }
    this.plain = new Side('plain', plain);
    this.mounted = new Side('mount', mounted);
    this.#listings = new Listings(this.plain);
    this.#sequence = new Sequence(seed, this.plain, this.#listings);
    this.#attention = new SeededRandom(seed ^ 0x5eed);
  }

  get steps(): number {
    return this.#steps;
  }

  /** Does the next operation on both sides. Throws {@link DifferenceError}. */
  step(): void {
    const operation = this.#sequence.next();
    this.#steps++;
    this.clock.begin();
    const [wanted, got] = [operation.run(this.plain), operation.run(this.mounted)];
    this.clock.end();
    this.note(`${operation.text} = ${wanted.slice(0, 80)}`);
    if (wanted !== got) this.#fail([`it gave '${got}', expected '${wanted}'`]);
    this.#listings.update();
    // Not always: a look at attributes makes the kernel ask for them, which may hide what comes later.
    if (this.#attention.below(2) === 0) this.#compareTouched(operation);
  }

  /** Compares everything; `settled` when the kernel has handed over all that it held. Throws {@link DifferenceError}. */
  compareAll(settled: boolean): void {
    this.compareWith(this.mounted.root, 'the mount', settled);
    for (let slot = 0; slot < SLOTS; slot++) this.#compareOpen(slot, true);
  }

  /** Compares the plain side with a copy of the tree. Throws {@link DifferenceError}. */
  compareWith(root: string, what: string, settled: boolean): void {
    const differences = differencesOfTrees(this.plain.root, root, this.clock, settled);
    if (differences.length > 0) this.#fail([`${what} differs:`, ...differences]);
  }

  /** Closes what is open on both sides. */
  closeFiles(): void {
    this.#listings.forget();
    this.plain.closeAll();
    this.mounted.closeAll();
  }

  /** Writes something down among the operations. */
  note(text: string): void {
    this.#history.push(`${this.#steps}: ${text}`);
    if (this.#history.length > HISTORY_LINES) this.#history.shift();
  }

  #compareTouched(operation: Operation): void {
    for (const relative of operation.paths) {
      const [wanted, got] = [this.plain, this.mounted].map((side) =>
        stateOrNone(side.path(relative)),
      );
      if (wanted === undefined && got === undefined) continue;
      if (wanted === undefined || got === undefined) {
        const there = wanted === undefined ? 'is there, and should not be' : 'is not there';
        this.#fail([`${shown(relative)} ${there}`]);
      } else {
        const found = differencesOfInodes(shown(relative), wanted, got, this.clock, false);
        if (found.length > 0) this.#fail(found);
      }
    }
    for (const slot of operation.slots) this.#compareOpen(slot, false);
  }

  #compareOpen(slot: number, content: boolean): void {
    const [plain, mounted] = [this.plain.file(slot), this.mounted.file(slot)];
    if (plain === undefined || mounted === undefined) return;
    const [wanted, got] = [stateOf(plain), stateOf(mounted)];
    const found = differencesOfInodes(`#${slot}`, wanted, got, this.clock, false);
    const difference = content ? differenceOfOpenFiles(plain, mounted) : undefined;
    if (difference !== undefined) found.push(`#${slot}: ${difference}`);
    if (found.length > 0) this.#fail(found);
  }

  #fail(differences: readonly string[]): never {
    const lines = [
      `After operation ${this.#steps} of seed ${this.seed}:`,
      ...differences.map((line) => `  ${line}`),
      'The last operations:',
      ...this.#history.map((line) => `  ${line}`),
      `Again: SHOAL_TEST_SEED=${this.seed} SHOAL_TEST_STEPS=${this.#steps} scripts/test differential`,
    ];
    throw new DifferenceError(lines.join('\n'));
  }
}
