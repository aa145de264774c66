import { closeSync, constants, openSync } from 'node:fs';
import { MountEnvironmentError } from '../errors.js';
import {
  FUSE_DEVICE_PATH,
  type MountedDescriptor,
  type MountMethod,
  type UnmountResult,
  unmountResult,
} from './mount-method.js';
import { runCommand } from './run-command.js';

/** Mounts with mount(8) as root, on a machine without fusermount3. Nothing unmounts when the process is killed. */
export class MountCommand implements MountMethod {
  async mount(directory: string, options: readonly string[]): Promise<MountedDescriptor> {
    const { source, type, rest } = splitNames(options);
    const fd = openDevice(directory);
    try {
      const fuse = ['fd=3', 'rootmode=40000', 'user_id=0', 'group_id=0', ...rest];
      // -i: the kernel's own mount, not another program for the type.
      const args = ['-i', '-t', type, '-o', fuse.join(','), '--', source, directory];
      const { code, errorText } = await runCommand('mount', args, { inherited: [fd] });
      if (code !== 0) {
        throw new MountEnvironmentError(
          `Cannot mount at '${directory}': ${errorText || `mount ended with ${code}`}`,
        );
      }
      return { fd, lifeline: null };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  async unmount(directory: string, lazy: boolean): Promise<UnmountResult> {
    const { code, errorText } = await runCommand('umount', [
      '-i',
      ...(lazy ? ['-l'] : []),
      '--',
      directory,
    ]);
    return unmountResult(code, errorText);
  }
}

/** fusermount3 takes source and type as options; mount(8) as arguments. */
function splitNames(options: readonly string[]): { source: string; type: string; rest: string[] } {
  const wordOf = (key: string) =>
    options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1) ?? 'fuse';
  return {
    source: wordOf('fsname'),
    type: `fuse.${wordOf('subtype')}`,
    rest: options.filter((option) => !/^(fsname|subtype)=/.test(option)),
  };
}

/** Opens /dev/fuse. Throws {@link MountEnvironmentError}; `directory` is for its message. */
export function openDevice(directory: string): number {
  try {
    return openSync(FUSE_DEVICE_PATH, constants.O_RDWR);
  } catch (error) {
    throw new MountEnvironmentError(
      `Cannot mount at '${directory}': ${FUSE_DEVICE_PATH} cannot be opened; load the module with 'modprobe fuse', or give the container the device`,
      { cause: error },
    );
  }
}
