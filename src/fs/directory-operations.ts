/** Operations on open directories. */
import type { Answer, Caller, DirectorySink, OpenAnswer } from '../../mount/file-system.js';
import { DamagedError } from '../errors.js';
import { HandleTable } from './handle-table.js';
import { type Inode, S_IFDIR } from './inode.js';
import { loadNeighbours } from './load-inodes.js';
import { NotInMemory, withMemory } from './not-in-memory.js';
import { NumberCounts } from './number-counts.js';
import { PosixError } from './posix-error.js';
import type { Volume } from './volume.js';

/** Inodes brought into memory together for a listing with attributes. */
const INODES_PER_LOAD = 128;

interface DirectoryHandle {
  inode: Inode;
  /** Names at the time of the last rewind; positions in it are the offsets that callers continue from. */
  names: readonly string[] | null;
  /** Inodes whose records are damaged: their names are listed without attributes. */
  readonly damaged: Set<number>;
  /** The kernel keeps what it lists. */
  isCached: boolean;
}

export class DirectoryOperations {
  readonly #volume: Volume;
  readonly #handles = new HandleTable<DirectoryHandle>();
  /** Handles of each directory, by inode number: a follower may have several inodes of it. */
  readonly #opens = new NumberCounts();

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  opendir(ino: number, caller: Caller): Answer<OpenAnswer> {
    return withMemory(() => {
      const inode = this.#volume.table.need(ino);
      if (!inode.isDirectory) throw new PosixError('ENOTDIR');
      inode.opens++;
      // The kernel drops what it keeps of the listing at each change that it makes itself, and is told of the others. It keeps one
      // for all, whose positions are those of who lists it first: another one who lists it at the same time goes without.
      const isCached = this.#opens.add(ino) === 1;
      const handle = this.#handles.open({ inode, names: null, damaged: new Set(), isCached });
      return { handle, cacheDirectory: isCached };
    }, caller);
  }

  releasedir(handle: number): void {
    const { inode } = this.#handles.close(handle);
    inode.opens--;
    const isListed = this.#opens.remove(inode.ino) > 0;
    const { directory } = inode;
    const listed = directory?.listed?.length ?? 0;
    if (directory !== null && !isListed && listed > 2 * directory.entries.size) {
      // The kernel has dropped what it kept, since so many names are gone.
      directory.listed = null;
    }
    if (!this.#volume.readOnly) this.#volume.deleteIfUnused(inode);
  }

  readdir(handle: number, offset: number, sink: DirectorySink, caller: Caller): Answer<void> {
    const open = this.#handles.get(handle);
    const { table } = this.#volume;
    // Where to go on after a wait: what is in the sink stays there.
    let at = offset;
    let isAnswered = false;
    const listed = withMemory(() => {
      // A follower may have dropped the inode and loaded it anew.
      const inode = open.inode.gone ? open.inode : table.need(open.inode.ino);
      const directory = table.needAllEntries(inode);
      if (at === offset && (offset === 0 || open.names === null)) {
        // A beginning that came out of the kernel's memory is as it was listed before.
        const before = offset === 0 ? null : directory.listed;
        // In an order that is the same when they are loaded again.
        open.names = before ?? [...directory.entries.keys()].sort();
        if (offset === 0 && open.isCached) directory.listed = open.names;
      }
      const end = (open.names?.length ?? 0) + 2;
      for (; at < end; at++) {
        const isAdded = this.#addAt(inode, open, at, sink);
        if (isAdded === false) return;
        if (isAdded) isAnswered = true;
      }
    }, caller);
    if (!(listed instanceof Promise)) return listed;
    return listed.catch((error: unknown) => {
      // Look-ups of what is in the sink are counted, so the kernel must learn of them. It comes back, and meets the error first.
      if (!isAnswered) throw error;
    });
  }

  /**
   * Positions 0 and 1 are "." and "..". Returns false when the sink is full, null when the name is gone.
   * Throws NotInMemory.
   */
  #addAt(inode: Inode, open: DirectoryHandle, at: number, sink: DirectorySink): boolean | null {
    if (at === 0) return sink.add('.', inode.ino, S_IFDIR, 1);
    if (at === 1) return sink.add('..', inode.parent || inode.ino, S_IFDIR, 2);
    const name = open.names?.[at - 2] as string;
    const entry = inode.directory?.entries.get(name);
    // Removed since the listing began.
    if (entry === undefined || entry === null) return null;
    if (!sink.plus || open.damaged.has(entry.ino)) {
      return sink.add(name, entry.ino, entry.type, at + 1);
    }
    const { table } = this.#volume;
    if (table.peek(entry.ino) === undefined) throw new NotInMemory(this.#loadFrom(inode, open, at));
    let child: Inode;
    try {
      child = table.needNamed(inode, name, entry);
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      open.damaged.add(entry.ino);
      table.reportDamage(inode.ino, error.message);
      return sink.add(name, entry.ino, entry.type, at + 1);
    }
    const answered = this.#volume.entryAt(inode.ino, name, child);
    if (sink.addPlus(name, answered, at + 1)) return true;
    // Not taken: the kernel does not know of this look-up.
    table.forget(child.ino, 1);
    return false;
  }

  /** Loads the inodes of the next names together. */
  async #loadFrom(inode: Inode, open: DirectoryHandle, at: number): Promise<void> {
    const { table } = this.#volume;
    const names = open.names ?? [];
    const missing = new Map<number, string>();
    for (let i = at - 2; i < names.length && missing.size < INODES_PER_LOAD; i++) {
      const name = names[i] as string;
      const entry = inode.directory?.entries.get(name);
      if (entry && table.peek(entry.ino) === undefined) missing.set(entry.ino, name);
    }
    await loadNeighbours(table, [...missing.keys()]);
    const inodes = [...missing.keys()].filter((ino) => table.peek(ino) === undefined);
    const results = await Promise.allSettled(
      inodes.map((ino) => table.loadNamed(inode, missing.get(ino) as string, ino)),
    );
    for (const [i, result] of results.entries()) {
      if (result.status === 'fulfilled') continue;
      const { reason } = result;
      // One damaged inode must not hide the others.
      if (reason instanceof DamagedError) {
        open.damaged.add(inodes[i] as number);
        table.reportDamage(inode.ino, reason.message);
      } else if (i === 0) {
        // The others fail again when the listing gets to them.
        throw reason;
      }
    }
  }
}
