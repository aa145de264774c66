import type {
  Answer,
  Caller,
  DriverStatistics,
  FileSystem,
  Ino,
  KernelNotifier,
} from '../file-system.js';
import { ROOT_INO } from '../file-system.js';
import { mountLimits } from '../limits.js';
import { HiddenFiles, OpenFiles } from './open-files.js';
import { PathError } from './path-error.js';
import { type Found, PathResolver } from './path-resolver.js';

const EIO = 5;

/** Who asks. The package does not say: files made through this driver belong to who mounts. */
export class Asker implements Caller {
  readonly uid = process.getuid?.() ?? 0;
  readonly gid = process.getgid?.() ?? 0;
  readonly pid = 0;
  /** What is asked about, once known; for the log. */
  ino: Ino = ROOT_INO;
  #abort: AbortController | null = null;

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** Nobody waits for the answer any more. */
  interrupt(): void {
    this.#abort?.abort();
  }
}

/** Answers operations on paths from a file system of inodes. It knows nothing of mounting. */
export class Session {
  readonly fileSystem: FileSystem;
  readonly openFiles = new OpenFiles();
  readonly hiddenFiles: HiddenFiles;
  readonly paths: PathResolver;
  readonly #outstanding = new Set<Asker>();
  readonly #counts: Record<string, number> = {};
  #bytesRead = 0;
  #bytesWritten = 0;
  #ended = false;

  constructor(fileSystem: FileSystem, now: () => number = () => performance.now()) {
    this.fileSystem = fileSystem;
    this.hiddenFiles = new HiddenFiles(fileSystem);
    this.paths = new PathResolver(fileSystem, this.hiddenFiles, now);
  }

  /** The kernel begins to ask. */
  start(): void {
    this.fileSystem.start(this.#notifier(), {
      writebackCache: false,
      requestBytesMax: mountLimits.libfuse_request_data_bytes_max,
    });
  }

  /** The mount has ended; from now on every answer is ENOTCONN. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.interruptAll();
    this.fileSystem.stopped();
  }

  /** Whoever waits gets an error: libfuse does not end before all is answered. */
  interruptAll(): void {
    for (const caller of this.#outstanding) caller.interrupt();
  }

  statistics(): DriverStatistics {
    return {
      requestsByOperation: { ...this.#counts },
      inflightRequests: this.#outstanding.size,
      malformedRequests: 0,
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
    };
  }

  countRead(bytes: number): void {
    this.#bytesRead += bytes;
  }

  countWritten(bytes: number): void {
    this.#bytesWritten += bytes;
  }

  /** Runs an operation and answers it exactly once: with 0 and what it returns, or with a negative errno. */
  answer<T>(
    operation: string,
    run: (caller: Asker) => Promise<T>,
    done: (result: number, value?: T) => void,
  ): void {
    this.#counts[operation] = (this.#counts[operation] ?? 0) + 1;
    const caller = new Asker();
    this.#outstanding.add(caller);
    const running = this.#ended ? Promise.reject(new PathError('ENOTCONN')) : run(caller);
    running.then(
      (value) => {
        this.#outstanding.delete(caller);
        done(0, value);
      },
      (error: unknown) => {
        this.#outstanding.delete(caller);
        done(-this.#errnoOf(error, operation, caller.ino));
      },
    );
  }

  /** Runs an operation on the inode that a path leads to. */
  async at<T>(path: string, caller: Asker, run: (ino: Ino, found: Found) => Answer<T>): Promise<T> {
    const found = await this.paths.find(path, caller);
    try {
      caller.ino = found.attributes.ino;
      return await run(caller.ino, found);
    } finally {
      this.paths.letGo(found);
    }
  }

  #errnoOf(error: unknown, operation: string, ino: Ino): number {
    if (error instanceof PathError) return error.errno;
    const errno = this.fileSystem.errnoOf(error, operation, ino);
    return Number.isInteger(errno) && errno > 0 && errno < 512 ? errno : EIO;
  }

  /** The kernel remembers no names and attributes of this mount, and the package cannot tell it to drop a file's data. */
  #notifier(): KernelNotifier {
    const dropName = async (parent: Ino, name: string) => this.paths.dropPlace(parent, name);
    return {
      invalidateInode: async () => undefined,
      invalidateAttributes: async () => undefined,
      invalidateEntry: dropName,
      deleteEntry: (parent, _child, name) => dropName(parent, name),
    };
  }
}
