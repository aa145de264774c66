/**
 * The npm package fuse-native 2.2.6, as far as it is used here, and how it is loaded. It has no types of its own, and is
 * not among our dependencies: docs/dependencies.md says why.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { MountEnvironmentError } from '../errors.js';

/** The last one there is (2020). What is repaired in `repairs.ts` is repaired of exactly this. */
export const FUSE_NATIVE_VERSION = '2.2.6';

/** Answers an operation once: 0 or a negative errno, then what was asked for. */
export type Done<T = void> = (result: number, value?: T) => void;

/** What the package passes on to `stat`. Times are milliseconds. */
export interface PackageStat {
  mode: number;
  ino: number;
  uid?: number;
  gid?: number;
  size?: number;
  nlink?: number;
  rdev?: number;
  blksize?: number;
  blocks?: number;
  atime?: number;
  mtime?: number;
  ctime?: number;
}

/** Figures of statfs; each 32 bits wide. */
export interface PackageStatfs {
  bsize: number;
  frsize: number;
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
  favail: number;
  namemax: number;
}

/**
 * The operations we answer; a path begins with "/" and is UTF-8. Those of the package that are missing are better
 * missing: without `access` the kernel checks modes itself, `fgetattr` gets no descriptor either, and `readdir` gets none
 * even with `opendir`.
 */
export interface PackageOperations {
  init(done: Done): void;
  statfs(path: string, done: Done<PackageStatfs>): void;
  getattr(path: string, done: Done<PackageStat>): void;
  readlink(path: string, done: Done<string>): void;
  readdir(
    path: string,
    done: (result: number, names?: string[], stats?: PackageStat[]) => void,
  ): void;

  mknod(path: string, mode: number, device: number, done: Done): void;
  mkdir(path: string, mode: number, done: Done): void;
  symlink(target: string, path: string, done: Done): void;
  link(from: string, to: string, done: Done): void;
  rename(from: string, to: string, done: Done): void;
  unlink(path: string, done: Done): void;
  rmdir(path: string, done: Done): void;

  chmod(path: string, mode: number, done: Done): void;
  chown(path: string, uid: number, gid: number, done: Done): void;
  utimens(path: string, atimeMs: number, mtimeMs: number, done: Done): void;
  truncate(path: string, size: number, done: Done): void;
  ftruncate(path: string, fd: number, size: number, done: Done): void;

  open(path: string, flags: number, done: Done<number>): void;
  create(path: string, mode: number, done: Done<number>): void;
  /** Answers the number of bytes put into the buffer. */
  read(
    path: string,
    fd: number,
    buffer: Buffer,
    length: number,
    offset: number,
    done: (result: number) => void,
  ): void;
  /** Answers the number of bytes taken. */
  write(
    path: string,
    fd: number,
    buffer: Buffer,
    length: number,
    offset: number,
    done: (result: number) => void,
  ): void;
  /** Undefined where the file system is not to be asked. */
  flush: ((path: string, fd: number, done: Done) => void) | undefined;
  release(path: string, fd: number, done: Done): void;
  // The package's documentation has these two arguments the other way round.
  fsync(path: string, dataOnly: number, fd: number, done: Done): void;
  fsyncdir(path: string, dataOnly: number, fd: number, done: Done): void;

  getxattr(path: string, name: string, position: number, done: Done<Buffer>): void;
  setxattr(
    path: string,
    name: string,
    value: Buffer,
    position: number,
    flags: number,
    done: Done,
  ): void;
  listxattr(path: string, done: Done<Buffer[]>): void;
  removexattr(path: string, name: string, done: Done): void;
}

/** Answers the native side; after the result comes the memory it lent, where it lent some. */
export type Signal = (result: number, lent?: ArrayBufferLike) => void;

/** A mount of the package. What begins with "_" is not documented. */
export interface PackageMount {
  /** Answers once the kernel has begun to ask. */
  mount(done: (error: Error | null) => void): void;
  unmount(done: (error: Error | null) => void): void;
  /** From the number of an operation to what the native side calls: with its own record of the request first. */
  readonly _handlers: ((request: Buffer, operation: number, ...args: unknown[]) => unknown)[];
  _fuseOptions: () => string;
  _op_utimens: (
    signal: Signal,
    path: string,
    atimeLow: number,
    atimeHigh: number,
    mtimeLow: number,
    mtimeHigh: number,
  ) => void;
  _op_getxattr: (
    signal: Signal,
    path: string,
    name: string,
    room: Buffer,
    position: number,
  ) => void;
  _op_listxattr: (signal: Signal, path: string, room: Buffer) => void;
}

export interface FuseNativePackage {
  new (directory: string, operations: PackageOperations, options: { timeout: false }): PackageMount;
  /** Called by the package at the end of each mount. */
  unmount: (directory: string, done: (error: Error | null) => void) => void;
}

/** Where Shoal is, for the command that installs the package beside it. */
const SHOAL_FOLDER = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

/** Loads the package. Throws {@link MountEnvironmentError} that says what to install. `load` is Node's `require`. */
export function loadFuseNative(
  load: (id: string) => unknown = createRequire(import.meta.url),
): FuseNativePackage {
  let version: unknown;
  let loaded: FuseNativePackage;
  try {
    ({ version } = load('fuse-native/package.json') as { version: unknown });
    loaded = load('fuse-native') as FuseNativePackage;
  } catch (error) {
    throw new MountEnvironmentError(`Cannot use driver 'fuse-native': ${whatIsMissing(error)}`, {
      cause: error,
    });
  }
  if (version !== FUSE_NATIVE_VERSION) {
    throw new MountEnvironmentError(
      `Cannot use driver 'fuse-native': version ${version} of the package is unknown; ${HOW_TO_INSTALL}`,
    );
  }
  // It would run `fusermount -uz` on a directory that is unmounted by then, and may be somebody else's mount.
  loaded.unmount = (_directory, done) => process.nextTick(done, null);
  return loaded;
}

const HOW_TO_INSTALL = `install it with 'npm install --no-save fuse-native@${FUSE_NATIVE_VERSION}' in '${SHOAL_FOLDER}'`;

function whatIsMissing(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'MODULE_NOT_FOUND' && /'fuse-native(\/package\.json)?'/.test(message)) {
    return `the npm package fuse-native is not installed; ${HOW_TO_INSTALL}`;
  }
  if (/libfuse\.so/.test(message)) {
    return "libfuse 2 is not installed; install it with 'apt-get install libfuse2' ('libfuse2t64' on newer systems)";
  }
  if (/No native build was found/.test(message)) {
    return `the package has no binary for ${process.platform} on ${process.arch}; use the driver 'kernel', or build it with 'npm rebuild fuse-native'`;
  }
  const [firstLine = ''] = String(message).split('\n');
  return `the npm package fuse-native cannot be loaded (${firstLine}); ${HOW_TO_INSTALL}`;
}
