/** Paths in one version of a drive, read from its tree: what a path leads to, and what the path of an inode is. */
import { DamagedError, UsageError } from '../../errors.js';
import { limits } from '../../limits.js';
import { decodeEntry, entryNameOfKey, isValidName } from '../../tree/entry-record.js';
import { decodeInode, type InodeRecord } from '../../tree/inode-record.js';
import {
  entryKey,
  inodeKey,
  inoOfKey,
  RecordKind,
  rangeOfInode,
  rangeOfKind,
} from '../../tree/keys.js';
import type { TreeView } from '../../tree/tree.js';
import { S_IFDIR, S_IFMT } from '../inode.js';
import { readCommit } from '../read-commit.js';
import type { LikelyNames } from './likely-names.js';

const ROOT_INO = 1;
/** Directories above each other. */
const DEPTH_MAX = 4096;

/** What a path leads to. */
export interface FoundPath {
  ino: number;
  /** The directory that the last name is in; of the root its own number. */
  parent: number;
  /** Empty for the root. One character per byte. */
  name: string;
  /** `S_IFMT` part of the mode. */
  type: number;
}

/** The names of a path that a person typed, one character per byte. Throws UsageError. */
export function namesOf(path: string): string[] {
  const names = Buffer.from(path, 'utf8')
    .toString('latin1')
    .split('/')
    .filter((name) => name !== '' && name !== '.');
  if (names.every(isValidName)) return names;
  throw new UsageError(
    `Cannot use '${path}': give a path below the root of the drive, without '..'`,
  );
}

/** For people; "." for the root. Bytes that are no UTF-8 are lost. */
export function shownPath(names: readonly string[]): string {
  if (names.length === 0) return '.';
  return Buffer.from(names.join('/'), 'latin1').toString('utf8');
}

/** Null when there is no such path. Follows no symbolic links. Throws what reading the tree throws. */
export async function findPath(
  view: TreeView,
  names: readonly string[],
): Promise<FoundPath | null> {
  return (await findSteps(view, names))?.at(-1) ?? null;
}

/** As {@link findPath}: the root, and then what each name leads to. */
export async function findSteps(
  view: TreeView,
  names: readonly string[],
): Promise<FoundPath[] | null> {
  let found: FoundPath = { ino: ROOT_INO, parent: ROOT_INO, name: '', type: S_IFDIR };
  const steps = [found];
  for (const name of names) {
    if (found.type !== S_IFDIR) return null;
    const bytes = await view.get(entryKey(found.ino, name));
    if (bytes === null) return null;
    found = { ...decodeEntry(bytes), parent: found.ino, name };
    steps.push(found);
  }
  return steps;
}

/** Throws DamagedError where the inode is missing. */
export async function readInode(view: TreeView, ino: number): Promise<InodeRecord> {
  const bytes = await view.get(inodeKey(ino));
  if (bytes === null) throw new DamagedError(`Inode ${ino} is missing from the tree`);
  return decodeInode(ino, bytes);
}

/** Finds the paths of inodes of one version, and remembers those of directories. */
export class PathFinder {
  readonly #view: TreeView;
  /** Names of directories that were asked for; null where there is none. */
  readonly #directories = new Map<number, string[] | null>();

  constructor(view: TreeView) {
    this.#view = view;
  }

  /** The names that lead to a directory; null when it has none. */
  async directory(ino: number): Promise<string[] | null> {
    const below: number[] = [];
    let at = ino;
    let names: string[] | null | undefined = [];
    while (at !== ROOT_INO) {
      names = this.#directories.get(at);
      if (names !== undefined) break;
      below.push(at);
      const parent = await this.#parentOf(at);
      names = parent === null || below.length > DEPTH_MAX ? null : [];
      if (parent === null || names === null) break;
      at = parent;
    }
    let path = names ?? null;
    for (const each of below.reverse()) {
      const name: string | null = path === null ? null : await this.#nameIn(at, each);
      path = path === null || name === null ? null : [...path, name];
      this.#directories.set(each, path);
      at = each;
    }
    return path;
  }

  /** The names that lead to an entry; null when its directory has none. */
  async entry(parent: number, name: string): Promise<string[] | null> {
    const names = await this.directory(parent);
    return names === null ? null : [...names, name];
  }

  /**
   * The paths of inodes that are no directories, one for each that has one. Where `likely` does not find them it goes
   * through the names of the whole version, up to `namesMax` of them.
   */
  async files(
    inodes: ReadonlySet<number>,
    namesMax: number,
    likely: LikelyNames,
  ): Promise<Map<number, string[]>> {
    const found = new Map<number, string[]>();
    if (inodes.size === 0) return found;
    const { inodeCount } = await readCommit(this.#view);
    if (inodes.size * limits.history_likely_inodes_min <= inodeCount) {
      for (const ino of inodes) {
        const place = await likely.find(ino);
        const names = place === null ? null : await this.entry(place.parent, place.name);
        if (names !== null) found.set(ino, names);
      }
    }
    if (found.size === inodes.size) return found;
    const { from, to } = rangeOfKind(RecordKind.entry);
    let seen = 0;
    for await (const { key, value } of this.#view.range(from, to)) {
      if (found.size === inodes.size || seen++ >= namesMax) break;
      const { ino } = decodeEntry(value);
      if (!inodes.has(ino) || found.has(ino)) continue;
      const names = await this.entry(inoOfKey(key), entryNameOfKey(key));
      if (names !== null) found.set(ino, names);
    }
    return found;
  }

  async #parentOf(ino: number): Promise<number | null> {
    const bytes = await this.#view.get(inodeKey(ino));
    if (bytes === null) return null;
    const { mode, parent } = decodeInode(ino, bytes);
    return (mode & S_IFMT) === S_IFDIR && parent >= 1 ? parent : null;
  }

  /** Entries lead from names to inodes only, so the directory has to be gone through. */
  async #nameIn(parent: number, ino: number): Promise<string | null> {
    const { from, to } = rangeOfInode(RecordKind.entry, parent);
    let seen = 0;
    for await (const { key, value } of this.#view.range(from, to)) {
      if (decodeEntry(value).ino === ino) return entryNameOfKey(key);
      if (++seen > limits.history_names_read_max) break;
    }
    return null;
  }
}
