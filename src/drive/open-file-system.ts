/** A drive's file system without a mount, for commands. */
import { DriveFileSystem } from '../fs/drive-file-system.js';
import { type Drive, openDrive } from './drive.js';
import type { Home } from './home.js';

export interface FileSystemSession {
  drive: Drive;
  fileSystem: DriveFileSystem;
}

/**
 * Opens a drive that is not mounted, without a network, and closes it after `run`.
 * Throws what {@link openDrive} and `run` throw.
 */
export async function withFileSystem<T>(
  home: Home,
  name: string,
  options: { command: string; readOnly: boolean; log: (line: string) => void },
  run: (session: FileSystemSession) => Promise<T>,
): Promise<T> {
  const drive = await openDrive(home, name, { ...options, offline: true });
  try {
    const fileSystem = await openFileSystem(drive, options.log);
    try {
      return await run({ drive, fileSystem });
    } finally {
      await fileSystem.close();
    }
  } finally {
    await drive.close();
  }
}

/** Of a drive that nothing is mounted of. */
export function openFileSystem(
  drive: Drive,
  log: (line: string) => void,
): Promise<DriveFileSystem> {
  return DriveFileSystem.open({
    tree: drive.tree,
    content: drive.content,
    sync: () => drive.sync(),
    readOnly: !drive.writable,
    mountUid: 0,
    mountGid: 0,
    numericOwner: true,
    storeDirectory: drive.paths.store,
    log,
  });
}
