/** The process behind a mount: started by `shoal mount`, gets what to do over the channel to its parent. */

import { setMaxListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { Home } from '../drive/home.js';
import { LogFile } from '../drive/log-file.js';
import { createDriver } from '../drive/mount-drivers.js';
import { MountedDrive } from '../drive/mounted-drive.js';
import { exitCodeOf, exitCodes } from './exit-codes.js';
import type { MountReport, MountRequest } from './mount-messages.js';

/** Different faults of libraries that are written down. */
const FAULTS_LOGGED_MAX = 100;
/** Above this, Node warns of a leak. */
const ABORT_LISTENERS_MAX = 1000;

/**
 * How much the heap may grow before its garbage is collected, in per cent of what is in use. It is small, a few
 * megabytes, but the buffers that blocks come in count as growth: with V8's own factor it marks the whole heap for
 * every 20 MB that are read, which takes a third of the processor's time.
 */
const HEAP_GROWTH_PERCENT = 500;

/** Mounts what the parent asks for. Ends the process when the mount has ended. */
export async function runMountProcess(): Promise<void> {
  // One request of the kernel can wait for many blocks, each with a listener on the request's signal.
  setMaxListeners(ABORT_LISTENERS_MAX);
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  const request = await receiveRequest();
  const home = new Home(request.home);
  const { write: log } = new LogFile(home.paths(request.name).log);
  const abort = new AbortController();
  let mounted: MountedDrive | null = null;

  const stop = (reason: string): void => {
    log(`${reason}: ${mounted === null ? 'giving up' : 'unmounting'}`);
    if (mounted === null) abort.abort();
    else void mounted.stop();
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // A terminal that is closed must not take the mount with it, unless it is the mount's own.
  process.on('SIGHUP', () => request.foreground && stop('SIGHUP'));
  process.on('disconnect', () => {
    if (request.foreground || mounted === null) stop('The command ended');
  });
  logFaults(log, () => stop('A fault of the program'));

  try {
    mounted = await MountedDrive.start({
      ...request,
      home,
      bootstrap: request.bootstrap ?? undefined,
      driver: await createDriver(request.driver),
      log,
      onNotice: (line) => {
        log(line);
        report({ type: 'notice', line });
      },
      signal: abort.signal,
      environment: process.env,
    });
  } catch (error) {
    log(`Cannot mount: ${error instanceof Error ? error.message : String(error)}`);
    await reportFailure(error);
    process.exit(exitCodeOf(error));
  }
  const { name, directory, readOnly } = mounted;
  log(`Mounted at ${directory}${readOnly ? ', read-only' : ''} (pid ${process.pid})`);
  report({ type: 'mounted', name, directory, pid: process.pid, readOnly });
  // The parent went away, or a signal came, while the mount was being made.
  if (abort.signal.aborted) void mounted.stop();

  const { commitError } = await mounted.ended;
  log(commitError === null ? 'Unmounted' : `Unmounted; not committed: ${commitError.message}`);
  await mounted.closeControl();
  process.exit(commitError === null ? exitCodes.ok : exitCodes.commitFailed);
}

function receiveRequest(): Promise<MountRequest> {
  return new Promise((resolve) => {
    if (process.send === undefined) {
      process.stderr.write("shoal: 'mount-process' is started by 'shoal mount' only\n");
      process.exit(exitCodes.usage);
    }
    process.once('message', (message) => resolve(message as MountRequest));
  });
}

function report(message: MountReport): void {
  if (process.connected) process.send?.(message, undefined, {}, () => undefined);
}

function reportFailure(error: unknown): Promise<void> {
  const failure: MountReport = {
    type: 'failed',
    message: error instanceof Error ? error.message : String(error),
    exitCode: exitCodeOf(error),
    stack: error instanceof Error ? (error.stack ?? '') : '',
  };
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(failure, undefined, {}, () => resolve());
  });
}

/**
 * A promise that nobody waits for, in a library that works in the background, must not take the mount and what is not
 * committed yet with it. After an exception that nobody caught the program's state is unknown: commit and end.
 */
function logFaults(log: (line: string) => void, end: () => void): void {
  let faults = 0;
  const write = (kind: string, error: unknown): void => {
    if (++faults > FAULTS_LOGGED_MAX) return;
    log(`${kind}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  process.on('unhandledRejection', (error) => write('Unhandled rejection', error));
  process.on('uncaughtException', (error) => {
    write('Uncaught exception', error);
    end();
  });
}
