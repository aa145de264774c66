/**
 * Keeps a reading mount at the newest head. What each commit changed is in its commit record, so nothing is compared:
 * the inodes and names it lists are dropped from memory here and in the kernel, and everything else stays.
 */
import { limits } from '../limits.js';
import { type CommitRecord, decodeCommit } from '../tree/commit-record.js';
import { commitKey } from '../tree/keys.js';
import type { Head, Tree, TreeView } from '../tree/tree.js';
import type { Volume } from './volume.js';

/** After a failure to read the newest commit. */
const RETRY_MS = 1000;
/** Notifications to the kernel under way at once. */
const NOTIFICATIONS_MAX = 64;

/** Everything that several commits changed. */
interface Changed {
  inodes: Set<number>;
  /** By parent, the names. */
  entries: Map<number, Set<string>>;
}

export class Follower {
  readonly #volume: Volume;
  readonly #tree: Tree;
  #last: CommitRecord | null;
  #running = false;
  #again = false;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** `last` is the commit of the head that the volume reads now. */
  constructor(volume: Volume, tree: Tree, last: CommitRecord | null) {
    this.#volume = volume;
    this.#tree = tree;
    this.#last = last;
    tree.onAdvance(() => this.#advance());
    // The tree may have moved between the look at the first head and now.
    this.#advance();
  }

  get last(): CommitRecord | null {
    return this.#last;
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #advance(): void {
    this.#again = true;
    if (this.#running || this.#closed) return;
    this.#running = true;
    this.#follow()
      .catch((error: unknown) => {
        this.#volume.log(`cannot follow the drive, will try again: ${String(error)}`);
        if (this.#closed) return;
        this.#timer = setTimeout(() => this.#advance(), RETRY_MS);
      })
      .finally(() => {
        this.#running = false;
        if (this.#again && this.#timer === null) this.#advance();
      });
  }

  async #follow(): Promise<void> {
    this.#timer = null;
    while (this.#again && !this.#closed) {
      this.#again = false;
      const { head } = this.#tree;
      if (head.length === 0 || sameHead(head, this.#volume.table.view.head)) continue;
      const view = this.#tree.at(head);
      const newest = await readCommit(view);
      const changed = await this.#changesSince(newest);
      if (this.#closed) return;
      this.#last = newest;
      await this.#moveTo(view, changed);
    }
  }

  /** What changed between the head that is shown and `newest`; null when that cannot be told. */
  async #changesSince(newest: CommitRecord): Promise<Changed | null> {
    const shown = this.#last;
    if (shown === null || newest.version < shown.version) return null;
    const changed: Changed = { inodes: new Set(), entries: new Map() };
    let commit = newest;
    for (let steps = 0; commit.version > shown.version; steps++) {
      if (commit.changes === null || steps >= limits.followed_commits_max) return null;
      for (const ino of commit.changes.inodes) changed.inodes.add(ino);
      for (const { parent, name } of commit.changes.entries) {
        const names = changed.entries.get(parent) ?? new Set();
        changed.entries.set(parent, names.add(name));
      }
      if (commit.version === shown.version + 1) break;
      if (commit.previous.length === 0) return null;
      const previous = await readCommit(this.#tree.at(commit.previous));
      if (previous.version >= commit.version) return null;
      commit = previous;
    }
    return changed;
  }

  /** In one tick the mount shows the new head; then the kernel is told what to forget. */
  async #moveTo(view: TreeView, changed: Changed | null): Promise<void> {
    const { table } = this.#volume;
    table.startOver(view);
    if (changed === null) {
      table.removeAll();
      await this.#forgetEverything();
      return;
    }
    for (const ino of changed.inodes) {
      const inode = table.peek(ino);
      if (inode !== undefined) table.remove(inode);
    }
    const dropped: { parent: number; name: string }[] = [];
    for (const [parent, names] of changed.entries) {
      const inode = table.peek(parent);
      if (inode !== undefined) table.remove(inode);
      for (const name of names) dropped.push({ parent, name });
    }
    const { kernel } = this.#volume;
    if (kernel === null) return;
    await this.#notify(dropped, ({ parent, name }) => kernel.invalidateEntry(parent, name));
    await this.#notify(changed.inodes, (ino) => kernel.invalidateInode(ino, 0, 0));
  }

  async #forgetEverything(): Promise<void> {
    const { kernel, table } = this.#volume;
    if (kernel === null) return;
    await this.#notify([...table.rememberedInodes()], (ino) => kernel.invalidateInode(ino, 0, 0));
    // Names that the kernel remembers are those of inodes it remembers, but which ones is not known any more:
    // an entry is checked again when its directory's attributes changed, which the line above saw to.
  }

  async #notify<T>(items: Iterable<T>, send: (item: T) => Promise<void>): Promise<void> {
    const underWay = new Set<Promise<void>>();
    for (const item of items) {
      const sent = send(item)
        .catch((error: unknown) => this.#volume.log(`cannot tell the kernel: ${String(error)}`))
        .finally(() => underWay.delete(sent));
      underWay.add(sent);
      if (underWay.size >= NOTIFICATIONS_MAX) await Promise.race(underWay);
    }
    await Promise.all(underWay);
  }
}

function sameHead(a: Head, b: Head): boolean {
  return a.length === b.length && a.fork === b.fork;
}

/** Throws DamagedError when the tree has no commit record. */
export async function readCommit(view: TreeView): Promise<CommitRecord> {
  const bytes = await view.get(commitKey);
  return decodeCommit(bytes ?? Buffer.alloc(0));
}
