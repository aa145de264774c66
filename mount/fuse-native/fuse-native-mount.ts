import { setTimeout as delay } from 'node:timers/promises';
import { MountEnvironmentError, MountError, MountProtocolError } from '../errors.js';
import type { DriverStatistics, FileSystem, Mount, MountOptions } from '../file-system.js';
import { mountLimits } from '../limits.js';
import { abortConnection, dropMountNow } from '../system/connection.js';
import { guardExit } from '../system/exit-guard.js';
import { mountBusy } from '../system/mount-busy.js';
import type { MountMethod } from '../system/mount-method.js';
import { mountAt, readMountTable } from '../system/mount-table.js';
import { runCommand } from '../system/run-command.js';
import { LibfuseDescriptors, openDescriptors } from './descriptors.js';
import type { FuseNativePackage, PackageMount } from './fuse-native-package.js';
import { operationsOf } from './operations.js';
import { repair } from './repairs.js';
import { Session } from './session.js';

export interface FuseNativeMountParts {
  /** Checked; without symbolic links. */
  directory: string;
  package: FuseNativePackage;
  method: MountMethod;
  /** Words of `-o`. */
  mountOptions: readonly string[];
  fileSystem: FileSystem;
  options: MountOptions;
}

/**
 * A mounted directory from its first operation until libfuse has ended.
 */
export class FuseNativeMount implements Mount {
  readonly directory: string;
  readonly #method: MountMethod;
  readonly #options: MountOptions;
  readonly #session: Session;
  readonly #mount: PackageMount;
  readonly #callOffExit: () => void;
  #descriptors: LibfuseDescriptors | null = null;
  /** "major:minor" once known. */
  #device: string | null = null;
  #watch: NodeJS.Timeout | undefined;
  #ending: Promise<void> | null = null;
  #started = false;
  /** Calls of `unmount` under way: an end is then no surprise. */
  #unmounting = 0;

  constructor({ directory, package: Package, method, ...parts }: FuseNativeMountParts) {
    this.directory = directory;
    this.#method = method;
    this.#options = parts.options;
    this.#session = new Session(parts.fileSystem);
    const operations = operationsOf(this.#session);
    // Without its own time limit for an answer: the file system has one, and libfuse must get each answer once.
    this.#mount = new Package(directory, operations, { timeout: false });
    repair(this.#mount, operations, parts.mountOptions);
    // fusermount unmounts by itself when this process is gone; where there is none, we do.
    const unmountsItself = parts.mountOptions.includes('auto_unmount');
    this.#callOffExit = guardExit(() => {
      if (!unmountsItself) dropMountNow(directory);
    });
  }

  /** Resolves when the kernel asks. Throws {@link MountEnvironmentError}, {@link MountProtocolError}. */
  async start(): Promise<void> {
    const before = new Set(openDescriptors());
    try {
      await Promise.race([
        this.#begin(),
        delay(mountLimits.mount_command_ms_max, undefined, { ref: false }).then(() => {
          throw new MountProtocolError(
            `Cannot mount at '${this.directory}': the kernel does not begin`,
          );
        }),
      ]);
    } catch (error) {
      if (error instanceof MountProtocolError) await this.#method.unmount(this.directory, true);
      this.#callOffExit();
      throw error;
    }
    this.#descriptors = new LibfuseDescriptors(before);
    this.#device = mountAt(await readMountTable(), this.directory)?.device ?? null;
    this.#started = true;
    this.#watch = setInterval(() => {
      if (this.#libfuseHasEnded) void this.#end();
    }, mountLimits.libfuse_check_ms).unref();
  }

  statistics(): DriverStatistics {
    return this.#session.statistics();
  }

  async unmount({ force }: { force: boolean }): Promise<void> {
    if (this.#ending !== null) return await this.#ending;
    this.#unmounting++;
    try {
      const result = await this.#method.unmount(this.directory, false);
      if (result.outcome === 'unmounted' || (await this.#isGone())) {
        await this.#waitForEnd();
      } else if (force) {
        await this.#detach();
      } else if (result.outcome === 'busy') {
        throw await mountBusy(this.directory);
      } else {
        throw new MountError(`Cannot unmount '${this.directory}': ${result.text}`);
      }
    } finally {
      this.#unmounting--;
    }
  }

  #begin(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#mount.mount((error) => {
        if (error === null) resolve();
        else {
          const message = `Cannot mount at '${this.directory}': libfuse 2 does not mount, and does not say why (${error.message}); the driver 'kernel' does`;
          reject(new MountEnvironmentError(message, { cause: error }));
        }
      });
    });
  }

  get #libfuseHasEnded(): boolean {
    return this.#descriptors?.libfuseHasEnded ?? true;
  }

  /** Whether this mount is not in the mount table any more. */
  async #isGone(): Promise<boolean> {
    return !(await readMountTable()).some((entry) => entry.device === this.#device);
  }

  /** Takes the directory away from those who use it: their calls fail from now on. */
  async #detach(): Promise<void> {
    // What programs wrote into memory maps. A child, and with a deadline: it asks this very mount.
    await runCommand('sync', ['-f', this.directory], {
      timeoutMs: mountLimits.forced_unmount_wait_ms_max,
    });
    await abortConnection(this.directory, this.#device);
    const result = await this.#method.unmount(this.directory, true);
    if (result.outcome !== 'unmounted' && !(await this.#isGone())) {
      throw new MountError(`Cannot detach '${this.directory}': ${result.text}`);
    }
    await this.#waitForEnd();
  }

  /** As the kernel driver does: whoever still holds files of it loses them. */
  async #waitForEnd(): Promise<void> {
    this.#session.interruptAll();
    if (await this.#endsSoon()) return await this.#end();
    await abortConnection(this.directory, this.#device);
    if (await this.#endsSoon()) return await this.#end();
    this.#options.onNotice(
      `'${this.directory}' is detached, but programs still hold files of it; it ends with this process`,
    );
  }

  async #endsSoon(): Promise<boolean> {
    const deadline = performance.now() + mountLimits.forced_unmount_wait_ms_max;
    while (!this.#libfuseHasEnded) {
      if (performance.now() > deadline) return false;
      await delay(mountLimits.libfuse_end_check_ms);
    }
    return true;
  }

  #end(): Promise<void> {
    this.#ending ??= this.#finish();
    return this.#ending;
  }

  async #finish(): Promise<void> {
    const expected = this.#unmounting > 0 || !this.#started;
    clearInterval(this.#watch);
    this.#session.end();
    this.#descriptors?.close();
    // Lets go of what would keep this process from ending.
    await new Promise((resolve) => this.#mount.unmount(resolve));
    // The connection was aborted, and libfuse has left the directory as it is.
    if (!(await this.#isGone())) await this.#method.unmount(this.directory, true);
    this.#callOffExit();
    if (!expected) this.#options.onEnd(null);
  }
}
