import { MountEnvironmentError } from '../errors.js';
import type { FileSystem, Mount, MountDriver, MountOptions } from '../file-system.js';
import { mountLimits } from '../limits.js';
import { Fusermount } from '../system/fusermount.js';
import { MountCommand } from '../system/mount-command.js';
import type { MountMethod } from '../system/mount-method.js';
import { mountOptionWords } from '../system/mount-options.js';
import { prepareMountPoint } from '../system/mount-point.js';
import { KernelMount } from './kernel-mount.js';

/** The kernel counts what it may ask for in one read in pages, which are not of 4 KiB on every machine. */
const READ_LIMIT = `max_read=${mountLimits.request_data_bytes_max}`;

/**
 * Speaks the FUSE protocol on /dev/fuse itself.
 *
 * Notifications may hold a few threads of Node's pool while the kernel waits for a lock: set UV_THREADPOOL_SIZE to 16 or
 * so in the environment the process is started with. Node reads it before the first line of the program runs.
 */
export class KernelDriver implements MountDriver {
  readonly name = 'kernel';
  readonly #fusermountCommand: string;

  /** `fusermountCommand`: name or path of fusermount3. */
  constructor({ fusermountCommand = 'fusermount3' }: { fusermountCommand?: string } = {}) {
    this.#fusermountCommand = fusermountCommand;
  }

  /**
   * Mounts, and resolves when the mount answers. Throws {@link MountPointError} when the directory cannot be mounted on,
   * {@link MountEnvironmentError} when the machine does not let us.
   */
  async mount(fileSystem: FileSystem, options: MountOptions): Promise<Mount> {
    const method = await this.#method(options.directory);
    const kernelOptions = [...mountOptionWords(fileSystem, options), READ_LIMIT];
    const directory = await prepareMountPoint(options.directory, method, options.onNotice);
    const mounted = await method.mount(directory, kernelOptions);
    const mount = new KernelMount(directory, mounted, method, fileSystem, options);
    await mount.start();
    return mount;
  }

  async #method(directory: string): Promise<MountMethod> {
    const fusermount = new Fusermount(this.#fusermountCommand);
    if (await fusermount.isInstalled()) return fusermount;
    if (process.geteuid?.() === 0) return new MountCommand();
    throw new MountEnvironmentError(
      `Cannot mount at '${directory}': ${this.#fusermountCommand} is not installed; install it with 'apt-get install fuse3'`,
    );
  }
}
