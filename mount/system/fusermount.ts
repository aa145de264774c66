import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { MountEnvironmentError } from '../errors.js';
import { mountLimits } from '../limits.js';
import {
  type MountedDescriptor,
  type MountMethod,
  type UnmountResult,
  unmountResult,
} from './mount-method.js';
import { openSocketPair, receiveDescriptor } from './receive-descriptor.js';
import { collectErrorText, runCommand } from './run-command.js';

/** Mounts with fusermount3, the set-user-id program of fuse3, so that any user can. */
export class Fusermount implements MountMethod {
  readonly #command: string;

  constructor(command: string) {
    this.#command = command;
  }

  /** Whether the program is there. */
  async isInstalled(): Promise<boolean> {
    try {
      return (await runCommand(this.#command, ['--version'])).code === 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  /**
   * With auto_unmount, fusermount3 stays and unmounts once our end of the socket closes, also when this process is
   * killed. Our end is inherited by no child, else that child would keep a dead mount.
   */
  async mount(directory: string, options: readonly string[]): Promise<MountedDescriptor> {
    const sockets = openSocketPair();
    const child = spawn(
      this.#command,
      ['-o', [...options, 'auto_unmount'].join(','), '--', directory],
      {
        cwd: '/',
        env: { ...process.env, LC_ALL: 'C', _FUSE_COMMFD: '3' },
        stdio: ['ignore', 'ignore', 'pipe', sockets.theirs],
        // Its own session: Ctrl-C in the terminal is not for it.
        detached: true,
      },
    );
    const errorText = collectErrorText(child);
    const failed = new Promise<Error>((resolve) => child.on('error', resolve));
    const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
    closeSync(sockets.theirs);
    const deadline = setTimeout(() => child.kill('SIGKILL'), mountLimits.mount_command_ms_max);
    try {
      const fd = await receiveDescriptor(sockets.ours);
      if (fd !== null) {
        child.stderr?.destroy();
        child.unref();
        return { fd, lifeline: sockets.ours };
      }
      const error = await Promise.race([failed, closed]);
      closeSync(sockets.ours);
      throw new MountEnvironmentError(
        `Cannot mount at '${directory}': ${errorText() || error?.message || 'fusermount3 failed'}`,
      );
    } finally {
      clearTimeout(deadline);
    }
  }

  async unmount(directory: string, lazy: boolean): Promise<UnmountResult> {
    const args = lazy ? ['-u', '-z', '--', directory] : ['-u', '--', directory];
    const { code, errorText } = await runCommand(this.#command, args);
    return unmountResult(code, errorText);
  }
}
