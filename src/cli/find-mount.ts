/** The mount that a directory or a name means, and its end. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesUsing, type UsingProcess } from '../../mount/processes-using.js';
import { callControl } from '../control/client.js';
import { type Home, isDriveName } from '../drive/home.js';
import { canonicalMountPath } from '../drive/mount-directory.js';
import { driveNameOf, readMountTable } from '../drive/mount-table.js';
import { isProcessRunning } from '../drive/process-identity.js';
import { directoryLeftBehind, type LockHolder, runningHolder } from '../drive/store-lock.js';
import { BusyError, EnvironmentError, NotFoundError, UnavailableError } from '../errors.js';
import { limits } from '../limits.js';

export interface FoundMount {
  /** Null when it is a mount that no drive here knows of. */
  name: string | null;
  directory: string;
  /** The process that serves it; null when that is gone or another user's. */
  holder: LockHolder | null;
}

const EXIT_POLL_MS = 20;

/** Throws NotFoundError. */
export async function findMount(home: Home, what: string): Promise<FoundMount> {
  if (isDriveName(what) && (await home.exists(what))) {
    const found = await findByName(home, what);
    if (found !== null) return found;
    throw new NotFoundError(`Cannot unmount '${what}': the drive is not mounted`);
  }
  const directory = await canonicalMountPath(what).catch(() => what);
  for (const name of await home.list()) {
    const holder = runningHolder(home.paths(name).lock);
    if (holder?.directory === directory) return { name, directory, holder };
  }
  const entry = (await readMountTable()).findLast((mount) => mount.directory === directory);
  const name = entry === undefined ? null : driveNameOf(entry);
  if (name === null) {
    throw new NotFoundError(
      `Cannot unmount '${what}': no drive is mounted there; 'shoal list' shows all mounts`,
    );
  }
  return { name, directory, holder: null };
}

async function findByName(home: Home, name: string): Promise<FoundMount | null> {
  const holder = runningHolder(home.paths(name).lock);
  if (holder?.directory != null) return { name, directory: holder.directory, holder };
  // Its process may have been killed and have left a dead mount. A mount of this name elsewhere is another user's, or
  // another home's.
  const directory = directoryLeftBehind(home.paths(name).lock);
  const isLeft = (await readMountTable()).some(
    (mount) => mount.directory === directory && driveNameOf(mount) === name,
  );
  return directory === null || !isLeft ? null : { name, directory, holder: null };
}

/** How a mount ended. */
export interface Unmounted {
  /** Processes that still used it when it was ended by force. */
  cutOff: UsingProcess[];
  /** Its process committed what was written; false for a dead mount, which has none. */
  committed: boolean;
}

/** Throws BusyError, EnvironmentError, UnavailableError, and what the commit threw. */
export async function unmountFound(found: FoundMount, force: boolean): Promise<Unmounted> {
  const cutOff = force ? await processesUsing(found.directory) : [];
  return { cutOff, committed: await endMount(found, force) };
}

async function endMount(found: FoundMount, force: boolean): Promise<boolean> {
  const { holder } = found;
  if (holder !== null && holder.socket !== null) {
    try {
      await callControl(holder.socket, 'unmount', { force });
      await waitForEnd(holder);
      return true;
    } catch (error) {
      // It ended on its own just now; see below whether a mount is left.
      if (!(error instanceof NotFoundError)) throw error;
    }
  }
  const isLeft = (await readMountTable()).some((mount) => mount.directory === found.directory);
  if (isLeft) await unmountInKernel(found.directory, force);
  return false;
}

/** "sleep (pid 5818: open file 'x.db')". */
export function nameProcesses(users: readonly UsingProcess[]): string {
  return users.map((user) => `${user.command} (pid ${user.pid}: ${user.what})`).join(', ');
}

/** The drive can be mounted again only when its process is gone. */
async function waitForEnd(holder: LockHolder): Promise<void> {
  const giveUpAt = Date.now() + limits.control_answer_ms_max;
  while (isProcessRunning(holder.pid, holder.startTime)) {
    if (Date.now() > giveUpAt) {
      throw new UnavailableError(
        `Unmounted, but process ${holder.pid} has not ended; look at the drive's log`,
      );
    }
    await sleep(EXIT_POLL_MS);
  }
}

/** For a mount without a process of ours to ask. */
async function unmountInKernel(directory: string, force: boolean): Promise<void> {
  const attempts: [string, string[]][] = [
    ['fusermount3', force ? ['-u', '-z', directory] : ['-u', directory]],
    ['umount', force ? ['-l', directory] : [directory]],
  ];
  let reason = '';
  for (const [program, parameters] of attempts) {
    const failure = await run(program, parameters);
    if (failure === null) return;
    if (failure !== '') reason = failure;
  }
  if (/busy/i.test(reason)) {
    const users = await processesUsing(directory);
    const who = nameProcesses(users);
    throw new BusyError(
      `Cannot unmount '${directory}': it is in use${who === '' ? '' : ` by ${who}`}; end that, or use --force`,
    );
  }
  throw new EnvironmentError(`Cannot unmount '${directory}': ${reason.trim()}`);
}

/** Null when it worked, else what the program said; empty when there is no such program. */
function run(program: string, parameters: string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const options = { timeout: limits.network_deadline_ms, cwd: '/' };
    execFile(program, parameters, options, (error, _stdout, stderr) => {
      if (error === null) resolve(null);
      else if (error.code === 'ENOENT') resolve('');
      else resolve(stderr || error.message);
    });
  });
}
