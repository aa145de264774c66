/** The drivers that `--driver` can name. Only what is used is loaded. */
import type { MountDriver } from '../../mount/file-system.js';
import { UsageError } from '../errors.js';

const drivers: Record<string, () => Promise<MountDriver>> = {
  kernel: async () => {
    const { KernelDriver } = await import('../../mount/kernel/kernel-driver.js');
    return new KernelDriver();
  },
  'fuse-native': async () => {
    const { FuseNativeDriver } = await import('../../mount/fuse-native/fuse-native-driver.js');
    return new FuseNativeDriver();
  },
};

export const driverNames: readonly string[] = Object.keys(drivers);
export const DEFAULT_DRIVER = 'kernel';

/** Rejects with UsageError for a name that is none, MountEnvironmentError when the driver lacks what it is built on. */
export async function createDriver(name: string): Promise<MountDriver> {
  const create = Object.hasOwn(drivers, name) ? drivers[name] : undefined;
  if (create === undefined) {
    throw new UsageError(`Cannot use driver '${name}': known are ${driverNames.join(', ')}`);
  }
  return await create();
}

/** Rejects as {@link createDriver} does. */
export async function checkDriver(name: string): Promise<void> {
  // The default one comes with Shoal.
  if (name !== DEFAULT_DRIVER) await createDriver(name);
}
