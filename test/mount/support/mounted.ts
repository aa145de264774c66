import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileSystem, Mount, MountDriver, MountOptions } from '../../../mount/file-system.js';
import { KernelDriver } from '../../../mount/kernel/kernel-driver.js';

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
  errors: string;
}

export interface Cleanup {
  teardown(clean: () => Promise<void> | void, options?: { order?: number; force?: boolean }): void;
}

/** A new directory that is removed at the end of the test. */
export function temporaryDirectory(t: Cleanup): string {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-mount-test-'));
  t.teardown(() => rmdirSync(directory), { order: 1, force: true });
  return directory;
}

/** Mounts in this process; unmounts at the end of the test. Only other processes may look into the directory. */
export async function mounted(
  t: Cleanup,
  fileSystem: FileSystem,
  options: Partial<MountOptions> = {},
  driver: MountDriver = new KernelDriver(),
): Promise<Mount> {
  const mount = await driver.mount(fileSystem, {
    directory: options.directory ?? temporaryDirectory(t),
    sourceName: 'memory',
    subtype: 'shoal-test',
    allowOther: false,
    onNotice: () => undefined,
    onEnd: () => undefined,
    ...options,
  });
  t.teardown(() => mount.unmount({ force: true }), { force: true });
  return mount;
}

/**
 * Starts a program; `outcome` resolves when it ends. Its working directory is never in a mount of this process: starting
 * it would then wait for ourselves.
 */
export function start(
  command: string,
  args: readonly string[],
): { child: ChildProcess; outcome: Promise<Outcome> } {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const outcome = new Promise<Outcome>((resolve, reject) => {
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('latin1');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString('latin1');
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, output, errors }));
  });
  return { child, outcome };
}

/** Runs a program to its end. */
export function run(command: string, ...args: string[]): Promise<Outcome> {
  const { child, outcome } = start(command, args);
  child.stdin?.end();
  return outcome;
}

/** Resolves when a line on the child's standard output is `text`. */
export function says(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.split('\n').includes(text)) resolve();
    });
    child.once('close', () => reject(new Error(`It ended and only said '${output}'`)));
  });
}

/** Asks again and again until it is so; the test's own time limit ends a wait in vain. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Whether something is mounted on the directory. */
export function isMounted(directory: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${directory} `);
}
