/** What a drive's file system is opened with, and what it tells of itself. */
import type { ContentStore } from '../content/content-store.js';
import type { Tree } from '../tree/tree.js';
import type { VersionPoint } from '../tree/version-point.js';
import type { Clock } from './clock.js';
import type { Journal } from './journal-writer.js';

export interface DriveFileSystemOptions {
  tree: Tree;
  content: ContentStore;
  /** Brings everything appended so far to stable storage. */
  sync: () => Promise<void>;
  /** Where fsync notes what is not committed yet. Without one it commits. */
  journal?: Journal | null;
  readOnly: boolean;
  /** Who mounts: the owner of everything on a drive that is open for reading, unless `numericOwner`. */
  mountUid: number;
  mountGid: number;
  numericOwner: boolean;
  /** Keep access lists, and let the kernel go by them. */
  posixAcl?: boolean;
  /** Tell programs when a file was made. */
  birthTimes?: boolean;
  /** `statfs` shows the disk that this is on. */
  storeDirectory: string;
  log: (line: string) => void;
  clock?: Clock;
  /** Show this version, and no other; with `readOnly`. */
  at?: VersionPoint;
}

/** Figures for `shoal status`. */
export interface DriveFileSystemFigures {
  /** Commits so far. */
  version: number;
  inodes: number;
  /** Sum of the sizes of all files. */
  fileBytes: number;
  /** Written and not yet committed. */
  dirtyBytes: number;
  dirtyRecords: number;
  openFiles: number;
  cachedInodes: number;
  /** Directories whose records are being deleted in the background. */
  removing: number;
}
