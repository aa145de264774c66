/** `shoal ls` over the control socket: parameters come from another process, and are checked here. */
import { UsageError } from '../errors.js';
import type { DriveFileSystem } from '../fs/drive-file-system.js';
import type { ListPage, ListPosition } from '../fs/list-directory.js';
import { isValidName } from '../tree/entry-record.js';

// What commands print.
export type {
  ListedDetails,
  ListedEntry,
  ListPage,
  ListPosition,
  ListProblem,
} from '../fs/list-directory.js';

/** Throws UsageError, and what {@link DriveFileSystem.list} throws. */
export async function listPage(
  fileSystem: DriveFileSystem,
  { path, details, next }: Record<string, unknown>,
  signal: AbortSignal,
): Promise<ListPage> {
  if (typeof path !== 'string') throw new UsageError('Cannot list: the request names no path');
  return await fileSystem.list({ path, details: details === true, next: positionOf(next), signal });
}

function positionOf(value: unknown): ListPosition | undefined {
  if (value === undefined || value === null) return undefined;
  const { head, after } = value as { head?: { length?: unknown; fork?: unknown }; after?: unknown };
  const length = head?.length;
  const fork = head?.fork;
  const isName = typeof after === 'string' && isValidName(after);
  if (isCount(length) && length > 0 && isCount(fork) && isName) {
    return { head: { length, fork }, after };
  }
  throw new UsageError('Cannot go on listing: the request does not say where');
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
