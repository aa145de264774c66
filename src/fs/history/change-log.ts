/** What the versions of a drive changed, newest first: for `shoal log`. */
import { limits } from '../../limits.js';
import { decodeEntry } from '../../tree/entry-record.js';
import { entryKey, inodeKey } from '../../tree/keys.js';
import type { Head, TreeView } from '../../tree/tree.js';
import { findPath, PathFinder, shownPath } from './drive-paths.js';
import { LikelyNames } from './likely-names.js';
import { otherChanges } from './other-changes.js';
import { type PathVersion, versionsOfPath } from './path-log.js';
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
  /** In words, what else the version did, if it changed no file that there is. */
  notes: string[];
  /** Of a path's log: where in the version before was what this one brought to the path, if it was anywhere known. */
  renamedFrom: string | null;
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
  const found: PathVersion[] = [];
  let next: number | null = null;
  const all = path === null ? allOf(history, from) : versionsOfPath(tree, history, path, from);
  for await (const version of all) {
    if (found.length === limit) {
      next = (found[limit - 1] as PathVersion).known.point.version;
      break;
    }
    found.push(version);
  }
  const lister = new ChangeLister(tree, history, (await history.kept()).contiguous);
  const listed = await lister.list(found.map(({ known }) => known));
  const versions = listed.map((each, i) => ({
    ...each,
    renamedFrom: found[i]?.renamedFrom ?? null,
  }));
  return { versions, before: next };
}

async function* allOf(history: VersionHistory, from: number): AsyncGenerator<PathVersion> {
  for await (const known of history.versions(from)) yield { known, renamedFrom: null };
}

/** Finds out what versions changed, with paths. */
class ChangeLister {
  readonly #tree: VersionedTree;
  readonly #history: VersionHistory;
  /** All versions from this one on are kept. */
  readonly #contiguous: number;

  constructor(tree: VersionedTree, history: VersionHistory, contiguous: number) {
    this.#tree = tree;
    this.#history = history;
    this.#contiguous = contiguous;
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
    const logged = {
      version,
      timeMs,
      writer: 0,
      inodes: inodeCount,
      fileBytes,
      notes: [],
      renamedFrom: null,
    };
    if (commit.changes === null) return { ...logged, changes: null, more: 0 };
    const { entries, inodes } = commit.changes;
    const after = this.#tree.at(point.head);
    // What was before the oldest version, or one that is kept alone, was collected.
    const isKept = commit.previous.length > 0 && version > this.#contiguous;
    const before = isKept ? this.#before(commit.previous) : null;
    const pathsNow = new PathFinder(after);
    const pathsThen = before === null ? null : new PathFinder(before);
    const changes: LoggedChange[] = [];
    // Those that are named with what happened to their names, and directories, whose names came or went.
    const told = new Set<number>(entries.map(({ parent }) => parent));
    let more = 0;
    for (const [i, { parent, name }] of entries.entries()) {
      if (changes.length >= limits.log_changes_max) {
        return { ...logged, changes, more: entries.length - i };
      }
      const now = inoOf(await after.get(entryKey(parent, name)));
      const then = before === null ? null : inoOf(await before.get(entryKey(parent, name)));
      if (now !== null) told.add(now);
      if (then !== null) told.add(then);
      // Made and removed again before the commit.
      if (now === then && (isKept || version === 1)) continue;
      const isNew = then === null && (isKept || version === 1);
      const kind = now === null ? 'removed' : isNew ? 'added' : 'changed';
      const names = await (now === null ? (pathsThen ?? pathsNow) : pathsNow).entry(parent, name);
      changes.push({ kind, path: shownPath(names ?? [name]), ino: now ?? then });
    }
    let deletedFiles = 0;
    for (const ino of inodes) {
      if (told.has(ino)) continue;
      if (changes.length >= limits.log_changes_max) more++;
      // Files that were deleted lose their records some commits after their names.
      else if ((await after.get(inodeKey(ino))) !== null)
        changes.push({ kind: 'changed', path: null, ino });
      else deletedFiles++;
    }
    if (changes.length > 0 || more > 0 || before === null) return { ...logged, changes, more };
    const notes = await otherChanges(before, after, deletedFiles);
    return { ...logged, changes, more, notes };
  }

  #before({ length }: Head): TreeView {
    return this.#tree.at({ length, fork: this.#tree.head.fork });
  }

  /**
   * Files that only changed are looked for together: in the newest version, and where that has other names for them,
   * in the versions themselves.
   */
  async #nameFiles(
    listed: readonly LoggedVersion[],
    known: readonly KnownVersion[],
  ): Promise<void> {
    const heads = new Map(known.map(({ point }) => [point.version, point.head]));
    const names = new Map<number, string[]>();
    let head: Head | undefined = this.#tree.head;
    for (let i = 0; i < NAME_SCANS_MAX && head !== undefined; i++) {
      const nameless = listed.filter(({ changes }) => changes?.some(isNameless));
      if (nameless.length === 0) return;
      const found = await namesIn(this.#tree.at(head), this.#history, nameless);
      for (const [ino, path] of found) if (!names.has(ino)) names.set(ino, path);
      for (const { version, changes } of nameless) {
        const view = this.#tree.at(heads.get(version) ?? head);
        for (const change of changes?.filter(isNameless) ?? []) {
          const path = found.get(change.ino ?? 0);
          if (path === undefined || (await findPath(view, path))?.ino !== change.ino) continue;
          change.path = shownPath(path);
        }
      }
      const next = nameless.find(({ changes }) => changes?.some(isNameless));
      head = next === undefined ? undefined : heads.get(next.version);
    }
    for (const change of listed.flatMap(({ changes }) => changes ?? []).filter(isNameless)) {
      const path = names.get(change.ino ?? 0);
      if (path !== undefined) change.path = shownPath(path);
    }
  }
}

function isNameless({ path }: LoggedChange): boolean {
  return path === null;
}

/** Paths in one version of the inodes that have none yet. */
async function namesIn(
  view: TreeView,
  history: VersionHistory,
  versions: readonly LoggedVersion[],
): Promise<Map<number, string[]>> {
  const finder = new PathFinder(view);
  const found = new Map<number, string[]>();
  const wanted = new Set<number>();
  for (const { ino } of versions.flatMap(({ changes }) => changes ?? []).filter(isNameless)) {
    if (ino === null || found.has(ino) || wanted.has(ino)) continue;
    const names = await finder.directory(ino);
    if (names === null) wanted.add(ino);
    else found.set(ino, names);
  }
  for (const [ino, names] of await finder.files(
    wanted,
    limits.history_names_read_max,
    new LikelyNames(view, history),
  )) {
    found.set(ino, names);
  }
  return found;
}

function inoOf(entry: Buffer | null): number | null {
  return entry === null ? null : decodeEntry(entry).ino;
}
