/** A drive as a file system: joins the operations, and starts and ends what runs behind them. */
import type {
  Answer,
  AttributeChanges,
  Caller,
  DirectorySink,
  Entry,
  FileSystem,
  FileSystemStatistics,
  KernelNotifier,
  MountParameters,
  NegativeEntry,
  OpenAnswer,
  TimedAttributes,
  WriteOptions,
} from '../../mount/file-system.js';
import type { ChunkReference } from '../content/content-store.js';
import { limits } from '../limits.js';
import { SpaceGuard } from '../log/space-guard.js';
import { readSuperblock } from '../tree/superblock.js';
import type { Head } from '../tree/tree.js';
import { AttributeOperations } from './attribute-operations.js';
import { FULL_CACHE, VIEW_CACHE } from './cache-limits.js';
import { chunksInMemory } from './chunks-in-memory.js';
import { SystemClock } from './clock.js';
import { Committer } from './committer.js';
import { Defragmenter } from './defragmenter.js';
import { DirectoryOperations } from './directory-operations.js';
import { diskStatistics } from './disk-statistics.js';
import type {
  DriveFileSystemFigures,
  DriveFileSystemOptions,
} from './drive-file-system-options.js';
import { errnoOf } from './errno.js';
import { releasePooledMemory } from './extents.js';
import { FileContents } from './file-contents.js';
import type { HealthTeller } from './file-health.js';
import { FileOperations } from './file-operations.js';
import { Follower } from './follower.js';
import { fixedTree } from './history/fixed-tree.js';
import { type RestoreReport, type RestoreRequest, Restorer } from './history/restore.js';
import type { Inode } from './inode.js';
import { InodeTable } from './inode-table.js';
import { type ListPage, type ListRequest, listDirectory } from './list-directory.js';
import { NameOperations } from './name-operations.js';
import { readCommit } from './read-commit.js';
import { Sealer } from './sealer.js';
import { collectOrphans, learnChunks } from './start-up.js';
import { removeTree, TreeRemover } from './tree-remover.js';
import { Volume } from './volume.js';

const ROOT_INO = 1;

export type { DriveFileSystemFigures, DriveFileSystemOptions };

/** What runs behind the operations. Without a committer the drive is followed, with one it is changed here. */
interface Parts {
  volume: Volume;
  committer: Committer | null;
  follower: Follower | null;
  defragmenter: Defragmenter | null;
  remover: TreeRemover;
}

export class DriveFileSystem implements FileSystem {
  readonly wantsWritebackCache: boolean;
  readonly readOnly: boolean;
  readonly wantsPosixAcl: boolean;
  readonly wantsBirthTimes: boolean;
  readonly #options: DriveFileSystemOptions;
  readonly #volume: Volume;
  readonly #committer: Committer | null;
  readonly #follower: Follower | null;
  readonly #defragmenter: Defragmenter | null;
  readonly #remover: TreeRemover;
  readonly #files: FileOperations;
  readonly #names: NameOperations;
  readonly #attributes: AttributeOperations;
  readonly #directories: DirectoryOperations;
  #closed = false;

  private constructor(options: DriveFileSystemOptions, parts: Parts) {
    const { volume, committer, follower } = parts;
    this.readOnly = options.readOnly;
    this.wantsWritebackCache = !options.readOnly;
    // Lists name users and groups by number, which says nothing where other numbers are shown.
    this.wantsPosixAcl = options.posixAcl === true && volume.owner === null;
    this.wantsBirthTimes = options.birthTimes === true;
    this.#options = options;
    this.#volume = volume;
    this.#committer = committer;
    this.#follower = follower;
    this.#defragmenter = parts.defragmenter;
    this.#remover = parts.remover;
    this.#files = new FileOperations(volume);
    this.#names = new NameOperations(volume, this.#files);
    this.#attributes = new AttributeOperations(volume, this.#files);
    this.#directories = new DirectoryOperations(volume);
  }

