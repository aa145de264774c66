/** Where the control socket of a drive's mount lies: not below SHOAL_HOME, whose path can be too long for one. */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { EnvironmentError } from '../errors.js';

/** `sun_path` holds 108 bytes with the closing NUL. */
const SOCKET_PATH_BYTES_MAX = 107;

/**
 * A path for the socket of the drive in `driveDirectory`, in a folder that only this user can enter, which is made when
 * missing. Throws EnvironmentError when the folder belongs to somebody else.
 */
export function controlSocketPath(driveDirectory: string, environment: NodeJS.ProcessEnv): string {
  const name = `${createHash('sha256').update(driveDirectory).digest('hex').slice(0, 24)}.sock`;
  const runtime = environment.XDG_RUNTIME_DIR;
  if (runtime !== undefined && isAbsolute(runtime)) {
    const folder = join(runtime, 'shoal');
    const path = join(folder, name);
    if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX && isOwnDirectory(runtime)) {
      makePrivateFolder(folder);
      return path;
    }
  }
  const folder = `/tmp/shoal-${process.getuid?.() ?? 0}`;
  makePrivateFolder(folder);
  return join(folder, name);
}

function isOwnDirectory(path: string): boolean {
  try {
    const stat = lstatSync(path);
    return stat.isDirectory() && stat.uid === process.getuid?.();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function makePrivateFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // Others can make this folder first in a shared /tmp: then it is not to be trusted.
  const stat = lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0) {
    throw new EnvironmentError(
      `Cannot use '${path}' for control sockets: it must be a directory of yours with mode 700; remove it or set XDG_RUNTIME_DIR`,
    );
  }
}
