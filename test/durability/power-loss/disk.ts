/** A disk that can lose power, mounted at a directory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ended } from '../../support/command.js';
import { LineReader } from '../../support/line-reader.js';
import type { Crash } from './crash.js';

/** Folder of the disk of which nothing is ever lost: for notes of what was acknowledged to programs. */
export const NOTED = 'noted';

const PROCESS = fileURLToPath(new URL('./disk-process.js', import.meta.url));

export interface CrashCommand {
  command: 'crash';
  crash: Crash;
  /** Of what is lost of that which is not promised. */
  seed: number;
}

export type DiskCommand =
  | { command: 'count' }
  | { command: 'record' }
  | { command: 'empty' }
  | CrashCommand;

export class Disk {
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #end: Promise<unknown>;
  readonly #answers: LineReader;

  private constructor(directory: string, child: ChildProcess, answers: LineReader) {
    this.directory = directory;
    this.#child = child;
    this.#end = ended(child);
    this.#answers = answers;
  }

  /** Mounts an empty disk at an empty directory. */
  static async start(directory: string): Promise<Disk> {
    const child = spawn(process.execPath, [PROCESS, directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // Ctrl-C is for who uses it: what lies on the disk has to be let go first.
      detached: true,
      env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
    });
    const answers = new LineReader(child.stdout);
    const disk = new Disk(directory, child, answers);
    const line = await answers.next();
    if (line !== 'on') throw new Error(`Cannot read what the disk said: ${line}`);
    return disk;
  }

  /** Operations since it was switched on. */
  count(): Promise<number> {
    return this.#ask({ command: 'count' });
  }

  /** Ends the recording that the next crashes are made from; it began when the disk was last switched on. */
  record(): Promise<number> {
    return this.#ask({ command: 'record' });
  }

  /** Nothing may have a file on the disk open. Switches it on again as a crash at that point of the recording leaves it. */
  async crash(crash: Crash, seed: number): Promise<void> {
    await this.#ask({ command: 'crash', crash, seed });
  }

  /** Nothing may have a file on the disk open. Puts a new one in its place. */
  async replaceByEmpty(): Promise<void> {
    await this.#ask({ command: 'empty' });
  }

  /** Unmounts it; what it held is gone. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.#end;
  }

  async #ask(command: DiskCommand): Promise<number> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    const { count } = JSON.parse(await this.#answers.next()) as { count: number };
    return count;
  }
}
