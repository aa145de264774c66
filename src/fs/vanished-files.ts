/**
 * Finds what files that are open on a reading mount were last, before a newer head is shown that has them no more: their
 * records in the last version in which they had a name.
 */
import { limits } from '../limits.js';
import type { CommitRecord } from '../tree/commit-record.js';
import type { InodeRecord } from '../tree/inode-record.js';
import type { Tree, TreeView } from '../tree/tree.js';
import { S_IFMT, S_IFREG } from './inode.js';
import type { InodeTable } from './inode-table.js';
import type { OlderHead } from './inodes-in-use.js';
import { isKept, readBriefly, recordAt } from './kept-inodes.js';
import { readCommit } from './read-commit.js';

/** Inodes looked up at once. */
const LOOKED_UP_MAX = 64;
/** Looks for files that were opened during the one before. */
const LOOKS_MAX = 64;

/** What a file was, and where the rest of its records is. */
export interface LastState {
  record: InodeRecord;
  older: OlderHead;
}

export interface VanishedFilesOptions {
  table: InodeTable;
  tree: Tree;
  /** The head that is to be shown. */
  view: TreeView;
  /** Its commit. */
  newest: CommitRecord;
  /** Inodes that may be gone; null: any. */
  changed: ReadonlySet<number> | null;
}

export class VanishedFiles {
  readonly #options: VanishedFilesOptions;
  readonly #olderHeads = new Map<number, OlderHead>();
  readonly #looked = new Set<number>();
  #looks = 0;
  /** The head that is shown until now. */
  readonly shown: OlderHead;
  /** By inode number. */
  readonly found = new Map<number, LastState>();

  constructor(options: VanishedFilesOptions) {
    this.#options = options;
    this.shown = this.#olderHead(options.table.view);
  }

  /** Nothing of what was before can be read any more: another fork took its place in the logs. */
  get isLost(): boolean {
    const { changed, view } = this.#options;
    return changed === null && view.head.fork !== this.shown.view.head.fork;
  }

  /** Open files were not looked at. The new head must be shown in the same tick in which there are none. */
  get isBehind(): boolean {
    return this.#looks < LOOKS_MAX && this.#unlooked().next().done !== true;
  }

  /** Throws StoreError. */
  async look(): Promise<void> {
    this.#looks++;
    const { view } = this.#options;
    const unlooked = [...this.#unlooked()];
    const vanished = new Set<number>();
    for (let from = 0; from < unlooked.length; from += LOOKED_UP_MAX) {
      const some = unlooked.slice(from, from + LOOKED_UP_MAX);
      const records = await Promise.all(some.map((ino) => recordAt(view, ino)));
      for (const [i, ino] of some.entries()) {
        this.#looked.add(ino);
        const record = records[i];
        // The origin may have it open, too. Then its records go later, those of a large file in several commits.
        if (record === null || record?.nlink === 0) vanished.add(ino);
      }
    }
    if (vanished.size > 0) await this.#findLast(vanished);
  }

  /** The kernel has been told of the new head. */
  told(): void {
    for (const older of this.#olderHeads.values()) older.isTold = true;
  }

  *#unlooked(): Generator<number> {
    if (this.isLost) return;
    const { table, changed } = this.#options;
    for (const ino of table.inUse.openFiles()) {
      if (this.#looked.has(ino) || changed?.has(ino) === false) continue;
      if (!isKept(table.peek(ino))) yield ino;
    }
  }

  /** Goes back from the new head to the one that is shown, over those between them. */
  async #findLast(vanished: Set<number>): Promise<void> {
    const { tree, newest } = this.#options;
    const { head: shown } = this.shown.view;
    let commit: CommitRecord | null = newest;
    let { length } = this.#options.view.head;
    for (let steps = 0; commit !== null && steps < limits.followed_commits_max; steps++) {
      const { previous, changes }: CommitRecord = commit;
      if (previous.fork !== shown.fork || previous.length >= length) break;
      if (previous.length <= shown.length) break;
      length = previous.length;
      const view = tree.at(previous);
      const changed = changes === null ? null : new Set(changes.inodes);
      for (const ino of vanished) {
        if (changed === null || changed.has(ino)) await this.#findAt(view, ino, vanished);
      }
      commit = vanished.size === 0 ? null : await commitAt(view);
    }
    for (const ino of vanished) await this.#findAt(this.shown.view, ino, vanished);
  }

  async #findAt(view: TreeView, ino: number, vanished: Set<number>): Promise<void> {
    const record = await recordAt(view, ino);
    if (record === null || record === undefined || record.nlink === 0) return;
    // An inode never becomes another kind; a malicious owner may say so.
    if ((record.mode & S_IFMT) !== S_IFREG) return;
    this.found.set(ino, { record, older: this.#olderHead(view) });
    vanished.delete(ino);
  }

  #olderHead(view: TreeView): OlderHead {
    const known = this.#olderHeads.get(view.head.length);
    if (known !== undefined) return known;
    const older = { view, isTold: false };
    this.#olderHeads.set(view.head.length, older);
    return older;
  }
}

/** null for a damaged one, or one that is not here. */
async function commitAt(view: TreeView): Promise<CommitRecord | null> {
  return (await readBriefly((options) => readCommit(view, options))) ?? null;
}
