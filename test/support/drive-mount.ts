/**
 * Drives mounted through the command line, as a user does it: the program in dist/ runs in processes of its own, so
 * tests may use synchronous file calls on the mount.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Assertions } from 'brittle';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { callControl } from '../../src/control/client.js';
import { runningHolder } from '../../src/drive/store-lock.js';
import { type CommandResult, command, ended, tryCommand } from './command.js';
import { LineReader } from './line-reader.js';
import { runHere, runHereWell } from './run-here.js';
import { detach, mountsBelow } from './runner/leftovers.js';

/** The compiled program. */
export const SHOAL = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** A node that nobody ends would run for ever: a test that is killed cannot end it. */
const END_WITH_PARENT = new URL('./end-with-parent.js', import.meta.url).href;

const COMMAND_TIME_MS_MAX = 60_000;
const PROCESS_END_MS_MAX = 10_000;
/** Of each drive, in an error. */
const LOG_LINES = 20;
/** Of a node of a private network. */
const STARTS_MAX = 5;

export interface MachineOptions {
  /** HOST:PORT of a private network; without it mounts should be offline. */
  bootstrap?: string;
  /** Where its folder is made, in place of the system's temporary one. */
  parent?: string;
  /** Where its drives are, in place of its folder. Not removed with it. */
  home?: string;
  /** Words before each command, which run it elsewhere: in another network namespace. */
  through?: readonly string[];
  /** Milliseconds that a command may take (60,000). */
  deadlineMs?: number;
  /**
   * Commands run in the process of the test, without a deadline, which takes a tenth of the processor's time. For tests that
   * are not about how the program starts and ends; what serves a mount is a process of its own in any case.
   */
  here?: boolean;
}

/** A machine: a home of its own with its drives, and a folder for its mount points. */
export class Machine {
  /** Removed with all that is in it by {@link Machine.close}. */
  readonly folder: string;
  readonly home: string;
  readonly #environment: Record<string, string | undefined>;
  readonly #through: readonly string[];
  readonly #deadlineMs: number;
  readonly #here: boolean;
  readonly #mounts = new Map<string, DriveMount>();
  #directories = 0;

  constructor(options: MachineOptions = {}) {
    this.folder = mkdtempSync(path.join(options.parent ?? tmpdir(), 'machine-'));
    this.home = options.home ?? path.join(this.folder, 'home');
    this.#through = options.through ?? [];
    this.#deadlineMs = options.deadlineMs ?? COMMAND_TIME_MS_MAX;
    this.#here = options.here === true;
    this.#environment = { SHOAL_HOME: this.home };
    if (options.bootstrap !== undefined) this.#environment.SHOAL_BOOTSTRAP = options.bootstrap;
  }

  /** A machine that is closed when the test ends. */
  static forTest(t: Assertions, options: MachineOptions = {}): Machine {
    const machine = new Machine(options);
    t.teardown(() => machine.close(), { force: true });
    return machine;
  }

