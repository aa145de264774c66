/**
 * A drive's file system with its past in `.shoal`: passes on what concerns the drive, and answers what concerns the
 * past from views of older versions. `.shoal` is reachable by name and in no listing, so that whoever copies or
 * deletes everything does not come upon it. It is read-only. A file of the drive that is called so goes before it.
 */
import type {
  Answer,
  Caller,
  DirectorySink,
  Entry,
  FileSystem,
  KernelNotifier,
  MountParameters,
  NegativeEntry,
  OpenAnswer,
  TimedAttributes,
} from '../../../mount/file-system.js';
import { limits } from '../../limits.js';
import type { VersionPoint } from '../../tree/version-point.js';
import { DriveFileSystem, type DriveFileSystemOptions } from '../drive-file-system.js';
import { PosixError } from '../posix-error.js';
import { GuardedFileSystem, HISTORY_NAME, then } from './guarded-file-system.js';
import type { HeadsInUse } from './heads-in-use.js';
import { HistoryDirectories } from './history-directories.js';
import type { VersionHistory } from './version-history.js';
import { HistoryIno, inoInView, isHistory, numberOf, ROOT_INO, slotOf } from './view-numbers.js';
import { type View, ViewTable } from './view-table.js';

/** How long the kernel may remember what a snapshot or a version leads to. */
const NAME_REMEMBER_SEC = 1;

const NO_NAME: NegativeEntry = { attributes: null, entryTimeoutSec: 0 };

/** The past does not change, so there is nothing to tell. */
const SILENT_KERNEL: KernelNotifier = {
  invalidateInode: () => Promise.resolve(),
  invalidateAttributes: () => Promise.resolve(),
  invalidateEntry: () => Promise.resolve(),
  deleteEntry: () => Promise.resolve(),
};

export interface HistoryFileSystemOptions {
  drive: DriveFileSystem;
  /** Those of the drive. */
  driveOptions: DriveFileSystemOptions;
  history: VersionHistory;
  headsInUse: HeadsInUse;
}

export class HistoryFileSystem extends GuardedFileSystem implements FileSystem {
  readonly readOnly: boolean;
  readonly wantsWritebackCache: boolean;
  readonly wantsPosixAcl: boolean;
  readonly wantsBirthTimes: boolean;
  readonly #drive: DriveFileSystem;
  readonly #directories: HistoryDirectories;
  readonly #views: ViewTable;
  readonly #headsInUse: HeadsInUse;
  #parameters: MountParameters | null = null;

