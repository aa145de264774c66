import { mountLimits } from './limits.js';
import type { UsingProcess } from './processes-using.js';

/** Base of the errors of the mount layer. `cause` holds the error below, if any. */
export class MountError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** The directory cannot be mounted on: missing, a file, not empty, in use as a mount point. */
export class MountPointError extends MountError {}

/** The machine lacks something (fuse3, /dev/fuse, a permission). The message names what helps. */
export class MountEnvironmentError extends MountError {}

/** The kernel speaks a protocol this driver does not know, or refused what was agreed. */
export class MountProtocolError extends MountError {}

/** The mounted directory is in use; it stays mounted. */
export class MountBusyError extends MountError {
  readonly directory: string;
  /** Who holds it, as far as this user may see. */
  readonly processes: readonly UsingProcess[];
  /** Other mounts below the directory. */
  readonly mountsBelow: readonly string[];

  constructor(
    directory: string,
    processes: readonly UsingProcess[],
    mountsBelow: readonly string[],
  ) {
    super(busyMessage(directory, processes, mountsBelow));
    this.directory = directory;
    this.processes = processes;
    this.mountsBelow = mountsBelow;
  }
}

function busyMessage(
  directory: string,
  processes: readonly UsingProcess[],
  mountsBelow: readonly string[],
): string {
  const holders = processes
    .slice(0, mountLimits.busy_processes_listed_max)
    .map((process) => `${process.command} (pid ${process.pid}: ${process.what})`);
  if (processes.length > holders.length) {
    holders.push(`${processes.length - holders.length} more`);
  }
  for (const path of mountsBelow) holders.push(`the mount at '${path}'`);
  const who = holders.length === 0 ? 'a process of another user' : holders.join(', ');
  return `Cannot unmount '${directory}': it is in use by ${who}; end that, or force it`;
}
