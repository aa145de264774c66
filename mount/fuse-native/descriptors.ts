/** Descriptors that libfuse opens when it mounts. It hands out none of them, so they are found in /proc. */
import { closeSync, readdirSync, readlinkSync } from 'node:fs';
import { fcntl } from '../system/libc.js';
import { FUSE_DEVICE_PATH } from '../system/mount-method.js';

const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_DUPFD_CLOEXEC = 1030;

/** Those of one mount: /dev/fuse, and with auto_unmount the socket whose end makes fusermount unmount. */
export class LibfuseDescriptors {
  /** Null when libfuse has ended before it was looked for. */
  readonly #device: number | null;
  readonly #duplicate: number | null;

  /** `before`: what {@link openDescriptors} was before the mount. */
  constructor(before: ReadonlySet<number>) {
    const opened = openDescriptors().filter((fd) => !before.has(fd));
    // Or a child that outlives this process would keep a dead mount.
    for (const fd of opened) fcntl(fd, F_SETFD, FD_CLOEXEC);
    this.#device = opened.find(isFuseDevice) ?? null;
    this.#duplicate =
      this.#device === null ? null : fcntl(this.#device, F_DUPFD_CLOEXEC, Math.max(...opened) + 1);
  }

  /** libfuse closes its descriptor when it has ended, and says it in no other way. */
  get libfuseHasEnded(): boolean {
    return this.#device === null || !isFuseDevice(this.#device);
  }

  /**
   * Lets go of the duplicate. It is there for the case that the process is killed: Linux then ends what was opened last
   * first, and fusermount, woken by the end of its socket, leaves a mount alone that does not look dead yet.
   */
  close(): void {
    if (this.#duplicate !== null && this.#duplicate >= 0) closeSync(this.#duplicate);
  }
}

/** Without the one that the listing itself is read from: its number is free again. */
export function openDescriptors(): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => targetOf(fd) !== null);
}

function isFuseDevice(fd: number): boolean {
  return targetOf(fd) === FUSE_DEVICE_PATH;
}

/** What a descriptor is of; null when it is not open. */
function targetOf(fd: number): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
