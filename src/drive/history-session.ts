/** Answers commands about a drive's past: in a mount over its control socket, else in a drive that is opened for it. */
import type { ControlHandler } from '../control/server.js';
import { ReadOnlyError } from '../errors.js';
import { DriveFileSystem } from '../fs/drive-file-system.js';
import {
  DriveHistory,
  type HistoryMethod,
  historyChanges,
  historyQuestions,
} from '../fs/history/drive-history.js';
import { HeadsInUse } from '../fs/history/heads-in-use.js';
import { openDrive } from './drive.js';
import type { Home } from './home.js';

// What commands print, and how they read what was typed.
export type { LoggedChange, LoggedVersion, LogPage } from '../fs/history/change-log.js';
export type {
  DiffPage,
  HistoryMethod,
  Restored,
  ShownSnapshot,
} from '../fs/history/drive-history.js';
export type { PathDifference } from '../fs/history/version-diff.js';
export { formatTime } from '../fs/history/version-history.js';
export { checkLabel, parseVersionName, type VersionName } from '../fs/history/version-name.js';

/** Methods of the control socket. */
export function historyHandlers(history: DriveHistory): Record<string, ControlHandler> {
  const methods: HistoryMethod[] = [...historyQuestions, ...historyChanges];
  return Object.fromEntries(
    methods.map((method) => [method, (parameters) => history.call(method, parameters)]),
  );
}

/**
 * Runs `use` over the past of a drive that is not mounted, with what is on this machine. Throws what opening a drive
 * throws, and ReadOnlyError for a change to one that another machine writes.
 */
export async function withHistory<T>(
  home: Home,
  name: string,
  options: { changes: boolean; log: (line: string) => void },
  use: (history: DriveHistory) => Promise<T>,
): Promise<T> {
  const { changes, log } = options;
  const command = changes ? 'change' : 'read';
  const drive = await openDrive(home, name, { command, readOnly: !changes, offline: true, log });
  try {
    if (changes && !drive.writable) {
      throw new ReadOnlyError(`Cannot change '${name}': it is open for reading on this machine`);
    }
    const fileSystem = await DriveFileSystem.open({
      tree: drive.tree,
      content: drive.content,
      sync: () => drive.sync(),
      readOnly: !drive.writable,
      mountUid: process.getuid?.() ?? 0,
      mountGid: process.getgid?.() ?? 0,
      numericOwner: true,
      storeDirectory: drive.paths.store,
      log,
    });
    try {
      return await use(new DriveHistory(fileSystem, drive.tree, new HeadsInUse()));
    } finally {
      await fileSystem.close();
    }
  } finally {
    await drive.close();
  }
}
