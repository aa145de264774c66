/** Asks about a drive's hosts: its mount when there is one, else the drive itself. */
import { setTimeout as sleep } from 'node:timers/promises';
import { callControl } from '../control/client.js';
import type { Home } from '../drive/home.js';
import { LogFile } from '../drive/log-file.js';
import type { HostFigures, ProtectionMethod } from '../drive/protection-control.js';
import { runningHolder } from '../drive/store-lock.js';
import type { CliContext } from './context.js';
import { interruptible } from './interruptible.js';
import { bootstrapOf } from './options.js';

/** Looking through a large drive takes long. */
const ANSWER_MS_MAX = 3600 * 1000;

export type ProtectionCall = (
  method: ProtectionMethod,
  parameters?: Record<string, unknown>,
) => Promise<unknown>;

export interface ProtectionClientOptions {
  /** What the command is, for others who find the drive in use. */
  command: string;
  bootstrap?: string | undefined;
}

/** Runs `use` with a way to ask. Throws NotFoundError, InterruptedError, and what the call throws. */
export async function askProtection<T>(
  home: Home,
  name: string,
  context: CliContext,
  options: ProtectionClientOptions,
  use: (call: ProtectionCall, isThroughMount: boolean) => Promise<T>,
): Promise<T> {
  await home.read(name);
  const bootstrap = bootstrapOf(options.bootstrap, context.environment);
  const socket = runningHolder(home.paths(name).lock)?.socket ?? null;
  if (socket !== null) {
    return await use(
      (method, parameters = {}) => callControl(socket, method, parameters, ANSWER_MS_MAX),
      true,
    );
  }
  // Loading it takes longer than asking a mount.
  const { withProtection } = await import('../drive/protection-control.js');
  const { write: log } = new LogFile(home.paths(name).log);
  const { command } = options;
  return await interruptible(async (signal) => {
    return await withProtection(home, name, { command, bootstrap, log, signal }, (call) =>
      use((method, parameters = {}) => {
        signal.throwIfAborted();
        return call(method, parameters);
      }, false),
    );
  });
}

/** Without a mount the drive has to find its hosts first. */
const CONNECT_MS_MAX = 5000;
const LOOK_MS = 200;

/** The hosts of a drive. Of one that is not mounted once all of them are connected, or after some seconds. */
export async function hostsOnceMet(
  call: ProtectionCall,
  isThroughMount: boolean,
): Promise<HostFigures[]> {
  const giveUpAt = Date.now() + CONNECT_MS_MAX;
  for (;;) {
    const found = (await call('hosts')) as HostFigures[];
    const isAllSaid = found.every((host) => host.reachable || host.status === 'gone');
    if (isAllSaid || isThroughMount || Date.now() > giveUpAt) return found;
    await sleep(LOOK_MS);
  }
}
