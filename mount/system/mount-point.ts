import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { MountPointError } from '../errors.js';
import { mountLimits } from '../limits.js';
import { isDeadMount, isOfDeadMount } from './dead-mount.js';
import type { MountMethod } from './mount-method.js';
import { mountAt, readMountTable } from './mount-table.js';

/**
 * Makes sure that a directory can be mounted on, and returns its path without symbolic links. A dead mount there (its
 * process was killed) is detached first, with a notice. Throws {@link MountPointError}.
 */
export async function prepareMountPoint(
  given: string,
  method: MountMethod,
  onNotice: (line: string) => void,
): Promise<string> {
  if (!isAbsolute(given)) {
    throw new MountPointError(`Cannot mount at '${given}': the path must be absolute`);
  }
  const directory = await canonicalPath(given);
  for (let detached = 0; await isDead(directory); detached++) {
    const result = await method.unmount(directory, true);
    // Whoever was to unmount it when its process ended may have come first.
    if (result.outcome !== 'unmounted' && !(await isDead(directory))) break;
    if (result.outcome !== 'unmounted' || detached >= mountLimits.stale_mounts_max) {
      const why = result.text === '' ? '' : ` (${result.text})`;
      throw new MountPointError(
        `Cannot mount at '${directory}': a dead mount is there and cannot be detached${why}; detach it with 'fusermount3 -uz'`,
      );
    }
    onNotice(`Detached a dead mount at '${directory}'`);
  }
  await checkDirectory(directory);
  return directory;
}

async function canonicalPath(given: string): Promise<string> {
  try {
    return await realpath(given);
  } catch (error) {
    // The last part is a dead mount; the way to it is not.
    if (isOfDeadMount(error)) return join(await realpath(dirname(given)), basename(given));
    if (codeOf(error) === 'ENOENT') {
      throw new MountPointError(
        `Cannot mount at '${given}': there is no such directory; make it with 'mkdir'`,
        { cause: error },
      );
    }
    throw unusable(given, error);
  }
}

async function isDead(directory: string): Promise<boolean> {
  try {
    return await isDeadMount(directory);
  } catch (error) {
    throw unusable(directory, error);
  }
}

async function checkDirectory(directory: string): Promise<void> {
  const there = mountAt(await readMountTable(), directory);
  if (there !== undefined) {
    throw new MountPointError(
      `Cannot mount at '${directory}': a file system of type ${there.type} is mounted there; unmount it first`,
    );
  }
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') {
      throw new MountPointError(`Cannot mount at '${directory}': it is not a directory`);
    }
    throw unusable(directory, error);
  }
  if (names.length > 0) {
    throw new MountPointError(
      `Cannot mount at '${directory}': the directory is not empty; choose an empty one`,
    );
  }
}

function unusable(path: string, error: unknown): MountPointError {
  const why = error instanceof Error ? error.message : String(error);
  return new MountPointError(`Cannot mount at '${path}': ${why}`, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
