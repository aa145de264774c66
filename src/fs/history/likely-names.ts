/**
 * Finds a name of a file without going through all names of a drive. Entries lead from names to inodes only, so this looks
 * where a file most likely is: under the name that it was made with, and beside what was made just before it.
 */
import { NotFoundError } from '../../errors.js';
import { limits } from '../../limits.js';
import { decodeEntry, entryNameOfKey } from '../../tree/entry-record.js';
import { decodeInode, type InodeRecord } from '../../tree/inode-record.js';
import { entryKey, inodeKey, inoOfKey, RecordKind, rangeOfInode } from '../../tree/keys.js';
import type { TreeView } from '../../tree/tree.js';
import { S_IFDIR, S_IFMT } from '../inode.js';
import type { VersionHistory } from './version-history.js';

const ROOT_INO = 1;
/** Inodes made before a file, among which its directory is looked for. */
const NEIGHBOURS = 512;
/** Directories above that one. */
const DIRECTORIES_ABOVE = 64;
/** A commit may have been under way when the file was made. */
const COMMITS_LOOKED_AT = 2;

export interface NamePlace {
  parent: number;
  name: string;
}

/** For one version; remembers the directories that it went through. */
export class LikelyNames {
  readonly #view: TreeView;
  readonly #history: VersionHistory;
  /** Of directories, the names by the inodes that they lead to. */
  readonly #names = new Map<number, ReadonlyMap<number, string>>();
  #namesLeft = limits.history_likely_names_max;

  constructor(view: TreeView, history: VersionHistory) {
    this.#view = view;
    this.#history = history;
  }

  /** Null when it is at neither place. Throws what reading the tree throws. */
  async find(ino: number): Promise<NamePlace | null> {
    const inode = await this.#inode(ino);
    if (inode === null) return null;
    return (await this.#asMade(ino, inode)) ?? (await this.#nearby(ino));
  }

  /** A commit lists the names that it brought. */
  async #asMade(ino: number, { btimeSec, btimeNsec }: InodeRecord): Promise<NamePlace | null> {
    const before = await this.#versionBefore(1000 * btimeSec + Math.floor(btimeNsec / 1e6));
    let looks = 0;
    for await (const { point, commit } of this.#history.versions(before + COMMITS_LOOKED_AT)) {
      if (point.version <= before || looks++ === COMMITS_LOOKED_AT) break;
      for (const { parent, name } of commit.changes?.entries ?? []) {
        const bytes = await this.#view.get(entryKey(parent, name));
        if (bytes !== null && decodeEntry(bytes).ino === ino) return { parent, name };
      }
    }
    return null;
  }

  /** The newest version that is older than a time; 0: all are younger. */
  async #versionBefore(timeMs: number): Promise<number> {
    try {
      return (await this.#history.findTime(timeMs - 1)).version;
    } catch (error) {
      if (error instanceof NotFoundError) return 0;
      throw error;
    }
  }

  /** Files that were copied are in the directory that was made last before them, or in one above that. */
  async #nearby(ino: number): Promise<NamePlace | null> {
    let directory = await this.#directoryBefore(ino);
    for (let i = 0; i < DIRECTORIES_ABOVE && directory !== 0; i++) {
      const name = (await this.#namesIn(directory)).get(ino);
      if (name !== undefined) return { parent: directory, name };
      if (directory === ROOT_INO || this.#namesLeft <= 0) break;
      directory = (await this.#inode(directory))?.parent ?? 0;
    }
    return null;
  }

  /** 0: there is none among the neighbours. */
  async #directoryBefore(ino: number): Promise<number> {
    let last = 0;
    const from = inodeKey(Math.max(ROOT_INO, ino - NEIGHBOURS));
    for await (const { key, value } of this.#view.range(from, inodeKey(ino))) {
      const neighbour = inoOfKey(key);
      if ((decodeInode(neighbour, value).mode & S_IFMT) === S_IFDIR) last = neighbour;
    }
    return last;
  }

  async #namesIn(directory: number): Promise<ReadonlyMap<number, string>> {
    const known = this.#names.get(directory);
    if (known !== undefined) return known;
    const names = new Map<number, string>();
    const { from, to } = rangeOfInode(RecordKind.entry, directory);
    for await (const { key, value } of this.#view.range(from, to)) {
      if (this.#namesLeft-- <= 0) break;
      names.set(decodeEntry(value).ino, entryNameOfKey(key));
    }
    this.#names.set(directory, names);
    return names;
  }

  async #inode(ino: number): Promise<InodeRecord | null> {
    const bytes = await this.#view.get(inodeKey(ino));
    return bytes === null ? null : decodeInode(ino, bytes);
  }
}
