export const FUSE_DEVICE_PATH = '/dev/fuse';

/** A directory that was mounted, and what keeps it so. */
export interface MountedDescriptor {
  /** The open /dev/fuse of this mount. */
  fd: number;
  /** Socket whose end makes fusermount3 unmount, when this process dies; null without. Open as long as the mount. */
  lifeline: number | null;
}

/** A way to get a directory mounted and unmounted: fusermount3, or mount(8) and umount(8). */
export interface MountMethod {
  /** Throws {@link MountEnvironmentError} when it is not possible, with what helps. */
  mount(directory: string, options: readonly string[]): Promise<MountedDescriptor>;
  /** `lazy` detaches a directory that is in use. */
  unmount(directory: string, lazy: boolean): Promise<UnmountResult>;
}

export interface UnmountResult {
  outcome: 'unmounted' | 'busy' | 'failed';
  /** What the program printed. */
  text: string;
}

/** What the exit of an unmounting program means. */
export function unmountResult(code: number | null, errorText: string): UnmountResult {
  if (code === 0) return { outcome: 'unmounted', text: '' };
  if (/\bbusy\b/i.test(errorText)) return { outcome: 'busy', text: errorText };
  return { outcome: 'failed', text: errorText || `exit code ${code}` };
}
