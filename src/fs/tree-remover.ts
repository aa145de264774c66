/**
 * Removes a directory with everything in it. One commit takes its name away, however much is in it; from then on it is
 * an orphan, and what is below it is removed in the background, a bounded number of names per commit. A directory in it
 * becomes an orphan in turn and is emptied before its siblings are, so there are some dozens for each level of the tree at most.
 * The next mount goes on with what is left. Files that have names elsewhere, and open ones, stay.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DamagedError, UsageError } from '../errors.js';
import { limits } from '../limits.js';
import { decodeEntry, type EntryRecord } from '../tree/entry-record.js';
import { nameOfKey, RecordKind, rangeOfInode } from '../tree/keys.js';
import { namesOfPath, needPlace } from './drive-path.js';
import type { Inode } from './inode.js';
import { loadNeighbours } from './load-inodes.js';
import { NotInMemory, withMemory } from './not-in-memory.js';
import type { Volume } from './volume.js';

/** After a failure the next try waits this long; commits are tried again by the committer meanwhile. */
const RETRY_MS = 2000;

/** Directories of one directory that become orphans together: each needs a look at the names that are left. */
const DIRECTORIES_AT_ONCE_MAX = 64;

interface Named {
  name: string;
  /** null: it cannot be decoded. */
  entry: EntryRecord | null;
}

export class TreeRemover {
  readonly #volume: Volume;
  /** Detached directories; the last one is emptied first. */
  readonly #detached: Inode[] = [];
  #running: Promise<void> | null = null;
  #failed = false;
  /** Names since the last commit. */
  #removed = 0;
  readonly #closing = new AbortController();

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  /** Directories that are to be emptied. */
  get size(): number {
    return this.#detached.length;
  }

  /** Takes a directory out of another one, in one operation. Both are in memory. Its records go in the background. */
  detach(parent: Inode, name: string, directory: Inode): void {
    const volume = this.#volume;
    const now = volume.clock.now();
    volume.removeName(parent, name, now);
    parent.dropSubdirectory();
    directory.nlink = 0;
    directory.setCtime(now);
    volume.committer.markInode(directory);
    this.add(directory);
  }

  /** Empties and deletes a directory that has no name any more. */
  add(directory: Inode): void {
    this.#detached.push(directory);
    this.#start();
  }

  /** Resolves once nothing is left to do, or after `close`. */
  async done(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  /** Stops after the names it is at; the next mount goes on. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.done();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (this.#detached.length > 0 && !this.#closing.signal.aborted) this.#start();
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      const directory = this.#detached.at(-1);
      if (directory === undefined || signal.aborted) return;
      try {
        await this.#empty(directory);
        this.#failed = false;
      } catch (error) {
        if (!this.#failed) this.#volume.log(`cannot go on deleting a directory: ${String(error)}`);
        this.#failed = true;
        // Ended by `close`.
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Removes names until none is left, or until there are directories to be emptied first. */
  async #empty(directory: Inode): Promise<void> {
    const { committer, table } = this.#volume;
    for (;;) {
      // Then the tree has all names there are: a directory that was detached gets no new ones.
      const isInTree = !directory.hasDirtyNames && directory.committing === 0;
      if (!isInTree || this.#removed >= limits.removed_names_max) {
        this.#removed = 0;
        await committer.commit();
      }
      if (this.#closing.signal.aborted) return;
      table.dropNames(directory);
      const names = await this.#nextNames(directory);
      if (await this.#removeNames(directory, names)) return;
      if (names.length < limits.removed_names_max) break;
    }
    this.#detached.splice(this.#detached.indexOf(directory), 1);
    directory.size = 0;
    this.#volume.deleteIfUnused(directory);
  }

  async #nextNames(directory: Inode): Promise<Named[]> {
    const { from, to } = rangeOfInode(RecordKind.entry, directory.ino);
    const names: Named[] = [];
    for await (const { key, value } of this.#volume.table.view.range(from, to)) {
      names.push({ name: nameOfKey(key), entry: decodedOrNull(value) });
      if (names.length === limits.removed_names_max) break;
    }
    const inos = names.flatMap(({ entry }) => (entry === null ? [] : [entry.ino]));
    await loadNeighbours(this.#volume.table, inos);
    return names;
  }

  /** Returns true when there are directories to be emptied next. */
  async #removeNames(directory: Inode, names: readonly Named[]): Promise<boolean> {
    let detached = 0;
    for (const named of names) {
      if (detached === DIRECTORIES_AT_ONCE_MAX) break;
      const child = await this.#load(directory, named);
      // Nothing happens between here and the end of the turn.
      if (!this.#isStill(directory, named)) continue;
      const { name } = named;
      this.#forgetName(directory, name);
      if (child === null) {
        this.#volume.removeName(directory, name, this.#volume.clock.now());
      } else if (child.isDirectory) {
        this.detach(directory, name, child);
        detached++;
      } else {
        const now = this.#volume.clock.now();
        this.#volume.removeName(directory, name, now);
        this.#volume.dropLink(child, now);
        this.#tellLinks(child);
      }
      this.#removed++;
    }
    return detached > 0;
  }

  /** null for a name that leads nowhere, or where it should not: then only the name goes. */
  async #load(directory: Inode, { name, entry }: Named): Promise<Inode | null> {
    if (entry === null) return null;
    const { table } = this.#volume;
    try {
      const found = withMemory(() => table.needNamed(directory, name, entry), null);
      return found instanceof Promise ? await found : found;
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      table.reportDamage(directory.ino, error.message);
      return null;
    }
  }

  /** A program that works in the directory may have moved the name elsewhere meanwhile. */
  #isStill(directory: Inode, { name, entry }: Named): boolean {
    const known = directory.directory?.entries.get(name);
    if (known === undefined) return directory.directory?.complete !== true;
    return known !== null && known.ino === entry?.ino;
  }

  /** For programs that still work in the directory. */
  #forgetName(directory: Inode, name: string): void {
    if (!this.#volume.table.isRemembered(directory.ino)) return;
    void this.#volume.forgetName(directory.ino, name);
  }

  #tellLinks(file: Inode): void {
    if (file.gone || !this.#volume.table.isRemembered(file.ino)) return;
    this.#volume.tellAttributes(file.ino);
  }
}

/** In one operation. Throws ReadOnlyError, NotFoundError, UsageError, and what loading throws. */
export async function removeTree(
  volume: Volume,
  remover: TreeRemover,
  path: string,
): Promise<void> {
  volume.requireWritable();
  const names = namesOfPath(path);
  if (names.length === 0) {
    throw new UsageError('Cannot remove the root of a drive: name what is in it');
  }
  const { parent, name } = await withMemory(() => {
    const place = needPlace(volume.table, names);
    const { inode } = place;
    if (!inode.isDirectory) {
      const now = volume.clock.now();
      volume.removeName(place.parent, place.name, now);
      volume.dropLink(inode, now);
      return place;
    }
    // What the tree does not know of yet it would never forget.
    if (!inode.persisted) throw new NotInMemory(volume.committer.commit());
    remover.detach(place.parent, place.name, inode);
    return place;
  }, null);
  // The kernel forgets all that it remembers below the name.
  await volume.forgetName(parent.ino, name);
}

function decodedOrNull(value: Buffer): EntryRecord | null {
  try {
    return decodeEntry(value);
  } catch (error) {
    if (error instanceof DamagedError) return null;
    throw error;
  }
}
