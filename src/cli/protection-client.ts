/** Asks about a drive's hosts: its mount when there is one, else the drive itself. */
import { callControl } from '../control/client.js';
import type { Home } from '../drive/home.js';
import { LogFile } from '../drive/log-file.js';
import type { ProtectionMethod } from '../drive/protection-control.js';
import { runningHolder } from '../drive/store-lock.js';
import { InterruptedError } from '../errors.js';
import type { CliContext } from './context.js';
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
  const abort = new AbortController();
  const interrupt = (): void => abort.abort(new InterruptedError('Interrupted'));
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const { command } = options;
  const { signal } = abort;
  try {
    return await withProtection(home, name, { command, bootstrap, log, signal }, (call) =>
      use((method, parameters = {}) => {
        signal.throwIfAborted();
        return call(method, parameters);
      }, false),
    );
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
