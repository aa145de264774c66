/** Starts the process behind a mount and waits until the mount answers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { InterruptedError, ShoalError } from '../errors.js';
import { isMountReport, type MountReport, type MountRequest } from './mount-messages.js';

/** The command that the process behind a mount runs. */
export const MOUNT_PROCESS = 'mount-process';

/** Notifications and the store share this pool. */
const THREAD_POOL_SIZE = '16';

/** One heap of the C library for each thread of the pool would hold on to a hundred megabytes. */
const MALLOC_ARENA_MAX = '2';

/** Larger pieces of memory go back to the system when they are freed, instead of leaving holes in a heap. */
const MALLOC_MMAP_THRESHOLD = String(4 << 20);

export type MountedReport = Extract<MountReport, { type: 'mounted' }>;

/** The mount process said why it could not mount; it is gone. */
export class MountFailedError extends ShoalError {
  readonly exitCode: number;

  constructor(message: string, exitCode: number, stack: string) {
    super(message);
    this.exitCode = exitCode;
    if (stack !== '') this.stack = stack;
  }
}

export interface SpawnMountOptions {
  request: MountRequest;
  /** Where what the process itself prints goes (a crash of the runtime). */
  logPath: string;
  onNotice: (line: string) => void;
  environment: NodeJS.ProcessEnv;
}

/** A mount process that answers. */
export interface SpawnedMount {
  report: MountedReport;
  child: ChildProcess;
}

/** Throws MountFailedError, InterruptedError (Ctrl-C while it waits). */
export async function spawnMount(options: SpawnMountOptions): Promise<SpawnedMount> {
  const { request } = options;
  const log = openSync(options.logPath, 'a', 0o600);
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, main, MOUNT_PROCESS], {
    // A session of its own: Ctrl-C and a closed terminal end the command, which then ends the mount in order.
    detached: true,
    // Never a directory that could be in a mount.
    cwd: '/',
    stdio: ['ignore', log, log, 'ipc'],
    env: {
      ...options.environment,
      UV_THREADPOOL_SIZE: THREAD_POOL_SIZE,
      MALLOC_ARENA_MAX,
      MALLOC_MMAP_THRESHOLD_: MALLOC_MMAP_THRESHOLD,
    },
  });
  closeSync(log);
  try {
    const report = await waitForMount(child, options);
    if (!request.foreground) {
      child.disconnect();
      child.unref();
    }
    return { report, child };
  } catch (error) {
    // The process takes a lost channel for the order to give up.
    if (child.connected) child.disconnect();
    throw error;
  }
}

function waitForMount(child: ChildProcess, options: SpawnMountOptions): Promise<MountedReport> {
  return new Promise((resolve, reject) => {
    const interrupt = (): void => finish(() => reject(new InterruptedError('Interrupted')));
    const finish = (settle: () => void): void => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
      child.removeAllListeners('exit');
      settle();
    };
    process.on('SIGINT', interrupt);
    process.on('SIGTERM', interrupt);
    child.on('error', (error) => finish(() => reject(error)));
    child.on('exit', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : signal;
      const message = `The mount process ended before it answered (${how}); see '${options.logPath}'`;
      finish(() => reject(new MountFailedError(message, 1, '')));
    });
    child.on('message', (message) => {
      if (!isMountReport(message)) return;
      if (message.type === 'notice') options.onNotice(message.line);
      else if (message.type === 'mounted') finish(() => resolve(message));
      else {
        const { exitCode, stack } = message;
        finish(() => reject(new MountFailedError(message.message, exitCode, stack)));
      }
    });
    child.send(options.request);
  });
}
