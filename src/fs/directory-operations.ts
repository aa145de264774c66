/** Operations on open directories. */
import type { Answer, Caller, DirectorySink, OpenAnswer } from '../../mount/file-system.js';
import { HandleTable } from './handle-table.js';
import { type Inode, S_IFDIR } from './inode.js';
import { NotInMemory, withMemory } from './not-in-memory.js';
import { PosixError } from './posix-error.js';
import type { Volume } from './volume.js';

/** Inodes brought into memory together for a listing with attributes. */
const INODES_PER_LOAD = 128;

interface DirectoryHandle {
  inode: Inode;
  /** Names at the time of the last rewind; positions in it are the offsets that callers continue from. */
  names: string[] | null;
}

export class DirectoryOperations {
  readonly #volume: Volume;
  readonly #handles = new HandleTable<DirectoryHandle>();

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  opendir(ino: number, caller: Caller): Answer<OpenAnswer> {
    return withMemory(() => {
      const inode = this.#volume.table.need(ino);
      if (!inode.isDirectory) throw new PosixError('ENOTDIR');
      inode.opens++;
      return { handle: this.#handles.open({ inode, names: null }) };
    }, caller);
  }

  releasedir(handle: number): void {
    const { inode } = this.#handles.close(handle);
    inode.opens--;
    if (!this.#volume.readOnly) this.#volume.deleteIfUnused(inode);
  }

  readdir(handle: number, offset: number, sink: DirectorySink, caller: Caller): Answer<void> {
    const open = this.#handles.get(handle);
    const { table } = this.#volume;
    let names: string[];
    // Where to go on after a wait: what is in the sink stays there.
    let at = offset;
    return withMemory(() => {
      // A follower may have dropped the inode and loaded it anew.
      const inode = open.inode.gone ? open.inode : table.need(open.inode.ino);
      const { entries } = table.needAllEntries(inode);
      if (at === offset && (offset === 0 || open.names === null)) open.names = [...entries.keys()];
      names = open.names as string[];
      for (; at < names.length + 2; at++) {
        if (!this.#addAt(inode, names, at, sink)) return;
      }
    }, caller);
  }

  /** Positions 0 and 1 are "." and "..". Returns false when the sink is full. Throws NotInMemory. */
  #addAt(inode: Inode, names: string[], at: number, sink: DirectorySink): boolean {
    if (at === 0) return sink.add('.', inode.ino, S_IFDIR, 1);
    if (at === 1) return sink.add('..', inode.parent || inode.ino, S_IFDIR, 2);
    const name = names[at - 2] as string;
    const entry = inode.directory?.entries.get(name);
    // Removed since the listing began.
    if (entry === undefined || entry === null) return true;
    if (!sink.plus) return sink.add(name, entry.ino, entry.type, at + 1);
    const child = this.#volume.table.peek(entry.ino);
    if (child === undefined) throw new NotInMemory(this.#loadFrom(inode, names, at));
    if (child.ino !== entry.ino) return true;
    const { table } = this.#volume;
    const answered = this.#volume.entryAt(inode.ino, name, child);
    if (sink.addPlus(name, answered, at + 1)) return true;
    // Not taken: the kernel does not know of this look-up.
    table.forget(child.ino, 1);
    return false;
  }

  /** Loads the inodes of the next names together. */
  async #loadFrom(inode: Inode, names: string[], at: number): Promise<void> {
    const { table } = this.#volume;
    const missing: Promise<void>[] = [];
    for (let i = at; i < names.length + 2 && missing.length < INODES_PER_LOAD; i++) {
      const entry = inode.directory?.entries.get(names[i - 2] as string);
      if (entry && table.peek(entry.ino) === undefined) missing.push(table.load(entry.ino));
    }
    const [first, ...others] = await Promise.allSettled(missing);
    // The others fail again when the listing gets to them.
    void others;
    if (first?.status === 'rejected') throw first.reason;
  }
}
