/** A seeded sequence of operations. What comes next depends on the seed and on what is there on the reference side. */
import { readdirSync } from 'node:fs';
import { asUser, canActAsOthers, SOMEBODY, SOMEBODY_ELSE } from '../support/other-user.js';
import { SeededRandom } from '../support/seeded-random.js';
import { withUmask } from '../support/syscalls.js';
import { attributeOperations } from './attribute-operations.js';
import { dataOperations } from './data-operations.js';
import type { Listings } from './listing.js';
import { nameOperations } from './name-operations.js';
import type { Choices, Maker, Operation } from './operation.js';
import { type Side, SLOTS } from './side.js';

/** Few, so that they meet often. One character per byte: one is UTF-8, one is not, one is as long as can be. */
const NAMES = [
  'a',
  'b',
  'c',
  'd',
  Buffer.from('é').toString('latin1'),
  '\xff\xfe\n',
  'x'.repeat(255),
];
const WRONG_NAMES = ['x'.repeat(256), '.', '..', 'a/', 'a/.', 'a/..', 'a//b'];
const DEPTH_MAX = 4;

export class Sequence {
  readonly #random: SeededRandom;
  readonly #reference: Side;
  readonly #choices: Choices;
  readonly #makers: readonly [Maker, number][];
  readonly #weights: number;

  constructor(seed: number, reference: Side, listings: Listings) {
    const random = new SeededRandom(seed);
    this.#random = random;
    this.#reference = reference;
    this.#makers = [
      ...dataOperations,
      ...nameOperations,
      ...attributeOperations,
      [listings.begin, 2],
      [listings.next, 8],
      [listings.rewind, 1],
    ];
    this.#weights = this.#makers.reduce((sum, [, weight]) => sum + weight, 0);
    this.#choices = {
      random,
      root: canActAsOthers(),
      path: () => this.#path(),
      directory: () => this.#directory(),
      slot: () => this.#slot(true),
      freeSlot: () => this.#slot(false),
    };
  }

  next(): Operation {
    let at = this.#random.below(this.#weights);
    const maker = this.#makers.find(([, weight]) => {
      at -= weight;
      return at < 0;
    });
    if (maker === undefined) throw new Error('There is no operation');
    return this.#asSomebody(maker[0](this.#choices));
  }

  /** At times as another user, or under another umask. */
  #asSomebody(operation: Operation): Operation {
    const kind = this.#random.below(16);
    if (kind === 0) {
      const mask = this.#random.pick([0, 0o077, 0o027]);
      return {
        ...operation,
        text: `${operation.text} (umask ${mask.toString(8)})`,
        run: (side) => withUmask(mask, () => operation.run(side)),
      };
    }
    if (kind > 2 || !this.#choices.root) return operation;
    const uid = this.#random.pick([SOMEBODY, SOMEBODY_ELSE]);
    return {
      ...operation,
      text: `${operation.text} (user ${uid})`,
      run: (side) => asUser(uid, uid, () => operation.run(side)),
    };
  }

  #path(): string {
    const kind = this.#random.below(20);
    const directory = this.#directory();
    const name = kind === 0 ? this.#random.pick(WRONG_NAMES) : this.#name(directory);
    // Through what is no directory, or not there.
    const between = kind === 1 ? `${this.#random.pick(NAMES)}/` : '';
    return directory === '.' ? `${between}${name}` : `${directory}/${between}${name}`;
  }

  /** Mostly one that is there, else nearly all would end in ENOENT. */
  #name(directory: string): string {
    if (this.#random.below(5) < 2) return this.#random.pick(NAMES);
    const names = this.#list(directory).map(({ name }) => name);
    const own = names.filter((name) => NAMES.includes(name));
    const wanted = own.length > 0 && this.#random.below(5) > 0 ? own : names;
    return wanted.length === 0 ? this.#random.pick(NAMES) : this.#random.pick(wanted);
  }

  #directory(): string {
    let directory = '.';
    for (let depth = this.#random.below(DEPTH_MAX); depth > 0; depth--) {
      const below = this.#list(directory).filter((entry) => entry.isDirectory);
      if (below.length === 0) break;
      const { name } = this.#random.pick(below);
      directory = directory === '.' ? name : `${directory}/${name}`;
    }
    return directory;
  }

  /** Sorted: the order of a directory is not the same in each run. */
  #list(directory: string): { name: string; isDirectory: boolean }[] {
    const entries = readdirSync(this.#reference.path(directory), {
      encoding: 'buffer',
      withFileTypes: true,
    }) as unknown as { name: Buffer; isDirectory(): boolean }[];
    return entries
      .sort((a, b) => Buffer.compare(a.name, b.name))
      .map((entry) => ({
        name: entry.name.toString('latin1'),
        isDirectory: entry.isDirectory(),
      }));
  }

  #slot(open: boolean): number {
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
    const wanted = slots.filter((slot) => (this.#reference.file(slot) !== undefined) === open);
    return this.#random.pick(wanted.length === 0 ? slots : wanted);
  }
}