  /** Runs a command that must succeed; returns what it printed. An error tells what mounts of this machine had to say last. */
  async shoal(...args: string[]): Promise<string> {
    try {
      if (this.#here) return await runHereWell(args, this.#environment);
      const [program, ...words] = this.#words(args);
      return await command(program, words, this.#options());
    } catch (error) {
      if (error instanceof Error) error.message += this.#lastLogLines();
      throw error;
    }
  }

  /** What mounts of a drive had to say. */
  logOf(name: string): string {
    return readFileSync(this.#logPath(name), 'utf8');
  }

  #logPath(name: string): string {
    return path.join(this.home, 'drives', name, 'log');
  }

  #lastLogLines(): string {
    const drives = path.join(this.home, 'drives');
    if (!existsSync(drives)) return '';
    const lines = readdirSync(drives).flatMap((name) => {
      if (!existsSync(this.#logPath(name))) return [];
      return [`\nlog of '${name}':`, ...this.logOf(name).trim().split('\n').slice(-LOG_LINES)];
    });
    return lines.join('\n');
  }

  /** Runs a command and returns its result, whatever the exit code. */
  async tryShoal(args: string[], input?: string): Promise<CommandResult> {
    if (this.#here) return { ...(await runHere(args, this.#environment, input)), signal: null };
    const options = this.#options();
    const [program, ...words] = this.#words(args);
    return tryCommand(program, words, input === undefined ? options : { ...options, input });
  }

  /** A new empty directory to mount at. */
  makeMountPoint(label = 'mount'): string {
    const directory = path.join(this.folder, `${label}-${this.#directories++}`);
    mkdirSync(directory);
    return directory;
  }

  /**
   * Mounts a drive (its name, or a key) at a directory; a new one when none is given. Extra options go to the command.
   */
  async mount(drive: string, options: string[] = [], directory?: string): Promise<DriveMount> {
    const target = directory ?? this.makeMountPoint();
    const printed = await this.shoal('mount', drive, target, ...options);
    const match = /^mounted (.+) at (.+) \(pid (\d+)\)$/m.exec(printed);
    if (match === null) throw new Error(`Cannot read what 'shoal mount' printed: ${printed}`);
    // Else a test would try the directory below, and pass.
    if (!mountsBelow(this.folder).includes(target)) {
      throw new Error(`Drive '${drive}' is not mounted at ${target}, though 'shoal mount' says so`);
    }
    const mount = new DriveMount(this, String(match[1]), target, Number(match[3]));
    this.#mounts.set(target, mount);
    return mount;
  }

  /**
   * Mounts a drive of another machine by its key, with so many seconds for what no peer delivers. A busy machine may need
   * longer than that to find the drive, so it is found by a mount before; and to meet a peer, so one is connected when it returns.
   */
  async mountWithDeadline(key: string, name: string, seconds: number): Promise<DriveMount> {
    await (await this.mount(key, ['--name', name])).unmount();
    const mount = await this.mount(name, ['--deadline', String(seconds)]);
    const giveUpAt = performance.now() + COMMAND_TIME_MS_MAX;
    while (((await askMounted(mount, 'status')) as { peers: number }).peers === 0) {
      if (performance.now() > giveUpAt) throw new Error(`No peer of '${name}' is connected`);
      await sleep(20);
    }
    return mount;
  }

  /** Makes a drive and mounts it. */
  async createAndMount(name: string, options: string[] = []): Promise<DriveMount> {
    await this.shoal('create', name);
    return this.mount(name, options);
  }

  /** Ends what is still mounted, without waiting for anything to be written, and removes the folder. */
  async close(): Promise<void> {
    for (const mount of this.#mounts.values()) await mount.kill();
    for (const directory of mountsBelow(this.folder)) detach(directory);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Called by a mount that has ended. */
  forget(mount: DriveMount): void {
    this.#mounts.delete(mount.directory);
  }

  #words(args: readonly string[]): [string, ...string[]] {
    return wordsThrough(this.#through, [SHOAL, ...args]);
  }

  #options() {
    return { env: this.#environment, deadlineMs: this.#deadlineMs };
  }
}

/** A mounted drive. */
export class DriveMount {
  readonly machine: Machine;
  readonly name: string;
  readonly directory: string;
  /** The process that serves it. */
  readonly pid: number;

  constructor(machine: Machine, name: string, directory: string, pid: number) {
    this.machine = machine;
    this.name = name;
    this.directory = directory;
    this.pid = pid;
  }

  /** Unmounts as a user does, and waits for the process to end. */
  async unmount(...options: string[]): Promise<void> {
    await this.machine.shoal('unmount', this.directory, ...options);
    await this.ended();
    this.machine.forget(this);
  }

  /** Commits what is dirty; an fsync need not. */
  commit(): Promise<void> {
    return commitMounted(this);
  }

  /** Kills the process as a crash does (or with another signal), and waits for the mount to be gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (isRunning(this.pid)) process.kill(this.pid, signal);
    await this.ended();
    this.machine.forget(this);
  }

  /** Waits for the process to be gone. Rejects after a deadline. */
  async ended(): Promise<void> {
    const deadline = performance.now() + PROCESS_END_MS_MAX;
    while (isRunning(this.pid)) {
      if (performance.now() > deadline) throw new Error(`Mount process ${this.pid} does not end`);
      await sleep(20);
    }
  }
}

/** Asks a mounted drive over its control socket, without a process of its own. */
export function askMounted(
  { machine, name }: Pick<DriveMount, 'machine' | 'name'>,
  method: string,
  deadlineMs?: number,
): Promise<unknown> {
  const lock = path.join(machine.home, 'drives', name, 'lock');
  return callControl(runningHolder(lock)?.socket as string, method, {}, deadlineMs);
}

/** Commits what is dirty in a mounted drive. */
export async function commitMounted(mount: Pick<DriveMount, 'machine' | 'name'>): Promise<void> {
  await askMounted(mount, 'sync');
}

/** A node of a private network, run by `shoal bootstrap`. */
export class BootstrapNode {
  /** HOST:PORT for SHOAL_BOOTSTRAP. */
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #end: Promise<unknown>;

  private constructor(child: ChildProcess, end: Promise<unknown>, address: string) {
    this.#child = child;
    this.#end = end;
    this.address = address;
  }

  /** Starts a node on a free port of the loopback address; it is ended when the test ends. */
  static async forTest(t: Assertions): Promise<BootstrapNode> {
    const node = await BootstrapNode.start();
    t.teardown(() => node.close(), { force: true, order: 100 });
    return node;
  }

  /** As for tests, to be closed by the caller; another `host` than this machine is reached `through` some words. */
  static async start(
    options: { host?: string; through?: readonly string[] } = {},
  ): Promise<BootstrapNode> {
    for (let tries = 0; tries < STARTS_MAX; tries++) {
      const node = await BootstrapNode.#tryToStart(options);
      if (node !== null) return node;
    }
    throw new Error(`Cannot start a bootstrap node: ${STARTS_MAX} ports were taken`);
  }

  /** Null when somebody else has taken the port since it was found free. */
  static async #tryToStart(options: {
    host?: string;
    through?: readonly string[];
  }): Promise<BootstrapNode | null> {
    const port = await freeUdpPort();
    const host = options.host ?? '127.0.0.1';
    const command = [SHOAL, 'bootstrap', '--host', host, '--port', String(port)];
    const args = ['--import', END_WITH_PARENT, ...command];
    const [program, ...words] = wordsThrough(options.through ?? [], args);
    const child = spawn(program, words, {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const end = ended(child);
    try {
      const line = await new LineReader(child.stdout).next();
      const address = /(\d+\.\d+\.\d+\.\d+:\d+)/.exec(line)?.[1];
      if (address === undefined)
        throw new Error(`Cannot read what 'shoal bootstrap' printed: ${line}`);
      return new BootstrapNode(child, end, address);
    } catch (error) {
      child.kill('SIGKILL');
      if ((await end).code === exitCodes.busy) return null;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#end;
  }
}

/** A program and its arguments, run by this Node.js behind some words. */
export function wordsThrough(through: readonly string[], args: string[]): [string, ...string[]] {
  const [program = process.execPath, ...words] = [...through, process.execPath];
  return [program, ...words, ...args];
}

/** Whether a process runs; one that has ended and was not waited for does not. */
export function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    const state = /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1];
    // Its first thread may be gone while another, in the middle of a call, still holds its files and locks.
    if (state === 'Z') return readdirSync(`/proc/${pid}/task`).length > 1;
    return state !== undefined && state !== 'X';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return false;
    throw error;
  }
}

async function freeUdpPort(): Promise<number> {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
