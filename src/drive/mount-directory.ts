/** Whether a directory can be mounted on. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { isDeadMount, isOfDeadMount } from '../../mount/system/dead-mount.js';
import { BusyError, NotFoundError, UsageError } from '../errors.js';
import type { Home } from './home.js';
import { driveNameOf, readMountTable } from './mount-table.js';

/**
 * The absolute path without symbolic links of a directory that a drive can be mounted on. A dead mount there is let
 * through: the driver detaches it. Throws NotFoundError, UsageError, BusyError.
 */
export async function checkMountDirectory(given: string, home: Home): Promise<string> {
  if ((await inspect(given)) === 'dead') return await canonicalMountPath(given);
  const directory = await realpath(given);
  const mounted = (await readMountTable()).findLast((entry) => entry.directory === directory);
  const driveName = mounted === undefined ? null : driveNameOf(mounted);
  if (driveName !== null) {
    throw new BusyError(
      `Cannot mount at '${given}': drive '${driveName}' is mounted there; unmount it with 'shoal unmount ${given}'`,
    );
  }
  if (mounted !== undefined) {
    throw new BusyError(
      `Cannot mount at '${given}': a file system of type ${mounted.type} is mounted there; choose another directory`,
    );
  }
  await checkApart(given, directory, home);
  if ((await readdir(directory)).length > 0) {
    throw new UsageError(
      `Cannot mount at '${given}': the directory is not empty; choose an empty one`,
    );
  }
  return directory;
}

/**
 * The absolute path of a directory without symbolic links, without touching the directory itself: it may be a mount
 * that does not answer. Throws NotFoundError when the directory above is missing.
 */
export async function canonicalMountPath(given: string): Promise<string> {
  const absolute = resolve(given);
  if (absolute === '/') return absolute;
  try {
    return join(await realpath(dirname(absolute)), basename(absolute));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw missing(given);
  }
}

async function inspect(given: string): Promise<'alive' | 'dead'> {
  try {
    if (await isDeadMount(given)) return 'dead';
    if (!(await stat(given)).isDirectory()) {
      throw new UsageError(`Cannot mount at '${given}': it is not a directory`);
    }
    return 'alive';
  } catch (error) {
    if (isOfDeadMount(error)) return 'dead';
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw missing(given);
    if (code === 'ENOTDIR' || code === 'EACCES' || code === 'ELOOP') {
      throw new UsageError(`Cannot mount at '${given}': ${(error as Error).message}`);
    }
    throw error;
  }
}

/** The process would wait for itself if its store lay in its own mount. */
async function checkApart(given: string, directory: string, home: Home): Promise<void> {
  const homeDirectory = await realpathOfExisting(home.directory);
  if (isInside(directory, homeDirectory)) {
    throw new UsageError(
      `Cannot mount at '${given}': it is inside SHOAL_HOME '${home.directory}', where the drives are stored`,
    );
  }
  if (isInside(homeDirectory, directory)) {
    throw new UsageError(
      `Cannot mount at '${given}': SHOAL_HOME '${home.directory}' is inside it; choose another directory`,
    );
  }
}

async function realpathOfExisting(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path;
    throw error;
  }
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function missing(given: string): NotFoundError {
  return new NotFoundError(
    `Cannot mount at '${given}': there is no such directory; make it with 'mkdir -p ${given}'`,
  );
}
