/** Paths of inodes, for messages: one pass over the directory entries for all that are wanted. */
import { DamagedError } from '../../errors.js';
import { decodeEntry, entryNameOfKey } from '../../tree/entry-record.js';
import { inoOfKey, RecordKind, rangeOfKind } from '../../tree/keys.js';
import type { Head } from '../../tree/tree.js';
import type { TreeWalker } from '../../tree/tree-walker.js';

const ROOT_INO = 1;
/** Names noted of one inode; a file can have thousands of links. */
const NAMES_MAX = 16;
/** A path longer than this is a ring. */
const DEPTH_MAX = 4096;
/** Passes that find the directories above those found before. */
const PASSES_MAX = 64;

export interface FoundName {
  parent: number;
  /** One character per byte. */
  name: string;
}

export class NameFinder {
  readonly #walker: TreeWalker;
  readonly #head: Head;
  readonly #names = new Map<number, FoundName[]>();

  constructor(walker: TreeWalker, head: Head) {
    this.#walker = walker;
    this.#head = head;
  }

  /**
   * Finds the names of inodes and of all directories above them. `parentOf` guesses the directory of one, so that one
   * pass is enough where it is right.
   */
  async find(inos: Iterable<number>, parentOf: (ino: number) => number): Promise<void> {
    let wanted = new Set<number>();
    const want = (ino: number): void => {
      let at = ino;
      for (let i = 0; i < DEPTH_MAX && at > ROOT_INO; i++) {
        if (this.#names.has(at) || wanted.has(at)) return;
        wanted.add(at);
        at = parentOf(at);
      }
    };
    for (const ino of inos) want(ino);
    for (let pass = 0; pass < PASSES_MAX && wanted.size > 0; pass++) {
      const found = await this.#pass(wanted);
      wanted = new Set();
      for (const parent of found) want(parent);
    }
  }

  namesOf(ino: number): readonly FoundName[] {
    return this.#names.get(ino) ?? [];
  }

  /** Its paths, as text; "(inode 12)" stands for a directory that has no name. */
  pathsOf(ino: number): string[] {
    return this.namesOf(ino).map(({ parent, name }) => this.pathIn(parent, name));
  }

  pathIn(parent: number, name: string): string {
    const parts = [textOf(name)];
    let at = parent;
    for (let i = 0; i < DEPTH_MAX && at !== ROOT_INO; i++) {
      const above = this.#names.get(at)?.[0];
      parts.push(above === undefined ? `(inode ${at})` : textOf(above.name));
      if (above === undefined) break;
      at = above.parent;
    }
    return parts.reverse().join('/');
  }

  /** Returns the directories the names found are in. */
  async #pass(wanted: ReadonlySet<number>): Promise<Set<number>> {
    const parents = new Set<number>();
    for (const ino of wanted) this.#names.set(ino, []);
    const { from, to } = rangeOfKind(RecordKind.entry);
    for await (const record of this.#walker.walk(this.#head, from, to)) {
      if ('error' in record) continue;
      const entry = entryOrNull(record.key, record.value);
      if (entry === null || !wanted.has(entry.ino)) continue;
      const names = this.#names.get(entry.ino) as FoundName[];
      if (names.length >= NAMES_MAX) continue;
      names.push({ parent: entry.parent, name: entry.name });
      parents.add(entry.parent);
    }
    return parents;
  }
}

function entryOrNull(key: Buffer, value: Buffer): (FoundName & { ino: number }) | null {
  try {
    return { parent: inoOfKey(key), name: entryNameOfKey(key), ino: decodeEntry(value).ino };
  } catch (error) {
    // Reported by the check.
    if (error instanceof DamagedError) return null;
    throw error;
  }
}

/** A name for people: the bytes as UTF-8, without what would move a terminal's cursor. */
export function textOf(name: string): string {
  return Buffer.from(name, 'latin1')
    .toString('utf8')
    .replace(
      /\p{Cc}/gu,
      (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );
}
