/**
 * Random operations on one file, compared with a plain buffer after each read, in the manner of fsx. The seed is part
 * of the name, so that a failure can be run again.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { dropCaches } from '../support/drop-caches.js';
import { MemoryMap } from '../support/memory-map.js';
import { SeededRandom } from '../support/seeded-random.js';
import {
  copyFileRange,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  fallocate,
  ftruncate,
} from '../support/syscalls.js';
import { assertBytes, type Behaviour, behaviours } from './behaviour.js';

interface Case {
  seed: number;
  operations: number;
  /** Largest size of the file in bytes. */
  size: number;
}

const CASES: Case[] = [
  { seed: 1, operations: 2000, size: 3000 },
  { seed: 2, operations: 1500, size: 200_000 },
  { seed: 3, operations: 600, size: 5 << 20 },
];

/** The file under test and what it should hold. */
class Model {
  readonly #random: SeededRandom;
  readonly #path: string;
  readonly #sizeMax: number;
  #fd: number;
  #bytes = Buffer.alloc(0);

  constructor(file: string, { seed, size }: Case) {
    this.#random = new SeededRandom(seed);
    this.#path = file;
    this.#sizeMax = size;
    this.#fd = openSync(file, 'w+');
  }

  step(without: readonly string[]): string {
    const operations = {
      write: () => this.#write(),
      append: () => this.#append(),
      read: () => this.#read(),
      truncate: () => this.#truncate(),
      punch: () => this.#zero(FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE),
      zero: () => this.#zero(FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE),
      copy: () => this.#copy(),
      mappedWrite: () => this.#mappedWrite(),
      sync: () => fsyncSync(this.#fd),
      reopen: () => this.#reopen(),
    };
    const names = (Object.keys(operations) as (keyof typeof operations)[]).filter(
      (name) => !without.includes(name),
    );
    const name = this.#random.below(3) === 0 ? 'write' : this.#random.pick(names);
    operations[name]();
    return name;
  }

  check(when: string): void {
    assert.equal(fstatSync(this.#fd).size, this.#bytes.length, `size ${when}`);
    assertBytes(readFileSync(this.#path), this.#bytes, when);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #range(limit: number): { offset: number; length: number } {
    const offset = this.#random.below(limit);
    const most = Math.min(limit - offset, this.#random.pick([8, 700, 5000, 70_000, limit]));
    return { offset, length: 1 + this.#random.below(Math.max(1, most - 1)) };
  }

  #write(): void {
    const { offset, length } = this.#range(this.#sizeMax);
    const data = this.#random.bytes(length);
    assert.equal(writeSync(this.#fd, data, 0, length, offset), length);
    this.#grow(offset + length);
    data.copy(this.#bytes, offset);
  }

  #append(): void {
    const room = this.#sizeMax - this.#bytes.length;
    if (room <= 0) return;
    const data = this.#random.bytes(1 + this.#random.below(Math.min(room, 3000)));
    writeSync(this.#fd, data, 0, data.length, this.#bytes.length);
    this.#bytes = Buffer.concat([this.#bytes, data]);
  }

  #read(): void {
    const { offset, length } = this.#range(this.#sizeMax);
    const read = Buffer.alloc(length);
    const count = readSync(this.#fd, read, 0, length, offset);
    assertBytes(read.subarray(0, count), this.#bytes.subarray(offset, offset + length), 'read');
  }

  #truncate(): void {
    const size = this.#random.below(this.#sizeMax);
    ftruncate(this.#fd, size);
    this.#grow(size);
    this.#bytes = Buffer.from(this.#bytes.subarray(0, size));
  }

  #zero(mode: number): void {
    const { offset, length } = this.#range(this.#sizeMax);
    fallocate(this.#fd, mode, offset, length);
    this.#bytes.fill(
      0,
      Math.min(offset, this.#bytes.length),
      Math.min(offset + length, this.#bytes.length),
    );
  }

  #copy(): void {
    if (this.#bytes.length < 2) return;
    const half = this.#bytes.length >> 1;
    const from = this.#range(half);
    const to =
      half +
      this.#random.below(
        this.#sizeMax - half - from.length > 0 ? this.#sizeMax - half - from.length : 1,
      );
    const length = Math.min(from.length, this.#sizeMax - to, half - from.offset);
    if (length <= 0) return;
    const copied = copyFileRange(this.#fd, from.offset, this.#fd, to, length);
    assert.ok(copied > 0 && copied <= length, `copied ${copied} of ${length}`);
    const data = Buffer.from(this.#bytes.subarray(from.offset, from.offset + copied));
    this.#grow(to + copied);
    data.copy(this.#bytes, to);
  }

  #mappedWrite(): void {
    const size = this.#bytes.length;
    if (size === 0) return;
    const { offset, length } = this.#range(size);
    const data = this.#random.bytes(length);
    const map = MemoryMap.ofFile(this.#fd, size, { shared: true, writable: true });
    assertBytes(
      map.read(offset, length),
      this.#bytes.subarray(offset, offset + length),
      'mapped read',
    );
    map.write(offset, data);
    if (this.#random.below(2) === 0) map.sync();
    map.close();
    data.copy(this.#bytes, offset);
  }

  #reopen(): void {
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, 'r+');
  }

  #grow(size: number): void {
    if (size <= this.#bytes.length) return;
    this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(size - this.#bytes.length)]);
  }
}

function randomRun(one: Case, without: readonly string[] = []): Behaviour['run'] {
  return (directory) => {
    const model = new Model(path.join(directory, 'file'), one);
    try {
      for (let index = 0; index < one.operations; index++) {
        const name = model.step(without);
        if (index % 50 === 0) model.check(`after operation ${index} (${name})`);
        if (index % 500 === 499) dropCaches(directory);
      }
      dropCaches(directory);
      model.check('at the end');
    } finally {
      model.close();
    }
  };
}

export const randomOperations = behaviours(
  'random operations',
  Object.fromEntries(
    CASES.map((one) => [
      `${one.operations} on a file of up to ${one.size} bytes, seed ${one.seed}`,
      { needsZeroRange: true, run: randomRun(one) },
    ]),
  ),
);

/** The same for a mount that cannot punch and zero. Not part of the library: it holds less of a file system. */
export const randomOperationsWithoutHoles = behaviours(
  'random operations without holes',
  Object.fromEntries(
    CASES.slice(1, 2).map((one) => [
      `${one.operations} on a file of up to ${one.size} bytes, seed ${one.seed}`,
      randomRun(one, ['punch', 'zero']),
    ]),
  ),
);
