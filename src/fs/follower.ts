/**
 * Keeps a reading mount at the newest head. What each commit changed is in its commit record, so nothing is compared:
 * the inodes and names it lists are dropped from memory here and in the kernel, and everything else stays.
 */
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import type { CommitRecord } from '../tree/commit-record.js';
import type { Head, Tree, TreeView } from '../tree/tree.js';
import type { Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { isKept, recordAt } from './kept-inodes.js';
import { SEGMENTS_PER_SCAN_MAX } from './load-segments.js';
import { readCommit } from './read-commit.js';
import type { ToldName } from './told-names.js';
import { VanishedFiles } from './vanished-files.js';
import type { Volume } from './volume.js';

/** After a failure to read the newest commit. */
const RETRY_MS = 1000;
/** Newer heads that may be shown before the kernel has been told all of an older one. */
const UNTOLD_HEADS_MAX = 16;
/** Notifications to the kernel under way at once. */
const NOTIFICATIONS_MAX = 64;
/**
 * A program may have been answered with the attributes of an inode that the kernel does not have yet, and be kept from
 * running before the kernel takes them in: a notification meanwhile finds nothing to forget. So it is repeated once.
 */
const REPEAT_MS = 1000;

/** Everything that several commits changed. */
interface Changed {
  inodes: Set<number>;
  /** By parent, the names. */
  entries: Map<number, Set<string>>;
}

/** What the kernel is told of a newer head. */
interface News {
  names: Iterable<ToldName>;
  inodes: readonly number[];
  /** Inodes whose data stays right. */
  goesOn: (ino: number) => boolean;
  view: TreeView;
  /** Inodes that may be directories which are gone; the names in them are told, too. */
  within: readonly number[];
}

export class Follower {
  readonly #volume: Volume;
  readonly #tree: Tree;
  #last: CommitRecord | null;
  #running = false;
  #again = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #repeatTimers = new Set<NodeJS.Timeout>();
  /** Heads whose changes the kernel is being told. */
  readonly #telling = new Set<Promise<void>>();
  /** What was written down last of what keeps the mount from following; empty when nothing does. */
  #trouble = '';
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
    for (const timer of this.#repeatTimers) clearTimeout(timer);
  }

  #advance(): void {
    this.#again = true;
    if (this.#running || this.#closed) return;
    this.#running = true;
    this.#follow()
      .catch((error: unknown) => {
        // Once: a head that is damaged stays so until the next commit.
        if (String(error) !== this.#trouble) {
          this.#trouble = String(error);
          this.#volume.log(`cannot follow the drive, will try again: ${this.#trouble}`);
        }
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
      const changed = await this.#changesSince(newest, head);
      const vanished = new VanishedFiles({
        table: this.#volume.table,
        tree: this.#tree,
        view,
        newest,
        changed: changed?.inodes ?? null,
      });
      while (vanished.isBehind && !this.#closed) await vanished.look();
      if (this.#closed) return;
      this.#last = newest;
      this.#trouble = '';
      await this.#moveTo(view, changed, vanished);
    }
  }

  /** What changed between the head that is shown and `newest`; null when that cannot be told. */
  async #changesSince(newest: CommitRecord, head: Head): Promise<Changed | null> {
    const shown = this.#last;
    // Another commit of the same number is one of another fork.
    if (shown === null || newest.version <= shown.version) return null;
    const changed: Changed = { inodes: new Set(), entries: new Map() };
    let commit = newest;
    let { length } = head;
    for (let steps = 0; commit.version > shown.version; steps++) {
      if (commit.changes === null || steps >= limits.followed_commits_max) return null;
      for (const ino of commit.changes.inodes) changed.inodes.add(ino);
      for (const { parent, name } of commit.changes.entries) {
        const names = changed.entries.get(parent) ?? new Set();
        changed.entries.set(parent, names.add(name));
      }
      if (commit.version === shown.version + 1) {
        // After a fork the numbers go on, but from another state than the one that is shown.
        if (!sameHead(commit.previous, this.#volume.table.view.head)) return null;
        break;
      }
      // A chain that does not lead back leads nowhere.
      if (commit.previous.length === 0 || commit.previous.length >= length) return null;
      length = commit.previous.length;
      const previous = await this.#readPrevious(commit.previous);
      if (previous === null || previous.version >= commit.version) return null;
      commit = previous;
    }
    return changed;
  }

  /** null for a damaged one, which must not keep what came after it from being shown. */
  async #readPrevious(head: Head): Promise<CommitRecord | null> {
    try {
      return await readCommit(this.#tree.at(head));
    } catch (error) {
      if (error instanceof DamagedError) return null;
      throw error;
    }
  }

  /** In one tick the mount shows the new head; then the kernel is told what to forget. */
  async #moveTo(view: TreeView, changed: Changed | null, vanished: VanishedFiles): Promise<void> {
    const { table, toldNames } = this.#volume;
    const goesOn = this.#keep(vanished, changed);
    table.startOver(view);
    for (const ino of vanished.found.keys()) {
      const inode = table.peek(ino);
      // Who reads there looks again, and is told.
      if (inode !== undefined) loadKept(table, inode).catch(() => undefined);
    }
    this.#volume.content.expectFork(view.head.fork);
    let inodes: number[];
    let names: Iterable<ToldName>;
    if (changed === null) {
      table.removeAll();
      inodes = [...table.rememberedInodes()];
      names = toldNames?.takeAll() ?? [];
    } else {
      for (const ino of [...changed.inodes, ...changed.entries.keys()]) {
        const inode = table.peek(ino);
        if (inode !== undefined && inode.kept === null) table.remove(inode);
      }
      inodes = [...changed.inodes].filter((ino) => table.isRemembered(ino));
      names = [...changed.entries].flatMap(([parent, changedNames]) =>
        table.isRemembered(parent) ? [...changedNames].map((name) => ({ parent, name })) : [],
      );
    }
    // Not waited for: a read that waits for a peer holds up the notification of its file, and must not hold up others.
    const within = changed === null ? [] : [...changed.inodes];
    const telling = this.#tell({ names, inodes, goesOn, view, within }).finally(() => {
      vanished.told();
      this.#telling.delete(telling);
    });
    this.#telling.add(telling);
    if (this.#telling.size >= UNTOLD_HEADS_MAX) await Promise.race(this.#telling);
  }

  /**
   * Before the new head is shown: what is in use and not there any more goes on as it was. Returns for which inodes the
   * kernel's data stays right whatever the head.
   */
  #keep(vanished: VanishedFiles, changed: Changed | null): (ino: number) => boolean {
    const { table } = this.#volume;
    const { found, shown, isLost } = vanished;
    if (isLost) for (const { ino } of table.all()) table.dropKept(ino, true);
    table.inUse.leave(changed?.inodes ?? null, isLost ? null : shown);
    for (const [ino, { record, older }] of found) {
      if (table.inUse.isOpen(ino)) table.keep(ino, record, older);
    }
    return (ino) => {
      if (!isKept(table.peek(ino))) return false;
      const last = found.get(ino);
      return last === undefined || last.older === shown;
    };
  }

  /** Never rejects. Names first: each waits for look-ups in its directory that the kernel is about to take in. */
  async #tell({ names, inodes, goesOn, view, within }: News): Promise<void> {
    const { kernel } = this.#volume;
    if (kernel === null) return;
    const tellName = ({ parent, name }: ToldName) => kernel.invalidateEntry(parent, name);
    await this.#notify(names, tellName);
    await this.#notify(await this.#namesWithin(view, within), tellName);
    await this.#notify(inodes, (ino) =>
      goesOn(ino) ? kernel.invalidateAttributes(ino) : kernel.invalidateInode(ino, 0, 0),
    );
    this.#repeatLater(inodes);
  }

  /**
   * Names in directories that are gone, or of which that cannot be told. A commit does not list them: no path leads to them
   * any more, but for that of a program whose directory it is. Never rejects: the new head is shown already, and what else
   * the kernel has to be told must not depend on it.
   */
  async #namesWithin(view: TreeView, inodes: readonly number[]): Promise<ToldName[]> {
    const names: ToldName[] = [];
    for (const parent of inodes) {
      const told = this.#volume.toldNames?.namesIn(parent) ?? [];
      if (told.length === 0) continue;
      const record = await recordAt(view, parent).catch((error: unknown) => {
        this.#volume.log(`cannot tell whether directory ${parent} is gone: ${String(error)}`);
        return undefined;
      });
      // One name too many is only looked up again.
      if ((record?.nlink ?? 0) > 0) continue;
      for (const name of told) names.push({ parent, name });
    }
    return names;
  }

  #repeatLater(inodes: readonly number[]): void {
    if (inodes.length === 0 || this.#closed) return;
    const timer = setTimeout(() => {
      this.#repeatTimers.delete(timer);
      const { kernel, table } = this.#volume;
      if (kernel === null) return;
      const remembered = inodes.filter((ino) => table.isRemembered(ino));
      void this.#notify(remembered, (ino) =>
        // A listing is short, and may be as late as attributes.
        table.inUse.isDirectory(ino)
          ? kernel.invalidateInode(ino, 0, 0)
          : kernel.invalidateAttributes(ino),
      );
    }, REPEAT_MS);
    this.#repeatTimers.add(timer);
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

/** Loads the extents of a file that is kept: nobody may have an older head's records for long. Throws like reads. */
async function loadKept(table: InodeTable, inode: Inode): Promise<void> {
  const end = Math.min(inode.storedSegmentsEnd, limits.kept_segments_loaded_max);
  for (let from = 0; from < end && table.peek(inode.ino) === inode; ) {
    const until = Math.min(end, from + SEGMENTS_PER_SCAN_MAX);
    await table.loadSegments(inode, from, until);
    from = until;
  }
}

function sameHead(a: Head, b: Head): boolean {
  return a.length === b.length && a.fork === b.fork;
}
