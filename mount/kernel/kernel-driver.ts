import { MountEnvironmentError, MountError } from '../errors.js';
import type { FileSystem, Mount, MountDriver, MountOptions } from '../file-system.js';
import { Fusermount } from './fusermount.js';
import { KernelMount } from './kernel-mount.js';
import { MountCommand } from './mount-command.js';
import type { MountMethod } from './mount-method.js';
import { prepareMountPoint } from './mount-point.js';

/**
 * Speaks the FUSE protocol on /dev/fuse itself.
 *
 * One thread of Node's pool waits for requests as long as a mount is up, and notifications may hold a few more: set
 * UV_THREADPOOL_SIZE to 16 or so in the environment the process is started with. Node reads it before the first line of
 * the program runs.
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
    const kernelOptions = mountOptionWords(fileSystem, options);
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

/** What a drive holds may come from somebody else: its set-user-id programs and devices are without power, for root too. */
function mountOptionWords(fileSystem: FileSystem, options: MountOptions): string[] {
  const words = ['nosuid', 'nodev', 'default_permissions'];
  if (fileSystem.readOnly) words.push('ro');
  if (options.allowOther) words.push('allow_other');
  words.push(`fsname=${checkedWord('source name', options.sourceName)}`);
  words.push(`subtype=${checkedWord('subtype', options.subtype)}`);
  return words;
}

/** A comma would begin another mount option, a backslash or a blank would be read differently by different programs. */
function checkedWord(what: string, text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/^$|[\u0000-\u0020,\\\u007f]/.test(text)) {
    throw new MountError(
      `Cannot mount with ${what} '${text}': blanks, commas, backslashes and control characters are not allowed`,
    );
  }
  return text;
}
