/** Hosts run by `shoal host`, in processes and folders of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Assertions } from 'brittle';
import { callControl } from '../../../src/control/client.js';
import { runningHolder } from '../../../src/drive/store-lock.js';
import type { StorageHostReport } from '../../../src/hosts/host-report.js';
import { type CommandResult, command, ended, tryCommand } from '../../support/command.js';
import { SHOAL, wordsThrough } from '../../support/drive-mount.js';
import { LineReader } from '../../support/line-reader.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

export interface HostProcessOptions {
  /** HOST:PORT of a private network. */
  bootstrap: string;
  /** As `--capacity` takes it. */
  capacity?: string;
  /** More options of the command. */
  options?: string[];
  /** The home that it belongs to; one of its own when there is none. */
  home?: string;
  /** Words before the command, which run it elsewhere: in another network namespace. */
  through?: readonly string[];
}

export class HostProcess {
  /** Its folder: host.json, log, store. */
  readonly folder: string;
  /** Printed at the first start. */
  invite = '';
  readonly #options: HostProcessOptions;
  #child: ChildProcess | null = null;
  #end: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, options: HostProcessOptions) {
    this.folder = folder;
    this.#options = options;
  }

  /** Starts a new host, which is killed when the test ends. */
  static async forTest(t: Assertions, options: HostProcessOptions): Promise<HostProcess> {
    const home = options.home ?? temporaryFolder(t, 'host');
    const host = new HostProcess(path.join(home, 'host'), options);
    t.teardown(() => host.kill(), { force: true });
    await host.start();
    return host;
  }

  /** Starts several at once: most of the time goes into starting a process. */
  static severalForTest(
    t: Assertions,
    count: number,
    options: HostProcessOptions,
  ): Promise<HostProcess[]> {
    return Promise.all(Array.from({ length: count }, () => HostProcess.forTest(t, options)));
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const { bootstrap, capacity = '500M', options = [], through = [] } = this.#options;
    const args = [SHOAL, 'host', '--store', this.folder, '--capacity', capacity, ...options];
    const [program, ...words] = wordsThrough(through, args);
    const child = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        SHOAL_BOOTSTRAP: bootstrap,
        SHOAL_HOME: path.dirname(this.folder),
      },
    });
    this.#child = child;
    this.#end = ended(child);
    const lines = new LineReader(child.stdout);
    for (;;) {
      // One that leaves gives no invite any more.
      const match = /^(?:invite (.*)|leaving: .*)$/.exec(await lines.next());
      if (match === null) continue;
      this.invite = match[1] ?? this.invite;
      return;
    }
  }

  /** Ends the process, as a crash does without a signal given. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child?.kill(signal);
    this.#child = null;
    await this.#end;
  }

  /** Stops the process where it is, so that it answers nothing. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }
  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** `shoal host ARGS` about this host. */
  shoal(...args: string[]): Promise<string> {
    return command(process.execPath, [SHOAL, 'host', ...args, '--store', this.folder]);
  }

  tryShoal(...args: string[]): Promise<CommandResult> {
    return tryCommand(process.execPath, [SHOAL, 'host', ...args, '--store', this.folder]);
  }

  /** What `shoal host status` is told, without a process for it. */
  async status(): Promise<StorageHostReport> {
    const socket = runningHolder(path.join(this.folder, 'lock'))?.socket;
    if (socket == null) throw new Error(`No host runs in ${this.folder}`);
    return (await callControl(socket, 'status')) as StorageHostReport;
  }
}

/** Waits until a condition holds, and returns what it answered. Fails with `what` after the deadline. */
export async function until<T>(
  what: string,
  look: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  deadlineMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== false && found !== null && found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await sleep(50);
  }
}
