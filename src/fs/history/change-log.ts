/** What the versions of a drive changed, newest first: for `shoal log`. */
import { NotFoundError } from '../../errors.js';
import { limits } from '../../limits.js';
import { decodeEntry } from '../../tree/entry-record.js';
import { entryKey, inodeKey } from '../../tree/keys.js';
import type { Head, TreeView } from '../../tree/tree.js';
import { findPath, namesOf, PathFinder, shownPath } from './drive-paths.js';
import type { KnownVersion, VersionedTree, VersionHistory } from './version-history.js';

/** Versions whose names are gone through to find those of files that changed. */
const NAME_SCANS_MAX = 3;

export type LoggedChange = {
  kind: 'added' | 'removed' | 'changed';
  /** null: an inode of which no name was found. */
  path: string | null;
  ino: number | null;
};

export interface LoggedVersion {
  version: number;
  /** Milliseconds since 1970. */
  timeMs: number;
  /** Index into the drive's table of writers. */
  writer: number;
  /** Inodes in the drive, and the sum of the sizes of all files. */
  inodes: number;
  fileBytes: number;
  /** The first of the changes; null when the version does not say what it changed. */
  changes: LoggedChange[] | null;
  /** How many more there are. */
  more: number;
}

export interface LogPage {
  versions: LoggedVersion[];
  /** Go on with versions before this one; null at the end. */
  before: number | null;
}

export interface LogOptions {
  /** Only versions that changed what is at this path. */
  path: string | null;
  limit: number;
  /** Only versions before this one. */
  before: number | null;
}

/** Throws NotFoundError for a path that is not there, UsageError, and what reading the tree throws. */
export async function readLog(
  tree: VersionedTree,
  history: VersionHistory,
  { path, limit, before }: LogOptions,
): Promise<LogPage> {
  const from = before === null ? Number.POSITIVE_INFINITY : before - 1;
  const versions: KnownVersion[] = [];
  let next: number | null = null;
  const all = path === null ? history.versions(from) : versionsOf(tree, history, path, from);
  for await (const known of all) {
    if (versions.length === limit) {
      next = (versions[limit - 1] as KnownVersion).point.version;
      break;
    }
    versions.push(known);
  }
  return { versions: await new ChangeLister(tree).list(versions), before: next };
}

/**
 * Versions that changed a file: the tree tells in which block each record was written last, so those in between are
 * not looked at. A directory changes when names in it come or go. Ends where the path leads nowhere.
 */
async function* versionsOf(
  tree: VersionedTree,
  history: VersionHistory,
  path: string,
  from: number,
): AsyncGenerator<KnownVersion> {
  const names = namesOf(path);
  const { contiguous } = await history.kept();
  if (from < contiguous) return;
  let at: KnownVersion | null = null;
  for await (const newest of history.versions(from)) {
    at = newest;
    break;
  }
  for (let isFirst = true; at !== null; isFirst = false) {
    const view = tree.at(at.point.head);
    const found = await findPath(view, names);
    if (found === null) {
      if (!isFirst) return;
      throw new NotFoundError(
        `Cannot find '${path}' in version ${at.point.version}; 'shoal log' without a path shows when names were removed`,
      );
    }
    const blocks = [await view.blockOf(inodeKey(found.ino))];
    if (names.length > 0) blocks.push(await view.blockOf(entryKey(found.parent, found.name)));
    const block = Math.max(...blocks.map((each) => each ?? 0));
    const changed = await history.versionOfBlock(at, block, contiguous);
    yield changed;
    if (changed.point.version <= contiguous || changed.commit.previous.length === 0) return;
    at = await history.before(changed);
  }
}

/** Finds out what versions changed, with paths. */
class ChangeLister {
  readonly #tree: VersionedTree;

  constructor(tree: VersionedTree) {
    this.#tree = tree;
  }

  async list(versions: readonly KnownVersion[]): Promise<LoggedVersion[]> {
    const listed: LoggedVersion[] = [];
    for (const known of versions) listed.push(await this.#list(known));
    await this.#nameFiles(listed, versions);
    return listed;
  }

  async #list({ point, commit }: KnownVersion): Promise<LoggedVersion> {
    const { version, timeMs } = point;
    const { inodeCount, fileBytes } = commit;
    const logged = { version, timeMs, writer: 0, inodes: inodeCount, fileBytes };
    if (commit.changes === null) return { ...logged, changes: null, more: 0 };
    const { entries, inodes } = commit.changes;
    const after = this.#tree.at(point.head);
    const before = commit.previous.length === 0 ? null : this.#before(commit.previous);
    const pathsNow = new PathFinder(after);
    const pathsThen = before === null ? null : new PathFinder(before);
    const changes: LoggedChange[] = [];
    // Those that are named with what happened to their names, and directories, whose names came or went.
    const told = new Set<number>(entries.map(({ parent }) => parent));
    let more = 0;
    for (const { parent, name } of entries) {
      const now = inoOf(await after.get(entryKey(parent, name)));
      const then = before === null ? null : inoOf(await before.get(entryKey(parent, name)));
      if (now !== null) told.add(now);
      if (then !== null) told.add(then);
      // Made and removed again before the commit.
      if (now === then) continue;
      if (changes.length >= limits.log_changes_max) {
        more++;
        continue;
      }
      const kind = then === null ? 'added' : now === null ? 'removed' : 'changed';
      const names = await (now === null ? (pathsThen ?? pathsNow) : pathsNow).entry(parent, name);
      changes.push({ kind, path: shownPath(names ?? [name]), ino: now ?? then });
    }
    for (const ino of inodes) {
      if (told.has(ino)) continue;
      if (changes.length >= limits.log_changes_max) more++;
      else changes.push({ kind: 'changed', path: null, ino });
    }
    return { ...logged, changes, more };
  }

  #before({ length }: Head): TreeView {
    return this.#tree.at({ length, fork: this.#tree.head.fork });
  }

  /** Files that only changed are looked for together: in the newest version, and then where they last were. */
  async #nameFiles(
    listed: readonly LoggedVersion[],
    known: readonly KnownVersion[],
  ): Promise<void> {
    let nameless = listed.filter(({ changes }) => changes?.some(isNameless));
    let head = this.#tree.head;
    for (let i = 0; i < NAME_SCANS_MAX && nameless.length > 0; i++) {
      await nameIn(
        this.#tree.at(head),
        nameless.flatMap(({ changes }) => changes ?? []),
      );
      nameless = nameless.filter(({ changes }) => changes?.some(isNameless));
      const newest = known.find(({ point }) => point.version === nameless[0]?.version);
      if (newest !== undefined) head = newest.point.head;
    }
  }
}

function isNameless({ path }: LoggedChange): boolean {
  return path === null;
}

async function nameIn(view: TreeView, changes: readonly LoggedChange[]): Promise<void> {
  const finder = new PathFinder(view);
  const wanted = new Set<number>();
  for (const change of changes.filter(isNameless)) {
    const names = change.ino === null ? null : await finder.directory(change.ino);
    if (names !== null) change.path = names.length === 0 ? '.' : shownPath(names);
    else if (change.ino !== null) wanted.add(change.ino);
  }
  const found = await finder.files(wanted, limits.history_names_read_max);
  for (const change of changes.filter(isNameless)) {
    const names = change.ino === null ? undefined : found.get(change.ino);
    if (names !== undefined) change.path = shownPath(names);
  }
}

function inoOf(entry: Buffer | null): number | null {
  return entry === null ? null : decodeEntry(entry).ino;
}
