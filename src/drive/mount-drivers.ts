/** The drivers that `--driver` can name. */
import type { MountDriver } from '../../mount/file-system.js';
import { FuseNativeDriver } from '../../mount/fuse-native/fuse-native-driver.js';
import { KernelDriver } from '../../mount/kernel/kernel-driver.js';
import { UsageError } from '../errors.js';

const drivers: Record<string, () => MountDriver> = {
  kernel: () => new KernelDriver(),
  'fuse-native': () => new FuseNativeDriver(),
};

export const driverNames: readonly string[] = Object.keys(drivers);
export const DEFAULT_DRIVER = 'kernel';

/** Throws UsageError for a name that is none, MountEnvironmentError when the driver lacks what it is built on. */
export function createDriver(name: string): MountDriver {
  const create = Object.hasOwn(drivers, name) ? drivers[name] : undefined;
  if (create === undefined) {
    throw new UsageError(`Cannot use driver '${name}': known are ${driverNames.join(', ')}`);
  }
  return create();
}
