import { type ChildProcess, spawn } from 'node:child_process';
import { mountLimits } from '../limits.js';

export interface CommandResult {
  /** Exit code; null when it was killed by a signal (also after its time was up). */
  code: number | null;
  /** What it printed to standard error, cut. */
  errorText: string;
}

/**
 * Runs a program without blocking: it may need answers of a mount that this process serves. Its working directory is
 * "/", so that it holds no mount busy. Rejects with the system's error when it cannot be started (ENOENT).
 * `inherited` descriptors become 3, 4, ... of the program.
 */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { inherited?: readonly number[]; timeoutMs?: number } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: '/',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe', ...(options.inherited ?? [])],
    });
    const errorText = collectErrorText(child);
    // A process that waits in the kernel may not die of the signal: do not wait for it.
    const deadline = setTimeout(() => {
      child.kill('SIGKILL');
      child.stderr?.destroy();
      child.unref();
      resolve({ code: null, errorText: `${command} did not end in time` });
    }, options.timeoutMs ?? mountLimits.mount_command_ms_max);
    child.on('error', (error) => {
      clearTimeout(deadline);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(deadline);
      resolve({ code, errorText: errorText() });
    });
  });
}

/** Gathers what a child prints to standard error; the function returned tells it so far. */
export function collectErrorText(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(0, mountLimits.command_output_bytes_max);
  });
  return () => text.trim();
}
