import {
  type Attributes,
  type ByteName,
  type Caller,
  type FileSystem,
  type Ino,
  ROOT_INO,
} from '../file-system.js';
import { mountLimits } from '../limits.js';
import { byteName } from './byte-names.js';
import type { HiddenFiles } from './open-files.js';
import { PathError } from './path-error.js';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** A name in a directory, which need not exist. */
export interface Place {
  parent: Ino;
  name: ByteName;
}

/** An inode that a path led to. The file system keeps it in memory until it is let go. */
export interface Found {
  attributes: Attributes;
  /** Lookups that the file system counts for it. */
  lookups: number;
}

interface CachedDirectory extends Place {
  ino: Ino;
  /** `now()` until which the name may be remembered. */
  until: number;
}

/**
 * From paths to inodes. The directories on the way are remembered, a bounded number of them and for as long as the file
 * system lets a kernel remember a name; what the path ends in is looked up each time. libfuse keeps a directory from
 * being moved while a path through it is in use.
 */
export class PathResolver {
  readonly #fileSystem: FileSystem;
  readonly #hidden: HiddenFiles;
  readonly #now: () => number;
  /** By path ("/a/b"), the least recently used first. Each holds one lookup. */
  readonly #directories = new Map<string, CachedDirectory>();
  /** Paths by parent and name, for who does not know the path. */
  readonly #pathByPlace = new Map<string, string>();
  /** Counts what was dropped: an answer from before must not be remembered after. */
  #drops = 0;

  /** `now` in milliseconds. */
  constructor(fileSystem: FileSystem, hidden: HiddenFiles, now: () => number) {
    this.#fileSystem = fileSystem;
    this.#hidden = hidden;
    this.#now = now;
  }

  get cachedDirectories(): number {
    return this.#directories.size;
  }

  /** Where the last part of a path is, or would be. Throws what `lookup` throws, and ENOENT, ENOTDIR. */
  async placeOf(path: string, caller: Caller): Promise<Place> {
    const slash = path.lastIndexOf('/');
    const name = byteName(path.slice(slash + 1));
    return { parent: await this.#directory(path.slice(0, slash), caller), name };
  }

  /** The inode at a place. Throws ENOENT. */
  async findAt({ parent, name }: Place, caller: Caller): Promise<Found> {
    const { attributes } = await this.#fileSystem.lookup(parent, name, caller);
    if (attributes === null) throw new PathError('ENOENT');
    return { attributes, lookups: 1 };
  }

  /** The inode that a path leads to; to be let go. Throws what `placeOf` throws. */
  async find(path: string, caller: Caller): Promise<Found> {
    const known = path === '/' ? ROOT_INO : this.#hidden.inoOf(path);
    if (known === undefined) return await this.findAt(await this.placeOf(path, caller), caller);
    const { attributes } = await this.#fileSystem.getattr(known, undefined, caller);
    if (known === ROOT_INO) return { attributes, lookups: 0 };
    // libfuse takes the hidden name for one of the file's, and does not show it.
    return { attributes: { ...attributes, nlink: attributes.nlink + 1 }, lookups: 0 };
  }

  letGo({ attributes, lookups }: Found): void {
    if (lookups > 0) this.#fileSystem.forget(attributes.ino, lookups);
  }

  /** A directory was moved or deleted, or a file: neither the path nor what is below it is right any more. */
  dropBelow(path: string): void {
    this.#drops++;
    const inside = `${path}/`;
    for (const cached of this.#directories.keys()) {
      if (cached === path || cached.startsWith(inside)) this.#drop(cached);
    }
  }

  /** The same, from who knows only where the name is. */
  dropPlace(parent: Ino, name: ByteName): void {
    this.#drops++;
    const path = this.#pathByPlace.get(placeKey(parent, name));
    if (path !== undefined) this.dropBelow(path);
  }

  /** `path` is without the final "/": "" for the root. */
  async #directory(path: string, caller: Caller): Promise<Ino> {
    if (path === '') return ROOT_INO;
    const cached = this.#cached(path);
    if (cached !== undefined) return cached;
    const place = await this.placeOf(path, caller);
    const drops = this.#drops;
    const entry = await this.#fileSystem.lookup(place.parent, place.name, caller);
    if (entry.attributes === null) throw new PathError('ENOENT');
    const { ino, mode } = entry.attributes;
    const isDirectory = (mode & S_IFMT) === S_IFDIR;
    if (isDirectory && drops === this.#drops) {
      this.#remember(path, { ...place, ino, until: this.#now() + entry.entryTimeoutSec * 1000 });
    } else {
      this.#fileSystem.forget(ino, 1);
    }
    if (!isDirectory) throw new PathError('ENOTDIR');
    return ino;
  }

  #cached(path: string): Ino | undefined {
    const found = this.#directories.get(path);
    if (found === undefined) return undefined;
    if (found.until <= this.#now()) {
      this.#drop(path);
      return undefined;
    }
    this.#directories.delete(path);
    this.#directories.set(path, found);
    return found.ino;
  }

  #remember(path: string, directory: CachedDirectory): void {
    // Two at once may have looked it up.
    this.#drop(path);
    this.#directories.set(path, directory);
    this.#pathByPlace.set(placeKey(directory.parent, directory.name), path);
    if (this.#directories.size <= mountLimits.path_directories_cached_max) return;
    const [oldest] = this.#directories.keys();
    if (oldest !== undefined) this.#drop(oldest);
  }

  #drop(path: string): void {
    const cached = this.#directories.get(path);
    if (cached === undefined) return;
    this.#directories.delete(path);
    this.#pathByPlace.delete(placeKey(cached.parent, cached.name));
    this.#fileSystem.forget(cached.ino, 1);
  }
}

function placeKey(parent: Ino, name: ByteName): string {
  return `${parent}/${name}`;
}
