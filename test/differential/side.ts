/** One of the two directories that get the same operations, with the files that are open in it. */
import { closeSync } from 'node:fs';
import { errnoName } from '../support/syscalls.js';

/** Files open at once. Both sides have the same ones open: only what succeeded on both goes on. */
export const SLOTS = 6;
/** Directories being listed at once. */
export const STREAMS = 2;

export class Side {
  readonly name: string;
  /** What is compared: {@link Side.top} and the directory above it, where a `..` may lead. */
  readonly root: string;
  readonly #top: Buffer;
  readonly #files: (number | undefined)[] = new Array(SLOTS);
  readonly #streams: (number | undefined)[] = new Array(STREAMS);

  /** The directories `root` and `root/top` exist. */
  constructor(name: string, root: string) {
    this.name = name;
    this.root = root;
    this.#top = Buffer.from(`${root}/top/`);
  }

  /** The absolute path of one that is relative to the top, given as one character per byte. */
  path(relative: string): Buffer {
    return Buffer.concat([this.#top, Buffer.from(relative, 'latin1')]);
  }

  /** The descriptor in a slot; undefined when none is open there. */
  file(slot: number): number | undefined {
    return this.#files[slot];
  }

  stream(slot: number): number | undefined {
    return this.#streams[slot];
  }

  /** Puts an open file into a slot, which closes the one that was there. */
  setFile(slot: number, fd: number | undefined): void {
    replace(this.#files, slot, fd);
  }

  setStream(slot: number, fd: number | undefined): void {
    replace(this.#streams, slot, fd);
  }

  /** Closes everything. A file system that is gone may refuse, and the descriptor is closed all the same. */
  closeAll(): void {
    for (const list of [this.#files, this.#streams]) {
      for (let slot = 0; slot < list.length; slot++)
        outcomeOf(() => replace(list, slot, undefined));
    }
  }
}

/** What a call gave: "ok", "ok VALUE", or the name of its errno. An error that is none of the system's is thrown on. */
export function outcomeOf(call: () => unknown): string {
  try {
    const value = call();
    return value === undefined ? 'ok' : `ok ${String(value)}`;
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    if (typeof errno !== 'number') throw error;
    return errnoName(-errno);
  }
}

function replace(list: (number | undefined)[], slot: number, fd: number | undefined): void {
  const before = list[slot];
  list[slot] = fd;
  if (before !== undefined) closeSync(before);
}