  /** Reads the newest commit. Throws DamagedError, UnavailableError, StoreError. */
  static async open(options: DriveFileSystemOptions): Promise<DriveFileSystem> {
    const { content, readOnly, log, at } = options;
    const tree = at === undefined ? options.tree : fixedTree(options.tree, at.head);
    const view = readOnly ? tree.at(tree.head) : tree;
    const last = await readCommit(view);
    content.expectFork(view.head.fork);
    const table = new InodeTable({
      view,
      readOnly,
      log,
      cacheLimits: at === undefined ? FULL_CACHE : VIEW_CACHE,
      // Who copies a file right after the mount reads it before.
      onChunk: (chunk) => content.learn(chunk),
    });
    // The account and the committer need each other; the committer comes second.
    let committer: Committer | null = null;
    let defragmenter: Defragmenter | null = null;
    let tellBlocks: (inode: Inode) => void = () => {};
    const account = { add: (bytes: number) => committer?.add(bytes) };
    const sealer = new Sealer(content, account, (inode) => {
      defragmenter?.consider(inode);
      tellBlocks(inode);
    });
    if (!readOnly) {
      const space = new SpaceGuard({
        directory: options.storeDirectory,
        reserveBytes: limits.store_reserve_bytes,
      });
      committer = new Committer({
        tree,
        content,
        sealer,
        sync: options.sync,
        journal: options.journal ?? null,
        space,
        last,
        superblock: await readSuperblock(view, {}),
        onNoted: (inode) => tellBlocks(inode),
        onCommitted: () => table.evictSegments(),
        isCrowded: () => table.isCrowded,
        chunksInMemory: () => chunksInMemory(table.all()),
        log,
      });
    }
    const join = async (ino: number, index: number) => defragmenter?.join(ino, index);
    const keepsOwners = !readOnly || options.numericOwner;
    const volume = new Volume({
      table,
      content,
      contents: new FileContents(table, content, account, join),
      sealer,
      committer,
      isFixed: at !== undefined,
      clock: options.clock ?? new SystemClock(),
      owner: keepsOwners ? null : { uid: options.mountUid, gid: options.mountGid },
      log,
    });
    if (!readOnly) defragmenter = new Defragmenter(volume);
    const follower = readOnly ? new Follower(volume, tree, last) : null;
    tellBlocks = (inode) => volume.tellBlocks(inode, committer?.isNoting);
    volume.version = () => committer?.version ?? follower?.last?.version ?? 0;
    const remover = new TreeRemover(volume);
    const parts = { volume, committer, follower, defragmenter, remover };
    const fileSystem = new DriveFileSystem(options, parts);
    if (!readOnly) {
      await collectOrphans(tree, volume, remover, log);
      learnChunks(tree, content, () => fileSystem.#closed).catch((error: unknown) => {
        log(`cannot rebuild the deduplication index: ${String(error)}`);
      });
    }
    return fileSystem;
  }

  figures(): DriveFileSystemFigures {
    const committer = this.#committer;
    const last = this.#follower?.last;
    return {
      version: committer?.version ?? last?.version ?? 0,
      inodes: committer?.inodeCount ?? last?.inodeCount ?? 0,
      fileBytes: committer?.fileBytes ?? last?.fileBytes ?? 0,
      dirtyBytes: (committer?.dirtyBytes ?? 0) + this.#volume.content.pendingBytes,
      dirtyRecords: committer?.dirtyRecords ?? 0,
      openFiles: this.#files.openCount,
      cachedInodes: this.#volume.table.size,
      removing: this.#remover.size,
    };
  }

  set health(teller: HealthTeller) {
    this.#volume.health = teller;
  }

  /** Commits what was written; from now on every change fails with `reason`. Never rejects. */
  async stopWriting(reason: Error): Promise<void> {
    await this.#committer?.stop(reason);
  }

  /** Throws ReadOnlyError. */
  get committer(): Committer {
    return this.#volume.committer;
  }

  /** The head that is shown. */
  get head(): Head {
    return this.#volume.table.view.head;
  }

  /** Chunks that what is in memory refers to. */
  chunksInMemory(): Iterable<ChunkReference> {
    return chunksInMemory(this.#volume.table.all());
  }

  /** Puts back what an older version has; not committed yet. Throws like {@link Restorer.run}. */
  restore({ view, ...request }: RestoreRequest): Promise<RestoreReport> {
    return new Restorer(this.#volume, this.#names, view).run(request);
  }

  /** Commits everything that is dirty. Throws NoSpaceError, StoreError. */
  async commit(): Promise<void> {
    await this.#committer?.commit();
  }

  /**
   * Removes what a path leads to, a directory with everything in it, and commits that. What is in the directory is gone
   * for everybody then; its records go in the background. Throws ReadOnlyError, NotFoundError, UsageError, and what a
   * commit throws.
   */
  async removeTree(path: string): Promise<void> {
    await removeTree(this.#volume, this.#remover, path);
    await this.commit();
  }

  /** Commits, and lists a page of a directory. Throws what a commit and {@link listDirectory} throw. */
  async list(request: ListRequest): Promise<ListPage> {
    await this.commit();
    return await listDirectory(this.#options.tree, this.#volume.content, this.head, request);
  }

  /** Resolves once the records of all removed directories are gone, or the drive is closed. */
  async removalsDone(): Promise<void> {
    await this.#remover.done();
    await this.commit();
  }

  /** Gives memory back that is only held to be faster. */
  releaseMemory(): void {
    releasePooledMemory();
    this.#volume.sealer.releaseMemory();
    this.#volume.content.releaseMemory();
  }

  /** Commits and stops. Idempotent. Throws like `commit`; then it may be called again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#follower?.close();
    await this.#defragmenter?.close();
    await this.#remover.close();
    await this.#committer?.close();
    this.#closed = true;
  }

  // mount/file-system.ts

  start(kernel: KernelNotifier, parameters: MountParameters): void {
    this.#volume.kernel = kernel;
    this.#volume.writebackCache = parameters.writebackCache;
    this.#volume.posixAcl = parameters.posixAcl === true;
    if (this.wantsPosixAcl && !this.#volume.posixAcl) {
      this.#options.log('the driver or the kernel knows no access lists; they are refused');
    }
    this.#volume.table.remember(ROOT_INO, true);
  }

  stopped(): void {
    this.#volume.kernel = null;
  }

  errnoOf(error: unknown, operation: string, ino: number): number {
    return errnoOf(error, operation, ino, this.#options.log);
  }

  lookup(parent: number, name: string, caller: Caller): Answer<Entry | NegativeEntry> {
    return this.#names.lookup(parent, name, caller);
  }

  forget(ino: number, count: number): void {
    const { table } = this.#volume;
    if (!table.forget(ino, count)) return;
    this.#volume.toldNames?.forgetParent(ino);
    const inode = table.peek(ino);
    if (inode !== undefined && inode.nlink === 0) this.#volume.deleteIfUnused(inode);
  }

  getattr(ino: number, _handle: number | undefined, caller: Caller): Answer<TimedAttributes> {
    return this.#attributes.getattr(ino, caller);
  }

  setattr(ino: number, changes: AttributeChanges, caller: Caller): Answer<TimedAttributes> {
    return this.#attributes.setattr(ino, changes, caller);
  }

  readlink(ino: number, caller: Caller): Answer<Buffer> {
    return this.#attributes.readlink(ino, caller);
  }

  symlink(parent: number, name: string, target: Buffer, caller: Caller): Answer<Entry> {
    return this.#names.symlink(parent, name, target, caller);
  }

  mknod(
    parent: number,
    name: string,
    mode: number,
    rdev: number,
    caller: Caller,
    umask?: number,
  ): Answer<Entry> {
    return this.#names.mknod(parent, name, mode, rdev, caller, umask);
  }

  mkdir(parent: number, name: string, mode: number, caller: Caller, umask?: number): Answer<Entry> {
    return this.#names.mkdir(parent, name, mode, caller, umask);
  }

  unlink(parent: number, name: string, caller: Caller): Answer<void> {
    return this.#names.unlink(parent, name, caller);
  }

  rmdir(parent: number, name: string, caller: Caller): Answer<void> {
    return this.#names.rmdir(parent, name, caller);
  }

  rename(
    parent: number,
    name: string,
    newParent: number,
    newName: string,
    flags: number,
    caller: Caller,
  ): Answer<void> {
    return this.#names.rename(parent, name, newParent, newName, flags, caller);
  }

  link(ino: number, newParent: number, newName: string, caller: Caller): Answer<Entry> {
    return this.#names.link(ino, newParent, newName, caller);
  }

  open(ino: number, flags: number, caller: Caller, killSuidGid = false): Answer<OpenAnswer> {
    return this.#files.open(ino, flags, caller, killSuidGid);
  }

  create(
    parent: number,
    name: string,
    mode: number,
    flags: number,
    caller: Caller,
    umask?: number,
  ): Answer<{ entry: Entry; open: OpenAnswer }> {
    return this.#names.create(parent, name, mode, flags, caller, umask);
  }

  tmpfile(
    parent: number,
    mode: number,
    flags: number,
    caller: Caller,
    umask?: number,
  ): Answer<{ entry: Entry; open: OpenAnswer }> {
    return this.#names.tmpfile(parent, mode, flags, caller, umask);
  }

  read(
    _ino: number,
    handle: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Answer<Buffer | Buffer[]> {
    return this.#files.read(handle, offset, length, caller);
  }

  write(
    ino: number,
    _handle: number,
    offset: number,
    data: Buffer,
    options: WriteOptions,
    caller: Caller,
  ): Answer<number> {
    return this.#files.write(ino, offset, data, options, caller);
  }

  release(_ino: number, handle: number): Answer<void> {
    return this.#files.release(handle);
  }

  fsync(ino: number): Answer<void> {
    return this.#files.fsync(ino);
  }

  fallocate(
    ino: number,
    _handle: number,
    mode: number,
    offset: number,
    length: number,
    caller: Caller,
  ): Answer<void> {
    const { blocksAvailable, blockSize } = this.statfs();
    const available = blocksAvailable * blockSize;
    return this.#files.fallocate(ino, mode, offset, length, available, caller);
  }

  lseek(
    ino: number,
    _handle: number,
    offset: number,
    whence: number,
    caller: Caller,
  ): Answer<number> {
    return this.#files.lseek(ino, offset, whence, caller);
  }

  copyFileRange(
    ino: number,
    _handle: number,
    offset: number,
    toIno: number,
    _toHandle: number,
    toOffset: number,
    length: number,
    caller: Caller,
  ): Answer<number> {
    return this.#files.copyFileRange(ino, offset, toIno, toOffset, length, caller);
  }

  opendir(ino: number, _flags: number, caller: Caller): Answer<OpenAnswer> {
    return this.#directories.opendir(ino, caller);
  }

  readdir(
    _ino: number,
    handle: number,
    offset: number,
    sink: DirectorySink,
    caller: Caller,
  ): Answer<void> {
    return this.#directories.readdir(handle, offset, sink, caller);
  }

  releasedir(_ino: number, handle: number): Answer<void> {
    return this.#directories.releasedir(handle);
  }

  fsyncdir(): Answer<void> {
    return this.#files.sync();
  }

  getxattr(ino: number, name: string, caller: Caller): Answer<Buffer> {
    return this.#attributes.getxattr(ino, name, caller);
  }

  setxattr(
    ino: number,
    name: string,
    value: Buffer,
    flags: number,
    caller: Caller,
    killsSgid?: boolean,
  ): Answer<void> {
    return this.#attributes.setxattr(ino, name, value, flags, caller, killsSgid);
  }

  listxattr(ino: number, caller: Caller): Answer<string[]> {
    return this.#attributes.listxattr(ino, caller);
  }

  removexattr(ino: number, name: string, caller: Caller): Answer<void> {
    return this.#attributes.removexattr(ino, name, caller);
  }

  /** The figures of the disk that the store is on. Never waits. */
  statfs(): FileSystemStatistics {
    return diskStatistics(this.#options.storeDirectory);
  }

  syncfs(): Answer<void> {
    return this.#files.sync();
  }
}
