/** What differs between two versions, as paths: for `shoal diff`. */
import { limits } from '../../limits.js';
import { decodeEntry, entryNameOfKey } from '../../tree/entry-record.js';
import { decodeInode } from '../../tree/inode-record.js';
import { inoOfKey, isKeyOfInode, RecordKind } from '../../tree/keys.js';
import type { RecordDifference, Tree } from '../../tree/tree.js';
import type { VersionPoint } from '../../tree/version-point.js';
import { S_IFDIR, S_IFMT } from '../inode.js';
import { PathFinder, shownPath } from './drive-paths.js';
import { LikelyNames } from './likely-names.js';
import { VersionHistory } from './version-history.js';

export type PathDifference =
  | { kind: 'added' | 'removed' | 'changed'; path: string }
  | { kind: 'renamed'; path: string; to: string };

export interface VersionDiff {
  differences: PathDifference[];
  /** There are more than `limits.diff_paths_max`. */
  isCut: boolean;
}

interface Name {
  parent: number;
  name: string;
  isDirectory: boolean;
}

/** Gathers the records that differ. */
class Gathered {
  /** Names by the inode they lead to. */
  readonly removed = new Map<number, Name[]>();
  readonly added = new Map<number, Name[]>();
  /** Names that lead to another inode. */
  readonly replaced: Name[] = [];
  readonly changedFiles = new Set<number>();
  readonly changedDirectories = new Set<number>();
  count = 0;

  add(difference: RecordDifference): void {
    const { key, before, after } = difference;
    if (!isKeyOfInode(key)) return;
    const ino = inoOfKey(key);
    if (key[0] === RecordKind.entry) this.#addEntry(ino, entryNameOfKey(key), difference);
    else if (key[0] === RecordKind.inode && before !== null && after !== null) {
      this.#addInode(ino, before, after);
    }
  }

  #addEntry(parent: number, name: string, { before, after }: RecordDifference): void {
    this.count++;
    const old = before === null ? null : decodeEntry(before);
    const now = after === null ? null : decodeEntry(after);
    if (old !== null && now !== null) {
      // What is in it has names of its own.
      if (old.type === S_IFDIR && now.type === S_IFDIR) return;
      this.replaced.push({ parent, name, isDirectory: now.type === S_IFDIR });
    }
    for (const [entry, names] of [[old, this.removed] as const, [now, this.added] as const]) {
      if (entry === null || (old !== null && now !== null)) continue;
      push(names, entry.ino, { parent, name, isDirectory: entry.type === S_IFDIR });
    }
  }

  /** Content, attributes and extended attributes all leave their trace in the times of the inode. */
  #addInode(ino: number, before: Buffer, after: Buffer): void {
    const [old, now] = [decodeInode(ino, before), decodeInode(ino, after)];
    const isDirectory = (now.mode & S_IFMT) === S_IFDIR;
    if (!isDirectory) {
      // Its other names came or went.
      const isSame =
        old.mtimeSec === now.mtimeSec && old.mtimeNsec === now.mtimeNsec && old.size === now.size;
      const areAttributes =
        old.mode === now.mode &&
        old.uid === now.uid &&
        old.gid === now.gid &&
        old.nlink !== now.nlink;
      if (isSame && areAttributes) return;
      // An access alone is no change.
      if (old.ctimeSec === now.ctimeSec && old.ctimeNsec === now.ctimeNsec && isSame) return;
      this.changedFiles.add(ino);
    } else if (old.mode === now.mode && old.uid === now.uid && old.gid === now.gid) return;
    else this.changedDirectories.add(ino);
    this.count++;
  }
}

function push(names: Map<number, Name[]>, ino: number, name: Name): void {
  const known = names.get(ino);
  if (known === undefined) names.set(ino, [name]);
  else known.push(name);
}

/** In the order of the paths. Throws what reading the tree throws. */
export async function diffVersions(
  tree: Tree,
  from: VersionPoint,
  to: VersionPoint,
): Promise<VersionDiff> {
  const gathered = new Gathered();
  let isCut = false;
  for await (const difference of tree.differences(from.head, to.head)) {
    gathered.add(difference);
    isCut = gathered.count >= limits.diff_paths_max;
    if (isCut) break;
  }
  const before = new PathFinder(tree.at(from.head));
  const after = new PathFinder(tree.at(to.head));
  const differences: PathDifference[] = [];
  const renamed = new Set<number>();
  const removed = new Map<string, Name>();
  const changed = new Set<string>();
  for (const [ino, olds] of gathered.removed) {
    const news = gathered.added.get(ino) ?? [];
    for (const [i, old] of olds.entries()) {
      const path = await pathOf(before, old);
      const now = news[i];
      if (now === undefined) removed.set(path, old);
      else {
        differences.push({ kind: 'renamed', path, to: await pathOf(after, now) });
        renamed.add(ino);
      }
    }
    gathered.added.set(ino, news.slice(olds.length));
  }
  for (const [ino, news] of gathered.added) {
    for (const name of news) {
      const path = await pathOf(after, name);
      const old = removed.get(path);
      if (old === undefined) differences.push({ kind: 'added', path });
      // Its directory was made anew.
      else if (removed.delete(path) && !(old.isDirectory && name.isDirectory)) changed.add(path);
    }
    // Its other names came; a renamed file has a new time of change, whatever else changed.
    if (news.length > 0 || renamed.has(ino)) gathered.changedFiles.delete(ino);
  }
  for (const path of removed.keys()) differences.push({ kind: 'removed', path });
  for (const name of gathered.replaced) changed.add(await pathOf(after, name));
  for (const ino of gathered.changedDirectories) {
    const names = await after.directory(ino);
    if (names !== null) changed.add(shownPath(names));
  }
  const likely = new LikelyNames(tree.at(to.head), new VersionHistory(tree));
  const files = await after.files(gathered.changedFiles, Number.POSITIVE_INFINITY, likely);
  for (const names of files.values()) changed.add(shownPath(names));
  for (const path of changed) differences.push({ kind: 'changed', path });
  differences.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { differences, isCut };
}

async function pathOf(finder: PathFinder, { parent, name }: Name): Promise<string> {
  return shownPath((await finder.entry(parent, name)) ?? [name]);
}
