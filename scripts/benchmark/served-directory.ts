/** A file system of a process of its own, without anything of Shoal behind the driver, for as long as it is measured. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FileSystem } from '../../mount/file-system.js';
import { KernelDriver } from '../../mount/kernel/kernel-driver.js';
import { command } from '../../test/support/command.js';

const MOUNT_MS_MAX = 10_000;
const LOOK_MS = 50;

/** In the server's process: mounts, and ends it with the mount. */
export async function serveForBenchmark(fileSystem: FileSystem, directory: string): Promise<void> {
  await new KernelDriver().mount(fileSystem, {
    directory,
    sourceName: 'bench',
    subtype: 'bench',
    allowOther: false,
    onNotice: (line) => console.error(line),
    onEnd: () => process.exit(0),
  });
}

/**
 * Starts a server, a script and its arguments, which gets the directory as the last one; unmounts when `use` is done. Throws
 * when it does not mount.
 */
export async function withServed<T>(
  server: readonly string[],
  directory: string,
  use: () => Promise<T>,
): Promise<T> {
  const before = statSync(directory).dev;
  const child = spawn(process.execPath, [...server, directory], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  try {
    await untilMounted(directory, before, child);
    return await use();
  } finally {
    if (statSync(directory).dev !== before) await command('umount', [directory]);
    else child.kill();
    await ended;
  }
}

async function untilMounted(directory: string, before: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + MOUNT_MS_MAX;
  while (statSync(directory).dev === before) {
    if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}`);
    if (performance.now() > deadline) throw new Error('The server does not mount');
    await sleep(LOOK_MS);
  }
}
