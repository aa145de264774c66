import { closeSync } from 'node:fs';
import { MountEnvironmentError } from '../errors.js';
import type { FileSystem, Mount, MountDriver, MountOptions } from '../file-system.js';
import { mountLimits } from '../limits.js';
import { Fusermount } from '../system/fusermount.js';
import { MountCommand, openDevice } from '../system/mount-command.js';
import { mountOptionWords } from '../system/mount-options.js';
import { prepareMountPoint } from '../system/mount-point.js';
import { FuseNativeMount } from './fuse-native-mount.js';
import { type FuseNativePackage, loadFuseNative } from './fuse-native-package.js';

/**
 * Mounts through libfuse 2 with the npm package fuse-native, for machines where the kernel driver cannot be used. What it
 * cannot do is in docs/drivers.md.
 */
export class FuseNativeDriver implements MountDriver {
  readonly name = 'fuse-native';
  readonly #package: FuseNativePackage;

  /** Loads the package, unless it is given. Throws {@link MountEnvironmentError} that says what to install. */
  constructor({ loaded = loadFuseNative() }: { loaded?: FuseNativePackage } = {}) {
    this.#package = loaded;
  }

  /** Mounts, and resolves when the mount answers. Throws what the kernel driver throws. */
  async mount(fileSystem: FileSystem, options: MountOptions): Promise<Mount> {
    if (options.allowOther && !fileSystem.readOnly) {
      // Anybody could make files that belong to root, where root mounted.
      throw new MountEnvironmentError(
        `Cannot mount at '${options.directory}' for other users: the driver 'fuse-native' does not learn who makes a file; mount it read-only, or with the driver 'kernel'`,
      );
    }
    if (fileSystem.wantsPosixAcl) {
      options.onNotice("The driver 'fuse-native' has no access lists; they are refused");
    }
    if (fileSystem.wantsBirthTimes) {
      options.onNotice("The driver 'fuse-native' does not learn of questions for times of birth");
    }
    // libfuse 2 calls it by this name.
    const fusermount = new Fusermount('fusermount');
    const hasFusermount = await fusermount.isInstalled();
    if (!hasFusermount && process.geteuid?.() !== 0) {
      throw new MountEnvironmentError(
        `Cannot mount at '${options.directory}': fusermount is not installed; install it with 'apt-get install fuse3'`,
      );
    }
    // libfuse would only say that it failed.
    closeSync(openDevice(options.directory));
    const method = hasFusermount ? fusermount : new MountCommand();
    const mountOptions = [
      ...mountOptionWords(fileSystem, options),
      ...libfuseOptions(fileSystem),
      ...(hasFusermount ? ['auto_unmount'] : []),
    ];
    const directory = await prepareMountPoint(options.directory, method, options.onNotice);
    const parts = { directory, package: this.#package, method, mountOptions, fileSystem, options };
    const mount = new FuseNativeMount(parts);
    await mount.start();
    return mount;
  }
}

/** How long the kernel may remember names that nobody else can change. */
const OWN_NAMES_SEC = 3600;

function libfuseOptions(fileSystem: FileSystem): string[] {
  // The package cannot tell the kernel that somebody else changed a name.
  const namesSec = fileSystem.readOnly ? 0 : OWN_NAMES_SEC;
  return [
    // Hard links show the same number.
    'use_ino',
    // Else a write comes in pieces of 4 KiB.
    'big_writes',
    `max_write=${mountLimits.libfuse_request_data_bytes_max}`,
    `entry_timeout=${namesSec}`,
    `negative_timeout=${namesSec}`,
    // To libfuse each name of a file is another file: what is remembered of one is wrong after a change of another.
    'attr_timeout=0',
  ];
}