  constructor({ drive, driveOptions, history, headsInUse }: HistoryFileSystemOptions) {
    super(drive);
    this.#drive = drive;
    this.readOnly = drive.readOnly;
    this.wantsWritebackCache = drive.wantsWritebackCache;
    this.wantsPosixAcl = drive.wantsPosixAcl;
    this.wantsBirthTimes = drive.wantsBirthTimes;
    const { mountUid: uid, mountGid: gid } = driveOptions;
    this.#directories = new HistoryDirectories({ history, uid, gid });
    this.#headsInUse = headsInUse;
    this.#views = new ViewTable({
      headsInUse: this.#headsInUse,
      open: (at) => this.#openView(driveOptions, at),
    });
  }

  /** Older versions that are open, or were just now. */
  headsInUse(): VersionPoint[] {
    this.#views.closeIdle(limits.history_view_idle_ms);
    return this.#headsInUse.list();
  }

  /** Older versions in memory. */
  get openViews(): number {
    return this.#views.openCount;
  }

  /** Gives memory back that is only held to be faster. */
  releaseMemory(): void {
    this.#views.closeIdle(0);
    this.#drive.releaseMemory();
  }

  async #openView(options: DriveFileSystemOptions, at: VersionPoint): Promise<DriveFileSystem> {
    const numericOwner = !options.readOnly || options.numericOwner;
    const fileSystem = await DriveFileSystem.open({ ...options, numericOwner, readOnly: true, at });
    const requestBytesMax = this.#parameters?.requestBytesMax ?? 0;
    const posixAcl = this.#parameters?.posixAcl === true;
    fileSystem.start(SILENT_KERNEL, { requestBytesMax, posixAcl, writebackCache: false });
    return fileSystem;
  }

  start(kernel: KernelNotifier, parameters: MountParameters): void {
    this.#parameters = parameters;
    this.#drive.start(kernel, parameters);
  }

  stopped(): void {
    this.#views.closeAll();
    this.#drive.stopped();
  }

  errnoOf(error: unknown, operation: string, ino: number): number {
    return this.#drive.errnoOf(error, operation, ino);
  }

  // The way into the past

  lookup(parent: number, name: string, caller: Caller): Answer<Entry | NegativeEntry> {
    if (!isHistory(parent)) {
      const found = this.#drive.lookup(parent, name, caller);
      if (parent !== ROOT_INO || name !== HISTORY_NAME) return found;
      return then(found, (entry) => (entry.attributes === null ? this.#directory() : entry));
    }
    if (slotOf(parent) === 0) return this.#lookupView(parent, name, caller);
    return this.#inView(parent, (fileSystem, view, ino) =>
      then(fileSystem.lookup(ino, name, caller), (entry) => {
        if (entry.attributes === null) return entry;
        return this.#told(view, entry);
      }),
    );
  }

  #directory(ino: number = HistoryIno.top): Entry {
    const attributes = this.#directories.attributesOf(ino);
    return {
      attributes,
      entryTimeoutSec: NAME_REMEMBER_SEC,
      attributesTimeoutSec: NAME_REMEMBER_SEC,
    };
  }

  async #lookupView(parent: number, name: string, caller: Caller): Promise<Entry | NegativeEntry> {
    const found = await this.#directories.find(parent, name);
    if (found === null) return NO_NAME;
    if (typeof found === 'number') return this.#directory(found);
    const view = this.#views.add(found.key, found.point, parent);
    view.pending++;
    try {
      const fileSystem = await this.#views.fileSystemOf(view);
      const { attributes, attributesTimeoutSec } = await fileSystem.getattr(
        ROOT_INO,
        undefined,
        caller,
      );
      return this.#told(view, {
        attributes,
        attributesTimeoutSec,
        entryTimeoutSec: NAME_REMEMBER_SEC,
      });
    } finally {
      view.pending--;
      this.#views.dropUnused(view);
    }
  }

  /** An answer by which the kernel gets to know a file of a view. */
  #told(view: View, entry: Entry): Entry {
    const attributes = numbered(view, entry.attributes);
    view.lookups++;
    return { ...entry, attributes };
  }

  #inView<T>(
    ino: number,
    run: (fileSystem: DriveFileSystem, view: View, ino: number) => Answer<T>,
  ): Answer<T> {
    const view = this.#views.of(ino);
    return then(this.#views.fileSystemOf(view), (fileSystem) => {
      // Another view may have taken its place in memory meanwhile.
      if (view.fileSystem !== fileSystem) return this.#inView(ino, run);
      return run(fileSystem, view, inoInView(ino));
    });
  }

  forget(ino: number, count: number): void {
    if (!isHistory(ino)) this.#drive.forget(ino, count);
    else if (slotOf(ino) > 0) {
      const view = this.#views.peek(ino);
      if (view === undefined) return;
      view.lookups -= count;
      view.fileSystem?.forget(inoInView(ino), count);
      this.#views.dropUnused(view);
    }
  }

  // Reading

  getattr(ino: number, handle: number | undefined, caller: Caller): Answer<TimedAttributes> {
    if (!isHistory(ino)) return this.#drive.getattr(ino, handle, caller);
    if (slotOf(ino) === 0) return this.#directory(ino);
    return this.#inView(ino, (fileSystem, view, inner) =>
      then(fileSystem.getattr(inner, handle, caller), (answer) => ({
        ...answer,
        attributes: numbered(view, answer.attributes),
      })),
    );
  }

  readlink(ino: number, caller: Caller): Answer<Buffer> {
    if (!isHistory(ino)) return this.#drive.readlink(ino, caller);
    if (slotOf(ino) === 0) throw new PosixError('EINVAL');
    return this.#inView(ino, (fileSystem, _view, inner) => fileSystem.readlink(inner, caller));
  }

  open(ino: number, flags: number, caller: Caller, killSuidGid = false): Answer<OpenAnswer> {
    if (!isHistory(ino)) return this.#drive.open(ino, flags, caller, killSuidGid);
    if (slotOf(ino) === 0) throw new PosixError('EISDIR');
    return this.#inView(ino, (fileSystem, view, inner) =>
      opened(view, () => fileSystem.open(inner, flags, caller)),
    );
  }

  read(
    ino: number,
    handle: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Answer<Buffer | Buffer[]> {
    if (!isHistory(ino)) return this.#drive.read(ino, handle, offset, length, caller);
    return this.#inView(ino, (fileSystem, _view, inner) =>
      fileSystem.read(inner, handle, offset, length, caller),
    );
  }

  release(ino: number, handle: number): Answer<void> {
    if (!isHistory(ino)) return this.#drive.release(ino, handle);
    return this.#inView(ino, (fileSystem, view, inner) => {
      view.opens--;
      return fileSystem.release(inner, handle);
    });
  }

  lseek(
    ino: number,
    handle: number,
    offset: number,
    whence: number,
    caller: Caller,
  ): Answer<number> {
    if (!isHistory(ino)) return this.#drive.lseek(ino, handle, offset, whence, caller);
    return this.#inView(ino, (fileSystem, _view, inner) =>
      fileSystem.lseek(inner, handle, offset, whence, caller),
    );
  }

  opendir(ino: number, flags: number, caller: Caller): Answer<OpenAnswer> {
    if (!isHistory(ino)) return this.#drive.opendir(ino, flags, caller);
    if (slotOf(ino) === 0) {
      return then(this.#directories.open(ino), (handle) => ({ handle }));
    }
    return this.#inView(ino, (fileSystem, view, inner) =>
      opened(view, () => fileSystem.opendir(inner, flags, caller)),
    );
  }

  readdir(
    ino: number,
    handle: number,
    offset: number,
    sink: DirectorySink,
    caller: Caller,
  ): Answer<void> {
    if (!isHistory(ino)) return this.#drive.readdir(ino, handle, offset, sink, caller);
    if (slotOf(ino) === 0) return this.#directories.read(handle, offset, sink);
    return this.#inView(ino, (fileSystem, view, inner) => {
      const numbering: DirectorySink = {
        plus: sink.plus,
        add: (name, child, type, next) => {
          const isAbove = name === '..' && inner === ROOT_INO;
          return sink.add(name, isAbove ? view.parent : numberOf(view.slot, child), type, next);
        },
        addPlus: (name, entry, next) => {
          const attributes = numbered(view, entry.attributes);
          if (!sink.addPlus(name, { ...entry, attributes }, next)) return false;
          view.lookups++;
          return true;
        },
      };
      return fileSystem.readdir(inner, handle, offset, numbering, caller);
    });
  }

  releasedir(ino: number, handle: number): Answer<void> {
    if (!isHistory(ino)) return this.#drive.releasedir(ino, handle);
    if (slotOf(ino) === 0) return this.#directories.release(handle);
    return this.#inView(ino, (fileSystem, view, inner) => {
      view.opens--;
      return fileSystem.releasedir(inner, handle);
    });
  }

  getxattr(ino: number, name: string, caller: Caller): Answer<Buffer> {
    if (!isHistory(ino)) return this.#drive.getxattr(ino, name, caller);
    if (slotOf(ino) === 0) throw new PosixError('ENODATA');
    return this.#inView(ino, (fileSystem, _view, inner) =>
      fileSystem.getxattr(inner, name, caller),
    );
  }

  listxattr(ino: number, caller: Caller): Answer<string[]> {
    if (!isHistory(ino)) return this.#drive.listxattr(ino, caller);
    if (slotOf(ino) === 0) return [];
    return this.#inView(ino, (fileSystem, _view, inner) => fileSystem.listxattr(inner, caller));
  }
}

function numbered<T extends { ino: number }>({ slot }: View, attributes: T): T {
  return { ...attributes, ino: numberOf(slot, attributes.ino) };
}

/** A handle keeps its view in memory. */
function opened(view: View, open: () => Answer<OpenAnswer>): Answer<OpenAnswer> {
  view.opens++;
  const failed = (error: unknown): never => {
    view.opens--;
    throw error;
  };
  try {
    const answer = open();
    return answer instanceof Promise ? answer.catch(failed) : answer;
  } catch (error) {
    return failed(error);
  }
}
