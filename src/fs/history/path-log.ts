/** The versions that changed what is at a path, newest first, and where it was before it came there: for `shoal log`. */
import { NotFoundError } from '../../errors.js';
import { decodeEntry } from '../../tree/entry-record.js';
import { entryKey, inodeKey } from '../../tree/keys.js';
import type { TreeView } from '../../tree/tree.js';
import { noSuchPath } from '../drive-path.js';
import { S_IFDIR } from '../inode.js';
import { type FoundPath, findSteps, namesOf, PathFinder, shownPath } from './drive-paths.js';
import type { KnownVersion, VersionedTree, VersionHistory } from './version-history.js';

export interface PathVersion {
  known: KnownVersion;
  /** What is at the path now was here in the version before; null when it was at the path, or nowhere that is known. */
  renamedFrom: string | null;
}

/**
 * Versions that changed a file: the tree tells in which block each record was written last, so those in between are
 * not looked at. A directory changes when names in it come or go, a path when one of its names leads elsewhere. Ends where
 * the path leads nowhere. `from`: the newest version to look at.
 *
 * Throws NotFoundError where the path leads nowhere in that one.
 */
export async function* versionsOfPath(
  tree: VersionedTree,
  history: VersionHistory,
  path: string,
  from: number,
): AsyncGenerator<PathVersion> {
  const names = namesOf(path);
  const { contiguous } = await history.kept();
  if (from < contiguous) return;
  let at: KnownVersion | null = null;
  for await (const newest of history.versions(from)) {
    at = newest;
    break;
  }
  if (at === null) return;
  let view = tree.at(at.point.head);
  let steps = await findSteps(view, names);
  if (steps === null) {
    throw new NotFoundError(
      `${noSuchPath(names).message} of version ${at.point.version}; 'shoal log' without a path shows when names were removed`,
    );
  }
  for (;;) {
    const block = await newestBlock(view, steps);
    const changed: KnownVersion = await history.versionOfBlock(at, block, contiguous);
    if (changed.point.version <= contiguous || changed.commit.previous.length === 0) {
      yield { known: changed, renamedFrom: null };
      return;
    }
    at = await history.before(changed);
    view = tree.at(at.point.head);
    const before = await findSteps(view, names);
    const isMoved = before?.at(-1)?.ino !== steps.at(-1)?.ino;
    yield { known: changed, renamedFrom: isMoved ? await pathIn(view, changed, steps) : null };
    if (before === null) return;
    steps = before;
  }
}

/** The newest block that has a record of the way to a file, or of the file. */
async function newestBlock(view: TreeView, steps: readonly FoundPath[]): Promise<number> {
  const last = steps[steps.length - 1] as FoundPath;
  let newest = (await view.blockOf(inodeKey(last.ino))) ?? 0;
  for (const { parent, name } of steps) {
    // The root has no name.
    if (name === '') continue;
    newest = Math.max(newest, (await view.blockOf(entryKey(parent, name))) ?? 0);
  }
  return newest;
}

/**
 * The path, in the version before, of what a version brought to where `steps` lead; null when it was not there, or when
 * the version does not list the name it had.
 */
async function pathIn(
  before: TreeView,
  { commit }: KnownVersion,
  steps: readonly FoundPath[],
): Promise<string | null> {
  const last = steps[steps.length - 1] as FoundPath;
  const finder = new PathFinder(before);
  if (last.type === S_IFDIR) return shown(await finder.directory(last.ino));
  // Its own name may be as it was, in a directory that has another.
  for (const { parent, name } of [last, ...(commit.changes?.entries ?? [])]) {
    const bytes = await before.get(entryKey(parent, name));
    if (bytes === null || decodeEntry(bytes).ino !== last.ino) continue;
    return shown(await finder.entry(parent, name));
  }
  return null;
}

function shown(names: readonly string[] | null): string | null {
  return names === null ? null : shownPath(names);
}
