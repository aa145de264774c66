/** Paths within a drive, as commands take them. */
import { NotFoundError, UsageError } from '../errors.js';
import { isValidName } from '../tree/entry-record.js';
import type { Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';

const ROOT_INO = 1;

/** Where a path leads. The root has no name and is its own parent. */
export interface Place {
  parent: Inode;
  name: string;
  inode: Inode;
}

/**
 * The names of a path below the root of a drive, "a/b" or "/a/b/"; none for the root. Names have one character per byte.
 * Throws UsageError.
 */
export function namesOfPath(path: string): string[] {
  const names = Buffer.from(path, 'utf8').toString('latin1').split('/');
  const kept = names.filter((name) => name !== '' && name !== '.');
  if (!kept.every(isValidName)) {
    throw new UsageError(
      `Cannot use path '${path}': give the path within the drive, such as 'photos/2026', without '..'`,
    );
  }
  return kept;
}

/** For messages. */
export function pathOfNames(names: readonly string[]): string {
  return Buffer.from(names.join('/'), 'latin1').toString('utf8');
}

/** Of names that lead nowhere: in the same words wherever they were given. */
export function noSuchPath(names: readonly string[]): NotFoundError {
  return new NotFoundError(`Cannot find '/${pathOfNames(names)}' in the drive`);
}

/** Follows no symbolic links. Throws NotInMemory, NotFoundError, DamagedError. */
export function needPlace(table: InodeTable, names: readonly string[]): Place {
  let inode = table.need(ROOT_INO);
  let place: Place = { parent: inode, name: '', inode };
  for (const [i, name] of names.entries()) {
    const entry = inode.isDirectory ? table.needEntry(inode, name) : null;
    if (entry === null) throw noSuchPath(names.slice(0, i + 1));
    const parent = inode;
    inode = table.needNamed(parent, name, entry);
    place = { parent, name, inode };
  }
  return place;
}
